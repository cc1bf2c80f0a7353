"""What is trained on: grouped triples, or labelled texts; what the training asks of either."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from sentence_transformers.base.sampler import DefaultBatchSampler

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.triples import Triples
from textrip.training.batch import GroupCollator, QuerySampler
from textrip.training.label_batch import LabelCollator, LabelSampler
from textrip.training.settings import TrainSettings

Collator = Callable[[Sequence[dict[str, int]]], dict[str, Any]]


class Material(Protocol):
    """Rows to draw batches from."""

    @property
    def size(self) -> int:
        """How many rows there are."""

    @property
    def labels(self) -> list[str]:
        """The distinct labels, where the rows are labelled texts; else none."""

    @property
    def has_mined(self) -> bool:
        """Whether any row has a mined negative."""

    def sampler(self, settings: TrainSettings) -> DefaultBatchSampler:
        """Which rows make a batch."""

    def collator(self, encoder: Encoder, settings: TrainSettings, *, mined: bool = True) -> Collator:
        """From rows to a batch; without the mined negatives where they are not compared."""

    def identity(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one that was begun."""

    def about(self) -> dict[str, Any]:
        """For the manifest."""


class GroupedTriples:
    """Groups of a query, a positive and mined negatives."""

    labels: list[str] = []  # noqa: RUF012  # never changed

    def __init__(self, collection: Collection, triples: Triples) -> None:
        self.collection, self.triples = collection, triples

    @property
    def size(self) -> int:
        """A row is a group."""
        return len(self.triples)

    @property
    def has_mined(self) -> bool:
        """Whether any group has a mined negative."""
        return any(group.negatives for group in self.triples.groups)

    def sampler(self, settings: TrainSettings) -> DefaultBatchSampler:
        """An epoch asks every query once, or every group."""
        return QuerySampler(
            self.triples.groups,
            batch_queries=settings.batch_queries,
            seed=settings.seed,
            sampling=settings.sampling,
        )

    def collator(self, encoder: Encoder, settings: TrainSettings, *, mined: bool = True) -> Collator:
        """Distinct texts in buckets, what they are to each query, and what each query counts."""
        triples = self.triples
        if not mined:
            triples = replace(triples, groups=[replace(group, negatives=()) for group in triples.groups])
        return GroupCollator(triples, self.collection, encoder, weight_power=settings.weight_power)

    def identity(self) -> dict[str, Any]:
        """The data's and the triples' digests."""
        return {
            "collection_sha256": self.collection.fingerprint,
            "triples_sha256": self.triples.fingerprint,
        }

    def about(self) -> dict[str, Any]:
        """How much there is, and how it was mined."""
        return {
            "collection": self.collection.name,
            "collection_sha256": self.collection.fingerprint,
            "queries": len({group.query_id for group in self.triples.groups}),
            "groups": len(self.triples),
            "triples": self.triples.count,
            "mining": self.triples.provenance.get("settings"),
            # Which model the negatives were filtered by, and why or why not where that was auto.
            "denoised_by": self.triples.provenance.get("denoise"),
            "trust": self.triples.provenance.get("trust"),
        }


class LabelledTexts:
    """The texts of a collection, each with a label."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.sampled = LabelSampler(collection, batch_labels=2, texts_per_label=2, seed=0)
        self.labels = self.sampled.labels

    @property
    def size(self) -> int:
        """A row is a text."""
        return len(self.collection.corpus)

    has_mined = False

    def sampler(self, settings: TrainSettings) -> DefaultBatchSampler:
        """Batches of P labels with K texts each."""
        return LabelSampler(
            self.collection,
            batch_labels=settings.batch_queries,
            texts_per_label=settings.texts_per_label,
            seed=settings.seed,
        )

    def collator(self, encoder: Encoder, settings: TrainSettings, *, mined: bool = True) -> Collator:
        """Distinct texts in buckets, and what they are to one another."""
        return LabelCollator(self.collection, self.labels, encoder)

    def identity(self) -> dict[str, Any]:
        """The data's digest."""
        return {"collection_sha256": self.collection.fingerprint, "by_label": True}

    def about(self) -> dict[str, Any]:
        """How much there is."""
        return {
            "collection": self.collection.name,
            "collection_sha256": self.collection.fingerprint,
            "texts": self.size,
            "labels": len(self.labels),
        }
