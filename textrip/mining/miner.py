"""From rankings to groups: candidates in their order, through the filters, until a group has enough."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.judged_texts import JudgedTexts
from textrip.data.split import normalised
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
from textrip.mining.triples import Group, Negative, Source
from textrip.mining.verdicts import Verdicts

# So many documents are drawn for a random negative before there is none.
_DRAWS = 20

# Places and scores of documents, best first.
Ranking = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass
class Slot:
    """A group to be: candidates by source, each until so many of them are taken."""

    query_id: str
    query: str
    positive: str
    relevant: Sequence[int]
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
        self.texts = Texts(self.collection.texts)
        self.judged = JudgedTexts(self.collection)

    @cached_property
    def _by_id(self) -> NDArray[np.int64]:
        """Places in the order of doc_id: what is drawn is the same whatever the order of the data."""
        return np.argsort(self.collection.doc_order)

    def wanted(self, query_id: str, query: str, rankings: dict[Source, Ranking]) -> list[Slot]:
        """One slot for every positive of a query; none where it has no positive."""
        settings, rows = self.settings, self.collection.doc_row
        # By text and over every split: what is relevant for this question in dev, or where it is asked again
        # under another id, is no negative in train.
        relevant = self.judged.relevant(query)
        here = self.collection.judged(settings.split)[query_id]
        positives = sorted(doc_id for doc_id, grade in here.items() if grade > 0 and doc_id in rows)
        draw = random.Random(f"{settings.seed}:{query_id}")  # noqa: S311  # of its own: order does not matter
        if len(positives) > settings.positives:
            positives = sorted(draw.sample(positives, settings.positives))
        relevant_rows = sorted(rows[doc_id] for doc_id in relevant)
        barred = {self.texts.key(row) for row in relevant_rows} | {hash(normalised(query))}
        judged = self._judged(query_id, self.judged.not_relevant(query), barred)
        windows: dict[Source, Window] = {
            source: Window(self, query_id, ranking, source, barred, set(relevant_rows))
            for source, ranking in rankings.items()
        }
        left = settings.negatives - len(judged)
        by_chance = min(settings.random, left)
        by_encoder = min(settings.dense, left - by_chance)
        shares: dict[Source, int] = {"bm25": left - by_chance - by_encoder, "dense": by_encoder}
        return [
            Slot(
                query_id,
                query,
                positive,
                relevant_rows,
                judged,
                [
                    *((window.candidates(draw), shares[source]) for source, window in windows.items()),
                    (self._chance(query_id, positive), by_chance),
                ],
                set(barred),
            )
            for positive in positives
        ]

    def filled(self, wanted: Sequence[list[Slot]]) -> list[Group]:
        """The groups of the slots, each with the first candidates that pass the filters."""
        slots = [slot for those in wanted for slot in those]
        if self.denoiser is not None:
            self.denoiser.learn((slot.query, slot.relevant) for slot in slots)
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
            slots[place].taken += sorted(negatives, key=lambda negative: (negative.rank, negative.doc_id))

    def _kept(self, slots: Sequence[Slot], pulled: Sequence[tuple[int, Negative]]) -> list[bool]:
        if self.denoiser is None:
            return [True] * len(pulled)
        rows = self.collection.doc_row
        kept = self.denoiser.keeps(
            [(slots[place].query, rows[candidate.doc_id]) for place, candidate in pulled]
        )
        accepted = self.verdicts.accepted
        return [
            good or (slots[place].query_id, candidate.doc_id) in accepted
            for good, (place, candidate) in zip(kept, pulled, strict=True)
        ]

    def _allowed(self, slot: Slot, candidates: Iterator[Negative]) -> Iterator[Negative]:
        """Candidates whose text is not yet there and resembles none of the relevant ones."""
        threshold = self.settings.near_duplicates
        for candidate in candidates:
            row = self.collection.doc_row[candidate.doc_id]
            if self.texts.key(row) in slot.seen:
                continue
            slot.seen.add(self.texts.key(row))
            pair = slot.query_id, candidate.doc_id
            if pair in self.verdicts.rejected:
                self.dropped.add(slot.query_id, row, REJECTED)
                continue
            if pair in self.verdicts.accepted:
                yield candidate
                continue
            if threshold is not None and self.texts.alike(row, slot.relevant, threshold):
                self.dropped.add(slot.query_id, row, NEAR_DUPLICATE)
                continue
            yield candidate

    def _judged(self, query_id: str, doc_ids: set[str], barred: set[int]) -> list[Negative]:
        """Documents that were judged and are not relevant; their texts are barred from then on.

        What resembles a relevant document, or a model finds relevant, is one: a judgment says that it is not.
        """
        found: list[Negative] = []
        for doc_id in sorted(doc_ids - {query_id}):
            row = self.collection.doc_row[doc_id]
            if len(found) == self.settings.negatives:
                break
            if self.texts.key(row) in barred:
                self.dropped.add(query_id, row, SAME_TEXT)
                continue
            barred.add(self.texts.key(row))
            if (query_id, doc_id) in self.verdicts.rejected:
                self.dropped.add(query_id, row, REJECTED)
            else:
                found.append(Negative(doc_id, 0, 0.0, "judged"))
        return found

    def _chance(self, query_id: str, positive: str) -> Iterator[Negative]:
        """Documents of the whole corpus, drawn by seed, query and positive."""
        draw = random.Random(f"{self.settings.seed}:{query_id}:{positive}")  # noqa: S311  # a seed, no secret
        for _ in range(_DRAWS * self.settings.random):
            doc_id = self.collection.doc_ids[int(self._by_id[draw.randrange(len(self._by_id))])]
            if doc_id != query_id:
                yield Negative(doc_id, 0, 0.0, "random")


@dataclass
class Window:
    """What a ranking offers a query: below the skipped ranks, within the scores, each text once."""

    miner: Miner
    query_id: str
    ranking: Ranking
    source: Source
    barred: set[int]
    relevant: set[int]

    def candidates(self, draw: random.Random) -> Iterator[Negative]:
        """The hardest first; in an order that is drawn, where the settings sample."""
        if not self.miner.settings.sample:
            return self._ranked()
        window = list(self._ranked())
        return iter(draw.sample(window, len(window)))

    def _ranked(self) -> Iterator[Negative]:
        settings, texts = self.miner.settings, self.miner.texts
        places, scores = self.ranking
        best = float(scores[0]) if len(scores) else 0.0
        seen = set(self.barred)
        for rank, (row, score) in enumerate(zip(places.tolist(), scores.tolist(), strict=True), start=1):
            doc_id = self.miner.collection.doc_ids[row]
            if rank <= settings.skip or doc_id == self.query_id:
                continue
            window = settings.least_score * best, settings.most_score * best
            if self.source == "bm25" and not window[0] <= score <= window[1]:
                continue
            if row in self.relevant or texts.key(row) in seen:
                why = JUDGED if row in self.relevant else SAME_TEXT
                self.miner.dropped.add(self.query_id, row, why)
                continue
            seen.add(texts.key(row))
            # As the file will have it: triples that were written and read again are the same ones.
            yield Negative(doc_id, rank, float(np.float32(score)), self.source)
