"""Which texts are longer than an encoder reads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from textrip.data.collection import Collection
from textrip.data.finding import Finding
from textrip.records import Kind


class Count(Protocol):
    """How many tokens texts have."""

    def __call__(self, texts: Sequence[str], kind: Kind) -> Sequence[int]:
        """Of each, with the prompt of its kind."""


# Of the texts: where fewer are cut, nobody loses anything.
_MANY_CUT = 0.05


def truncation(collection: Collection, count_tokens: Count, limit: int) -> list[Finding]:
    """Which share of the texts is longer than an encoder reads: documents, and queries by split.

    A warning where it is more than a twentieth, else a note.

    Args:
        collection: Its texts.
        count_tokens: How many tokens each text has, as a query or a document, before it is cut.
        limit: How many are read.
    """
    found = []
    queries = collection.query_texts
    parts: dict[str, Iterable[str]] = {"documents": collection.texts}
    for split, qrels in collection.qrels.items():
        parts[f"queries of {split}"] = [queries[query_id] for query_id in qrels if query_id in queries]
    for name, texts in parts.items():
        kind: Kind = "document" if name == "documents" else "query"
        lengths = np.fromiter(_lengths(texts, partial(count_tokens, kind=kind)), dtype=np.int64)
        cut = int((lengths > limit).sum())
        if lengths.size:
            share = cut / lengths.size
            many = share > _MANY_CUT
            found.append(
                Finding(
                    "warning" if many else "note", "texts-cut", cut,
                    f"{share:.{0 if many else 1}%} of the {name} are longer than the encoder reads ({limit} "
                    f"tokens; the median is {int(np.median(lengths))}, the longest {int(lengths.max())})",
                )
            )  # fmt: skip
    return found


def _lengths(texts: Iterable[str], count: Callable[[Sequence[str]], Sequence[int]]) -> Iterator[int]:
    window: list[str] = []
    for text in texts:
        window.append(text)
        if len(window) == 1024:
            yield from count(window)
            window = []
    if window:
        yield from count(window)
