"""From rankings to groups: candidates in their order, through the filters, until a group has enough."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.judged_texts import JudgedTexts
from textrip.data.own import own_row
from textrip.data.words import normalised
from textrip.forked import cached_property
from textrip.mining.filters import (
    DENOISED,
    JUDGED,
    NEAR_DUPLICATE,
    REJECTED,
    SAME_TEXT,
    Denoiser,
    Dropped,
    Texts,
)
from textrip.mining.settings import MineSettings
from textrip.mining.shares import shares
from textrip.mining.triples import Group, Negative, Source
from textrip.mining.verdicts import Decisions, Verdicts

# So many documents are drawn for a random negative before there is none.
_DRAWS = 20

# Places and scores of documents, best first.
Ranking = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True)
class Known:
    """What is judged for a query's text, worked out once: thousands of documents may share a title.

    Attributes:
        query: The text, as it counts for being the same (see `normalised`).
        relevant: The places of what is relevant, ascending.
        texts: The keys of their texts, with and without a title.
        not_relevant: The doc_ids that are judged and not relevant, in their order.
    """

    query: str
    relevant: dict[int, None]
    texts: frozenset[int]
    not_relevant: list[str]


@dataclass
class Slot:
    """A group to be: candidates by source, each until so many of them are taken."""

    query_id: str
    query: str
    positive: str
    known: Known
    judged: list[Negative]
    streams: list[tuple[Iterator[Negative], int]]
    seen: set[int]
    taken: list[Negative] = field(default_factory=list)


@dataclass
class Miner:
    """Makes the groups of one batch of queries after another.

    Attributes:
        collection: What is mined.
        settings: How.
        denoiser: The filter by a model, if there is one.
        verdicts: What a person decided.
        dropped: Counts what was left out.
    """

    collection: Collection
    settings: MineSettings
    denoiser: Denoiser | None
    verdicts: Verdicts = field(default_factory=Verdicts)
    dropped: Dropped = field(default_factory=Dropped)

    def __post_init__(self) -> None:
        self.texts = Texts(self.collection)
        self.judged = JudgedTexts(self.collection)
        self._known: dict[str, Known] = {}
        self.decided = Decisions(self.verdicts, self.collection, self.texts)

    @cached_property
    def _by_id(self) -> NDArray[np.int64]:
        """Places in the order of doc_id: what is drawn is the same whatever the order of the data."""
        return np.argsort(self.collection.doc_order)

    def wanted(self, query_id: str, query: str, rankings: dict[Source, Ranking]) -> list[Slot]:
        """One slot for every positive of a query; none where it has no positive."""
        settings, rows = self.settings, self.collection.doc_row
        known = self._judgments(normalised(query))
        here = self.collection.judged(settings.split)[query_id]
        positives = sorted(doc_id for doc_id, grade in here.items() if grade > 0 and doc_id in rows)
        draw = random.Random(f"{settings.seed}:{query_id}")  # noqa: S311  # of its own: order does not matter
        if len(positives) > settings.positives:
            positives = sorted(draw.sample(positives, settings.positives))
        # What one source draws does not hang on whether another one draws.
        draws: dict[Source, random.Random] = {
            "bm25": draw,
            "dense": random.Random(f"{settings.seed}:{query_id}:dense"),  # noqa: S311
        }
        own = own_row(self.collection, query_id)
        judged, seen = self._judged(query_id, known, own)
        windows: dict[Source, Window] = {
            source: Window(self, query_id, own, ranking, source, known, seen)
            for source, ranking in rankings.items()
        }
        most = shares(settings.negatives - len(judged), dense=settings.dense, random=settings.random)
        return [
            Slot(
                query_id,
                query,
                positive,
                known,
                judged,
                [
                    *((window.candidates(draws[source]), most[source]) for source, window in windows.items()),
                    (self._chance(query_id, positive, own), most["random"]),
                ],
                set(seen),
            )
            for positive in positives
        ]

    def _judgments(self, text: str) -> Known:
        """By text and over every split.

        What is relevant for a question in dev, or where it is asked again under another id, is no negative in
        train.
        """
        if text not in self._known:
            rows = sorted(self.collection.doc_row[doc_id] for doc_id in self.judged.relevant(text))
            keys = frozenset(key for row in rows for key in self.texts.keys(row))
            not_relevant = sorted(self.judged.not_relevant(text))
            self._known[text] = Known(text, dict.fromkeys(rows), keys, not_relevant)
        return self._known[text]

    def filled(self, wanted: Sequence[list[Slot]]) -> list[Group]:
        """The groups of the slots, each with the first candidates that pass the filters."""
        slots = [slot for those in wanted for slot in those]
        if self.denoiser is not None:
            self.denoiser.learn((slot.query, slot.known.relevant) for slot in slots)
        for stream in range(max((len(slot.streams) for slot in slots), default=0)):
            self._fill(slots, stream)
        return [
            Group(slot.query_id, slot.positive, (*slot.judged, *slot.taken))
            for slot in slots
            if slot.judged or slot.taken or self.denoiser is not None
        ]

    def _fill(self, slots: Sequence[Slot], stream: int) -> None:
        """Take candidates of one source in rounds: a model scores those of all slots at once."""
        taken: dict[int, list[Negative]] = {place: [] for place in range(len(slots))}
        open_slots = list(taken)
        while open_slots:
            pulled = [
                (place, candidate)
                for place in open_slots
                for candidate in islice(
                    self._allowed(slots[place], slots[place].streams[stream][0]),
                    slots[place].streams[stream][1] - len(taken[place]),
                )
            ]
            for (place, candidate), good in zip(pulled, self._kept(slots, pulled), strict=True):
                if good:
                    taken[place].append(candidate)
                else:
                    row = self.collection.doc_row[candidate.doc_id]
                    self.dropped.add(slots[place].query_id, row, DENOISED)
            open_slots = sorted({place for place, _ in pulled})
            open_slots = [
                place for place in open_slots if len(taken[place]) < slots[place].streams[stream][1]
            ]
        for place, negatives in taken.items():
            # As they came: of a mining that draws, the first n are those that a mining of n would draw.
            slots[place].taken += negatives

    def _kept(self, slots: Sequence[Slot], pulled: Sequence[tuple[int, Negative]]) -> list[bool]:
        if self.denoiser is None:
            return [True] * len(pulled)
        rows = self.collection.doc_row
        kept = self.denoiser.keeps(
            [(slots[place].query, rows[candidate.doc_id]) for place, candidate in pulled]
        )
        return [
            good or self.decided.accepts(slots[place].query, rows[candidate.doc_id])
            for good, (place, candidate) in zip(kept, pulled, strict=True)
        ]

    def _allowed(self, slot: Slot, candidates: Iterator[Negative]) -> Iterator[Negative]:
        """Candidates whose text is not yet there and resembles none of the relevant ones."""
        threshold = self.settings.near_duplicates
        for candidate in candidates:
            row = self.collection.doc_row[candidate.doc_id]
            if self._says(row, slot.known) or self.texts.key(row) in slot.seen:
                continue
            slot.seen.add(self.texts.key(row))
            if self.decided.rejects(slot.query, row):
                self.dropped.add(slot.query_id, row, REJECTED)
                continue
            if self.decided.accepts(slot.query, row):
                yield candidate
                continue
            if threshold is not None and self.texts.alike(row, slot.known.relevant, threshold):
                self.dropped.add(slot.query_id, row, NEAR_DUPLICATE)
                continue
            yield candidate

    def _says(self, row: int, known: Known) -> bool:
        """Whether a document has the text of what is relevant, or the query's: whatever its id or title."""
        return bool(self.texts.keys(row) & known.texts) or self.texts.asks(row, known.query)

    def _judged(self, query_id: str, known: Known, own: int | None) -> tuple[list[Negative], set[int]]:
        """Documents that were judged and are not relevant, and the keys of the texts that were looked at.

        What resembles a relevant document, or a model finds relevant, is one: a judgment says that it is not.
        """
        found: list[Negative] = []
        seen: set[int] = set()
        for doc_id in known.not_relevant:
            row = self.collection.doc_row[doc_id]
            if len(found) == self.settings.negatives:
                break
            if row == own:
                continue
            key = self.texts.key(row)  # of the whole text: a judgment tells one title from another
            if key in known.texts or key == hash(known.query) or key in seen:
                self.dropped.add(query_id, row, SAME_TEXT)
                continue
            seen.add(self.texts.key(row))
            if self.decided.rejects(known.query, row):
                self.dropped.add(query_id, row, REJECTED)
            else:
                found.append(Negative(doc_id, 0, 0.0, "judged"))
        return found, seen

    def _chance(self, query_id: str, positive: str, own: int | None) -> Iterator[Negative]:
        """Documents of the whole corpus, drawn by seed, query and positive."""
        draw = random.Random(f"{self.settings.seed}:{query_id}:{positive}")  # noqa: S311  # a seed, no secret
        for _ in range(_DRAWS * self.settings.random):
            row = int(self._by_id[draw.randrange(len(self._by_id))])
            if row != own:
                yield Negative(self.collection.doc_ids[row], 0, 0.0, "random")


@dataclass
class Window:
    """What a ranking offers a query: below the skipped ranks, within the scores, each text once."""

    miner: Miner
    query_id: str
    own: int | None
    ranking: Ranking
    source: Source
    known: Known
    judged: set[int]

    def candidates(self, draw: random.Random) -> Iterator[Negative]:
        """The hardest first; in an order that is drawn, where the settings sample."""
        if not self.miner.settings.sample:
            return self._ranked()
        window = list(self._ranked())
        return iter(draw.sample(window, len(window)))

    def _ranked(self) -> Iterator[Negative]:
        settings, texts = self.miner.settings, self.miner.texts
        collection, (places, scores) = self.miner.collection, self.ranking
        # A query that is a document is its own best one: it is no rank to skip, and no score to compare with.
        ranked = [
            (rank, row, score)
            for rank, (row, score) in enumerate(zip(places.tolist(), scores.tolist(), strict=True), start=1)
            if row != self.own
        ]
        best = ranked[0][2] if ranked else 0.0
        window = settings.least_score * best, settings.most_score * best
        seen = set(self.judged)
        for rank, row, score in ranked[settings.skip :]:
            if self.source == "bm25" and not window[0] <= score <= window[1]:
                continue
            relevant = row in self.known.relevant
            if relevant or self.miner._says(row, self.known) or texts.key(row) in seen:
                why = JUDGED if relevant else SAME_TEXT
                self.miner.dropped.add(self.query_id, row, why)
                continue
            seen.add(texts.key(row))
            # As the file will have it: triples that were written and read again are the same ones.
            yield Negative(collection.doc_ids[row], rank, float(np.float32(score)), self.source)
