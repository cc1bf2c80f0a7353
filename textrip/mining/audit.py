"""The audit: what mined negatives look like beside their positives, the suspects first.

Judged by the triples, the collection's judgments, the texts and, where there is one, a model's scores.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from textrip.data.collection import Collection
from textrip.data.judged_texts import JudgedTexts
from textrip.data.near_duplicates import THRESHOLD
from textrip.data.split import near_duplicate_key
from textrip.data.words import normalised
from textrip.files import replacing
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.filters import Texts
from textrip.mining.scoring import Scorer
from textrip.mining.triples import Group, Negative, Triples
from textrip.mining.verdicts import Decisions, Verdicts, texts_mark

# What a flag means, the gravest first.
FLAGS = {
    "judged": "judged relevant for the query",
    "same": "the text of a relevant document, or of the query",
    "near": "nearly the text of a relevant document",
    "above": "the model finds it as relevant as the least relevant of the positives",
    "zero": "shares no word with the query, though BM25 is said to have found it",
}
NAMES = {
    "judged": "judged relevant",
    "same": "same text",
    "near": "near-duplicate",
    "above": "above a positive",
    "zero": "zero score",
}
_TEXT = 700


@dataclass(frozen=True)
class Shown:
    """A document of an audited query.

    Attributes:
        doc_id: Its id.
        title: Of the document.
        text: Its first 700 characters.
        rank: In the ranking it was mined from; 0 where there was none.
        score: In that ranking.
        bm25_rank: In BM25's ranking, wherever it was mined; 0 where it shares no word with the query, None
            where BM25 was not asked.
        bm25_score: BM25's.
        source: bm25, dense, random or judged; positive.
        model: The model's score; None without a model.
        relative: The model's score less that of the lowest positive.
        flags: Of FLAGS, the gravest first; a document that a person accepted is not suspected for what it
            resembles.
        texts: The mark of the query's text and its own (see verdicts.texts_mark).
    """

    doc_id: str
    title: str
    text: str
    rank: int
    score: float
    bm25_rank: int | None
    bm25_score: float | None
    source: str
    model: float | None
    relative: float | None
    flags: tuple[str, ...]
    texts: str


@dataclass(frozen=True)
class Audited:
    """One query with its distinct negatives, the positives of its groups and the lowest of all positives."""

    query_id: str
    query: str
    positives: tuple[Shown, ...]
    negatives: tuple[Shown, ...]

    @property
    def suspicion(self) -> tuple[float, ...]:
        """More is worse: how many negatives have each flag, and how far the worst stands above."""
        counts = Counter(flag for negative in self.negatives for flag in negative.flags)
        highest = max(
            (negative.relative for negative in self.negatives if negative.relative is not None), default=-9.0
        )
        return (*(float(counts[flag]) for flag in FLAGS), highest)

    def to_dict(self) -> dict[str, Any]:
        """A line of the JSONL."""
        return asdict(self)


@dataclass(frozen=True)
class Audit:
    """The audited queries, the most suspicious first, and how many negatives were looked at."""

    queries: list[Audited]
    of: int
    model: str | None
    verdicts: Verdicts = field(default_factory=Verdicts)

    @property
    def negatives(self) -> list[Shown]:
        """Of all queries."""
        return [negative for query in self.queries for negative in query.negatives]

    @property
    def shares(self) -> dict[str, float | None]:
        """By flag, the share of the negatives that have it; None where no model was asked for it."""
        counts = Counter(flag for negative in self.negatives for flag in negative.flags)
        found: dict[str, float | None] = {flag: counts[flag] / max(1, len(self.negatives)) for flag in FLAGS}
        return found if self.model is not None else found | {"above": None}


def audit(
    triples: Triples,
    collection: Collection,
    *,
    scorer: Scorer | None = None,
    searcher: LexicalSearcher | None = None,
    verdicts: Verdicts | None = None,
    queries: int | None = None,
) -> Audit:
    """Look at triples.

    Args:
        triples: Mined from the collection.
        collection: Its texts and judgments.
        scorer: A model that says how relevant a document is.
        searcher: BM25 of the collection, which places what it did not find itself.
        verdicts: What a person decided before: what the page saves holds these, too.
        queries: At most so many, evenly taken; all where None.

    Raises:
        MismatchError: the triples name what the collection does not have.
    """
    triples.require(collection)
    by_query: dict[str, list[Group]] = {}
    for group in triples.groups:
        by_query.setdefault(group.query_id, []).append(group)
    ids = list(by_query)
    if queries is not None and queries < len(ids):
        ids = [ids[place * len(ids) // queries] for place in range(queries)]
    verdicts = Verdicts() if verdicts is None else verdicts.of(collection)
    look = _Look(collection, scorer, searcher, verdicts)
    look.score([by_query[query_id] for query_id in ids])
    found = [look.at(by_query[query_id]) for query_id in ids]
    return Audit(
        sorted(found, key=lambda one: (tuple(-part for part in one.suspicion), one.query_id)),
        len(by_query),
        None if scorer is None else scorer.name,
        verdicts,
    )


@dataclass(frozen=True)
class _Measured:
    """By doc_id what was asked about a query's documents, and the model's score of the lowest positive."""

    model: dict[str, float]
    bm25: dict[str, tuple[int, float]]
    least: float | None

    def relative(self, doc_id: str) -> float | None:
        """The model's score less that of the lowest positive."""
        return None if self.least is None else self.model[doc_id] - self.least


class _Look:
    def __init__(
        self,
        collection: Collection,
        scorer: Scorer | None,
        searcher: LexicalSearcher | None,
        verdicts: Verdicts,
    ) -> None:
        self.collection, self.scorer, self.searcher = collection, scorer, searcher
        self.texts = Texts(collection.texts)
        self.judged = JudgedTexts(collection)
        self.decided = Decisions(verdicts, collection, self.texts)
        self.scores: dict[tuple[str, str], float] = {}

    def score(self, queries: Sequence[list[Group]]) -> None:
        """Ask the model for all pairs at once."""
        if self.scorer is None:
            return
        pairs = [
            (groups[0].query_id, doc_id)
            for groups in queries
            for doc_id in [*self._positives(groups), *_negatives(groups)]
        ]
        asked = [
            (self.collection.query_texts[query_id], self.collection.doc_row[doc_id])
            for query_id, doc_id in pairs
        ]
        found = self.scorer.scores(asked, self.collection.texts)
        self.scores = dict(zip(pairs, found.astype(float).tolist(), strict=True))

    def _positives(self, groups: Sequence[Group]) -> list[str]:
        """What is judged relevant for the query's text, and the groups' own positives."""
        relevant = self.judged.relevant(self.collection.query_texts[groups[0].query_id])
        return sorted(relevant | {group.positive_id for group in groups})

    def at(self, groups: Sequence[Group]) -> Audited:
        """All groups of one query."""
        rows = self.collection.doc_row
        query_id = groups[0].query_id
        query = self.collection.query_texts[query_id]
        positives, negatives = self._positives(groups), _negatives(groups)
        measured = self._measured(query_id, positives, negatives)
        keys = {self.texts.key(rows[doc_id]) for doc_id in positives} | {hash(normalised(query))}
        # What the model's scores are relative to is shown, also where no group has it.
        lowest = [doc_id for doc_id in positives if measured.relative(doc_id) == 0]
        wanted = {group.positive_id for group in groups} | set(lowest[:1])
        against = []
        for doc_id, negative in negatives.items():
            row = rows[doc_id]
            relative = measured.relative(doc_id)
            accepted = self.decided.accepts(near_duplicate_key(query), row)
            flags = {
                "judged": doc_id in positives,
                "same": self.texts.key(row) in keys,
                "near": not accepted
                and self.texts.alike(row, [rows[positive] for positive in positives], THRESHOLD),
                "above": not accepted and relative is not None and relative >= 0,
                "zero": negative.source == "bm25" and negative.score <= 0,
            }
            raised = tuple(flag for flag in FLAGS if flags[flag])
            against.append(self._shown(query, negative, measured, flags=raised))
        shown = [
            self._shown(query, Negative(doc_id, 0, 0.0, "judged"), measured, source="positive")
            for doc_id in positives
            if doc_id in wanted
        ]
        return Audited(query_id, query, tuple(shown), tuple(against))

    def _measured(
        self, query_id: str, positives: Sequence[str], negatives: Mapping[str, Negative]
    ) -> _Measured:
        asked = [*dict.fromkeys([*positives, *negatives])]
        scores = {doc_id: self.scores[query_id, doc_id] for doc_id in asked if self.scorer is not None}
        places = {}
        if self.searcher is not None:
            rows = [self.collection.doc_row[doc_id] for doc_id in asked]
            found = self.searcher.places(self.collection.query_texts[query_id], rows)
            places = dict(zip(asked, found, strict=True))
        mined = {
            doc_id: (negative.rank, negative.score)
            for doc_id, negative in negatives.items()
            if negative.source == "bm25"
        }
        least = min((scores[doc_id] for doc_id in positives), default=None) if scores else None
        return _Measured(scores, places | mined, least)

    def _shown(
        self,
        query: str,
        negative: Negative,
        measured: _Measured,
        *,
        source: str | None = None,
        flags: tuple[str, ...] = (),
    ) -> Shown:
        doc_id = negative.doc_id
        place = self.collection.doc_row[doc_id]
        row = self.collection.corpus[place]
        text = row["text"] if len(row["text"]) <= _TEXT else row["text"][:_TEXT] + " ..."
        bm25_rank, bm25_score = measured.bm25.get(doc_id, (None, None))
        return Shown(
            doc_id=doc_id,
            title=row["title"],
            text=text,
            rank=negative.rank,
            score=negative.score,
            bm25_rank=bm25_rank,
            bm25_score=bm25_score,
            source=source or negative.source,
            model=measured.model.get(doc_id),
            relative=measured.relative(doc_id),
            flags=flags,
            texts=texts_mark(query, self.collection.texts[place]),
        )


def _negatives(groups: Sequence[Group]) -> dict[str, Negative]:
    """By doc_id; where a document is a negative twice, as a ranking found it, and not by chance."""
    found: dict[str, Negative] = {}
    for group in groups:
        for negative in group.negatives:
            if not found.get(negative.doc_id, negative).rank:
                found[negative.doc_id] = negative
            else:
                found.setdefault(negative.doc_id, negative)
    return found


def write_jsonl(audited: Audit, path: Path, *, force: bool = False) -> None:
    """One line a query, the most suspicious first."""
    with replacing(path, force=force) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for one in audited.queries:
            stream.write(json.dumps(one.to_dict(), ensure_ascii=False) + "\n")


def histogram(values: Iterable[float], edges: Sequence[float]) -> Iterator[tuple[float, float, int]]:
    """(begin, end, count) of each bin; what lies outside counts in the first or the last."""
    held = list(values)
    for place, (begin, end) in enumerate(pairwise(edges)):
        first, last = place == 0, place == len(edges) - 2
        yield begin, end, sum((first or value >= begin) and (last or value < end) for value in held)
