"""What an audit finds: queries with their negatives, the flags of each, and the shares of all."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from textrip.mining.verdicts import Verdicts
from textrip.replacing import replacing

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
