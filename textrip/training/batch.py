"""From groups to batches: which queries go together, which texts are encoded, what they are to each other."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

from textrip.data.collection import Collection
from textrip.data.judged_texts import JudgedTexts
from textrip.data.words import normalised
from textrip.encoding.encoder import Encoder
from textrip.mining.triples import Group, Triples
from textrip.training.names import Sampling
from textrip.training.relations import Relation

# A text shorter than this share of its bucket's longest begins a bucket of its own: less padding.
_BUCKET_SHARE = 0.6
_MIN_BUCKET = 4
# A bucket has at most so many padded tokens: what one pass of the transformer holds beside its activations.
_BUCKET_TOKENS = 16384


class QuerySampler(DefaultBatchSampler):  # type: ignore[misc]
    """Batches of groups: an epoch asks every query once, and takes its positives in turn.

    A query of a hundred positives is asked as often as one of one; by positive, an epoch asks every group
    once. The order is a function of seed and epoch alone.
    """

    def __init__(
        self, groups: Sequence[Group], *, batch_queries: int, seed: int, sampling: Sampling = "query"
    ) -> None:
        super().__init__(range(len(groups)), batch_size=batch_queries, drop_last=False, seed=seed)
        by_query: dict[str, list[int]] = defaultdict(list)
        for place, group in enumerate(groups):
            by_query[group.query_id].append(place)
        self.places = list(by_query.values())
        if sampling == "positive":
            self.places = [[place] for place in range(len(groups))]

    def __len__(self) -> int:
        return math.ceil(len(self.places) / int(self.batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        draw = np.random.default_rng((self.seed, self.epoch))
        order = draw.permutation(len(self.places))
        for start in range(0, len(order), self.batch_size):
            chosen = (self.places[query] for query in order[start : start + self.batch_size])
            yield [places[self.epoch % len(places)] for places in chosen]


class Bucketed:
    """Texts as padded buckets of like length; the trainer splits a batch by the prefixes of its keys."""

    valid_label_columns = ("label",)  # the trainer asks for it

    def __init__(self, encoder: Encoder) -> None:
        self.preprocess: Callable[..., dict[str, Any]] = encoder.model.preprocess
        self.count_tokens, self.max_length = encoder.count_tokens, encoder.max_length_tokens
        self.read = encoder.read
        self.prompts = {"query": encoder.prompt("query"), "document": encoder.prompt("document")}

    def in_buckets(self, texts: Sequence[str], kind: str) -> "Buckets":
        """Texts, the longest first, in padded buckets.

        Args:
            texts: n of them.
            kind: query or document.
        """
        prompt = self.prompts[kind]
        uncut = self.count_tokens([prompt + text for text in texts], cut=False)
        texts = self.read(texts, uncut)
        lengths = [min(length, self.max_length) for length in uncut]
        order = sorted(range(len(texts)), key=lambda place: (-lengths[place], place))
        return Buckets(
            order,
            [
                self.preprocess([texts[place] for place in order[bucket]], prompt=prompt or None)
                for bucket in _buckets([lengths[place] for place in order])
            ],
            sum(length > self.max_length for length in uncut),
        )


@dataclass(frozen=True)
class Buckets:
    """Texts of one kind, padded.

    Attributes:
        order: The places of the texts in the order that they have now.
        features: What the model takes, bucket by bucket.
        truncated: How many texts were cut.
    """

    order: list[int]
    features: list[dict[str, Any]]
    truncated: int


def numbered(features: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Buckets as one batch, in their order: the trainer splits it by the prefixes of its keys."""
    return {
        f"bucket{number}_{key}": value
        for number, bucket in enumerate(features)
        for key, value in bucket.items()
    }


class GroupCollator(Bucketed):
    """A batch of groups as distinct texts in buckets of like length, and their relations.

    With a power above 0 also their weights: the more groups a query has, the less each of them counts.

    The first buckets hold the queries, the others the documents.
    """

    def __init__(
        self, triples: Triples, collection: Collection, encoder: Encoder, *, weight_power: float = 0
    ) -> None:
        super().__init__(encoder)
        triples.require(collection)
        self.groups = triples.groups
        self.weight_power = weight_power
        self.groups_of = Counter(group.query_id for group in triples.groups)
        self.collection = collection
        texts = collection.query_texts
        self.asked = {group.query_id: normalised(texts[group.query_id]) for group in triples.groups}
        self.text_of, self.own_text = self._text_numbers()
        self.relevant = self._relevant_texts()

    def _text_numbers(self) -> tuple[np.ndarray[Any, np.dtype[np.int64]], dict[str, int]]:
        """(documents,): a number for every distinct normalised text, so that copies are one text.

        And from normalised query to the number of the text that is the query itself, where there is one.
        """
        numbers: dict[int, int] = {}
        keys = (hash(normalised(text)) for text in self.collection.texts)
        text_of = np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.int64)
        queries = self.asked.values()
        return text_of, {query: numbers[hash(query)] for query in queries if hash(query) in numbers}

    def _relevant_texts(self) -> dict[str, list[int]]:
        """From normalised query to the numbers of its relevant texts, over all splits and equal queries."""
        judged, rows = JudgedTexts(self.collection), self.collection.doc_row
        return {
            query: self.text_of[[rows[doc_id] for doc_id in judged.relevant(query)]].tolist()
            for query in set(self.asked.values())
        }

    def __call__(self, features: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Collate the groups at `features`' places; shapes as GroupLoss wants them."""
        groups = [self.groups[feature["group"]] for feature in features]
        queries = list(dict.fromkeys(self.collection.query_texts[group.query_id] for group in groups))
        rows = self._distinct_documents(groups)
        texts = [self.collection.texts[row] for row in rows]
        asked, documents = self.in_buckets(queries, "query"), self.in_buckets(texts, "document")
        row_of = {queries[place]: row for row, place in enumerate(asked.order)}
        anchors = [row_of[self.collection.query_texts[group.query_id]] for group in groups]
        relations = self._relations(groups, [rows[place] for place in documents.order])
        batch = numbered([*asked.features, *documents.features])
        batch["label"] = {
            "anchors": torch.tensor(anchors),
            "relations": torch.from_numpy(relations),
            "truncated": torch.tensor(asked.truncated + documents.truncated),
        }
        if self.weight_power:
            weights = [self.groups_of[group.query_id] ** -self.weight_power for group in groups]
            batch["label"]["weights"] = torch.tensor(weights)
        return batch

    def _distinct_documents(self, groups: Sequence[Group]) -> list[int]:
        """A corpus row for every distinct text among positives and negatives."""
        rows: dict[int, int] = {}
        for group in groups:
            for doc_id in (group.positive_id, *(negative.doc_id for negative in group.negatives)):
                row = self.collection.doc_row[doc_id]
                rows.setdefault(int(self.text_of[row]), row)
        return list(rows.values())

    def _relations(self, groups: Sequence[Group], rows: list[int]) -> np.ndarray[Any, np.dtype[np.int8]]:
        """(b, n) int8 of Relation."""
        numbers = self.text_of[rows]
        relations = np.full((len(groups), len(rows)), Relation.IN_BATCH, dtype=np.int8)
        for anchor, group in enumerate(groups):
            query = self.asked[group.query_id]
            mined = [self.text_of[self.collection.doc_row[negative.doc_id]] for negative in group.negatives]
            relations[anchor, np.isin(numbers, mined)] = Relation.MINED
            # The judgments come after the mined ones: what is relevant is no negative, whoever mined it.
            relations[anchor, np.isin(numbers, self.relevant[query])] = Relation.RELEVANT
            relations[anchor, numbers == self.own_text.get(query, -1)] = Relation.MASKED
            positive = self.text_of[self.collection.doc_row[group.positive_id]]
            relations[anchor, numbers == positive] = Relation.POSITIVE
        return relations


def _buckets(lengths: Sequence[int]) -> Iterator[slice]:
    """Slices of descending lengths, cut where padding would be wasted."""
    start = 0
    for place, length in enumerate(lengths):
        padded = place - start >= _MIN_BUCKET and length < _BUCKET_SHARE * lengths[start]
        full = place > start and (place - start + 1) * lengths[start] > _BUCKET_TOKENS
        if padded or full:
            yield slice(start, place)
            start = place
    yield slice(start, len(lengths))
