"""Queries from the structure of a corpus that has none: title to body, first sentence to the rest.

The second is the inverse cloze task (Lee et al., 2019, arXiv 1906.00300) with its first sentence only.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from textrip.data.collection import Collection, dataset_of
from textrip.data.tables import corpus_of
from textrip.errors import InputError

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_MIN_QUERY_WORDS = 3
_MIN_BODY_WORDS = 12


@dataclass(frozen=True)
class _Pair:
    rule: str
    query: str
    title: str
    text: str


def with_queries(collection: Collection) -> tuple[Collection, dict[str, int]]:
    """A collection whose queries are titles or first sentences, and how many pairs each rule gave.

    What becomes the query is taken out of the document, or the pair would be a game of spotting the
    same words. The judgments are all `train`; `with_splits` cuts them. A collection that has
    judgments comes back as it is, with no counts.

    Raises:
        InputError: no document has enough text to make a pair of.
    """
    if any(collection.qrels.values()):
        return collection, {}
    counts: Counter[str] = Counter()
    queries: dict[str, str] = {}

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for line, row in enumerate(collection.corpus, start=1):
            pair = _pair(row["title"], row["text"])
            title, text = (row["title"], row["text"]) if pair is None else (pair.title, pair.text)
            if pair is not None:
                counts[pair.rule] += 1
                queries[row["doc_id"]] = pair.query
            yield line, {**row, "title": title, "text": text}

    corpus = corpus_of(records(), collection.name)
    if not queries:
        raise InputError(
            f"{collection.name}: no document has a title of {_MIN_QUERY_WORDS} words or a first sentence, "
            f"followed by {_MIN_BODY_WORDS} words; give queries and judgments of your own"
        )
    made = replace(
        collection,
        corpus=corpus,
        queries=dataset_of({"query_id": list(queries), "text": list(queries.values())}),
        qrels={"train": {doc_id: {doc_id: 1} for doc_id in queries}},
    )
    return made, dict(counts)


def _pair(title: str, text: str) -> _Pair | None:
    if len(title.split()) >= _MIN_QUERY_WORDS and len(text.split()) >= _MIN_BODY_WORDS:
        return _Pair("title to body", title, "", text)
    sentence, rest = (*_SENTENCE_END.split(text, maxsplit=1), "")[:2]
    if len(sentence.split()) >= _MIN_QUERY_WORDS and len(rest.split()) >= _MIN_BODY_WORDS:
        return _Pair("first sentence to the rest", sentence, title, rest)
    return None
