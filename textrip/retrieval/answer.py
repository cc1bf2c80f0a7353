"""From a question to hits: ranked by meaning, by words or by both, in one state of an index."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textrip.data.words import lone_surrogate
from textrip.encoding.text_encoder import require_unit
from textrip.errors import InputError, first_line
from textrip.lexical.analyzer import Analyzer
from textrip.records import Hit
from textrip.retrieval.fusion import DEPTH, Fusion
from textrip.retrieval.passages import with_most_terms
from textrip.retrieval.snapshot import NO_PASSAGE, Ranked, Snapshot
from textrip.retrieval.store import DocumentStore, Stored
from textrip.typed import require_type, require_whole

Mode = Literal["dense", "bm25", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)


def require_queries(queries: Sequence[str], k: int) -> None:
    """Raise InputError for a question that says nothing, or for no answers wanted."""
    if isinstance(queries, str):
        raise InputError("queries is a string, a list of questions was expected")
    require_whole("k", k, least=1)
    for query in queries:
        require_type("a query", query, str, "a text")
    if any(not query.strip() for query in queries):
        raise InputError("the query is blank; ask something")
    if any(map(lone_surrogate, queries)):
        raise InputError("the query has bytes that are no text (a lone surrogate); UTF-8 was expected")


def asked_by(vectors: Any, dimension: int) -> NDArray[np.float32]:
    """Questions that are vectors: (q, dimension) float32.

    Raises:
        InputError: no numbers, another shape, NaN or infinity, or not of length one.
    """
    try:
        given = np.asarray(vectors)
        if np.iscomplexobj(given):
            raise TypeError("they are complex")
        asked: NDArray[np.float32] = np.ascontiguousarray(given, dtype=np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # the last of a tensor in training
        raise InputError(f"vectors are no array of numbers: {first_line(error)}") from None
    if asked.ndim != 2 or asked.shape[1] != dimension or not np.isfinite(asked).all():
        raise InputError(f"vectors have shape {asked.shape}; finite ones of (queries, {dimension}) expected")
    require_unit(asked)
    return asked


def rank(
    snapshot: Snapshot,
    queries: Sequence[str],
    encoded: NDArray[np.float32] | None,
    *,
    k: int,
    fuse: Fusion | None,
    keys: NDArray[np.int64] | None,
    exact: bool,
) -> list[Ranked]:
    """The k best rows of every question.

    Args:
        snapshot: What is searched.
        queries: Texts.
        encoded: Their vectors; by words alone where None.
        k: How many rows.
        fuse: Of words and vectors; by vectors alone where None.
        keys: Of the documents that are looked at; all where None.
        exact: Look at every vector.
    """
    if encoded is None:
        return snapshot.bm25(queries, k, keys=keys) if queries else []
    if fuse is None:
        return snapshot.dense(encoded, k, keys=keys, exact=exact)
    depth = max(DEPTH, k)
    fused: list[Ranked] = []
    for query, vector, dense, words in zip(
        queries,
        encoded,
        snapshot.dense(encoded, depth, keys=keys, exact=exact),
        snapshot.bm25(queries, depth, keys=keys),
        strict=True,
    ):
        both = (dense[:2], words[:2]) if fuse.by_ranks else snapshot.completed(query, vector, dense, words)
        rows, scores = fuse(*both, k, snapshot.order)
        passage = dict(zip(dense[0].tolist(), dense[2].tolist(), strict=True))
        numbers = [passage.get(row, NO_PASSAGE) for row in rows.tolist()]
        fused.append((rows, scores, np.asarray(numbers, dtype=np.int64)))
    return fused


def hits(
    store: DocumentStore, snapshot: Snapshot, ranked: Ranked, *, query: str, analyzer: Analyzer
) -> list[Hit]:
    """Ranked rows with their documents; of a long one with the passage that was found."""
    rows, scores, passages = ranked
    found: list[Hit] = []
    stored_rows = store.documents(snapshot.keys[rows].tolist())
    for place, (stored, score, number) in enumerate(zip(stored_rows, scores, passages, strict=True), start=1):
        document = stored.document
        passage = _passage(stored, int(number), query, analyzer) if len(stored.spans) > 1 else None
        found.append(
            Hit(place, document.doc_id, float(score), document.title, document.text,
                metadata=stored.metadata, passage=passage)
        )  # fmt: skip
    return found


def _passage(stored: Stored, number: int, query: str, analyzer: Analyzer) -> str:
    """A passage by its number; where words found the document, the one with the most of the query's."""
    text = stored.document.full_text
    if number == NO_PASSAGE:
        number = with_most_terms(text, stored.spans, query, analyzer)
    begin, end = stored.spans[number].tolist()
    return text[begin:end]
