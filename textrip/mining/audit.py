"""The audit: what mined negatives look like beside their positives, the suspects first.

Judged by the triples, the collection's judgments, the texts and, where there is one, a model's scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textrip.data.collection import Collection
from textrip.data.judged_texts import JudgedTexts
from textrip.data.near_duplicates import THRESHOLD
from textrip.data.words import normalised
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.audited import FLAGS, Audit, Audited, Shown
from textrip.mining.filters import Texts
from textrip.mining.scoring import Scorer
from textrip.mining.triples import Group, Negative, Triples
from textrip.mining.verdicts import Decisions, Verdicts, texts_mark

_TEXT = 700


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
    verdicts = Verdicts() if verdicts is None else verdicts.of(collection, tell=False)  # mining told
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
        self.texts = Texts(collection)
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
        keys = {key for doc_id in positives for key in self.texts.keys(rows[doc_id])}
        # What the model's scores are relative to is shown, also where no group has it.
        lowest = [doc_id for doc_id in positives if measured.relative(doc_id) == 0]
        wanted = {group.positive_id for group in groups} | set(lowest[:1])
        against = []
        for doc_id, negative in negatives.items():
            row = rows[doc_id]
            relative = measured.relative(doc_id)
            accepted = self.decided.accepts(query, row)
            flags = {
                "judged": doc_id in positives,
                "same": bool(self.texts.keys(row) & keys) or self.texts.asks(row, normalised(query)),
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
