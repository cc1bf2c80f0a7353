"""From groups to batches: which queries go together, which texts are encoded, what they are to each other."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

from textrip.data.collection import Collection
from textrip.data.split import normalised
from textrip.encoding.encoder import Encoder
from textrip.mining.triples import Group, Triples
from textrip.training.relations import Relation

# A text shorter than this share of its bucket's longest begins a bucket of its own: less padding.
_BUCKET_SHARE = 0.6
_MIN_BUCKET = 4


class QuerySampler(DefaultBatchSampler):  # type: ignore[misc]
    """Batches of groups: an epoch asks every query once, and takes its positives in turn.

    A query of a hundred positives is asked as often as one of one. The order is a function of seed and
    epoch alone.
    """

    def __init__(self, groups: Sequence[Group], *, batch_queries: int, seed: int) -> None:
        super().__init__(range(len(groups)), batch_size=batch_queries, drop_last=False, seed=seed)
        by_query: dict[str, list[int]] = defaultdict(list)
        for place, group in enumerate(groups):
            by_query[group.query_id].append(place)
        self.places = list(by_query.values())

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
        self.prompts = {"query": encoder.prompt("query"), "document": encoder.prompt("document")}

    def in_buckets(
        self, texts: Sequence[str], uncut: Sequence[int], kind: str, *, first: int
    ) -> tuple[list[int], dict[str, Any]]:
        """Texts, the longest first, in buckets that are numbered from `first`.

        Args:
            texts: n of them.
            uncut: By text its tokens, before it is cut.
            kind: query or document.
            first: The first bucket's number.

        Returns:
            The places of the texts in the order that they have now, and the batch.
        """
        lengths = [min(length, self.max_length) for length in uncut]
        order = sorted(range(len(texts)), key=lambda place: (-lengths[place], place))
        batch: dict[str, Any] = {}
        for number, bucket in enumerate(_buckets([lengths[place] for place in order]), start=first):
            batch |= self.bucket(number, [texts[place] for place in order[bucket]], kind)
        return order, batch

    def bucket(self, number: int, texts: list[str], kind: str) -> dict[str, Any]:
        """One padded bucket."""
        features = self.preprocess(texts, prompt=self.prompts[kind] or None)
        return {f"bucket{number}_{key}": value for key, value in features.items()}


class GroupCollator(Bucketed):
    """A batch of groups as distinct texts in buckets of like length, and their relations.

    The buckets' keys are `bucket0_input_ids` and so on: the trainer splits features by that prefix. The
    first bucket holds the queries, the others the documents.
    """

    def __init__(self, triples: Triples, collection: Collection, encoder: Encoder) -> None:
        super().__init__(encoder)
        triples.require(collection)
        self.groups = triples.groups
        self.collection = collection
        self.text_of = self._text_numbers()
        self.relevant = self._relevant_texts()

    def _text_numbers(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(documents,): a number for every distinct normalised text, so that copies are one text."""
        numbers: dict[int, int] = {}
        keys = (hash(normalised(text)) for text in self.collection.texts)
        return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.int64)

    def _relevant_texts(self) -> dict[str, set[int]]:
        """From normalised query to the numbers of its relevant texts, over all splits and equal queries."""
        relevant: dict[str, set[int]] = defaultdict(set)
        for qrels in self.collection.qrels.values():
            for query_id, judged in qrels.items():
                query = self.collection.query_texts.get(query_id)
                if query is None:
                    continue
                relevant[normalised(query)].update(
                    int(self.text_of[self.collection.doc_row[doc_id]])
                    for doc_id, grade in judged.items()
                    if grade > 0 and doc_id in self.collection.doc_row
                )
        return relevant

    def __call__(self, features: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Collate the groups at `features`' places; shapes as GroupLoss wants them."""
        groups = [self.groups[feature["group"]] for feature in features]
        queries = self._queries(groups)
        rows = self._distinct_documents(groups)
        texts = [self.collection.texts[row] for row in rows]
        uncut = self.count_tokens([*queries, *texts], cut=False)
        batch = self.bucket(0, list(queries), "query")  # first: the trainer keeps the order of the keys
        order, documents = self.in_buckets(texts, uncut[len(queries) :], "document", first=1)
        batch |= documents
        rows = [rows[place] for place in order]
        anchors = [queries[self.collection.query_texts[group.query_id]] for group in groups]
        relations = self._relations(groups, rows)
        batch["label"] = {
            "anchors": torch.tensor(anchors),
            "relations": torch.from_numpy(relations),
            "truncated": torch.tensor(sum(length > self.max_length for length in uncut)),
        }
        return batch

    def _queries(self, groups: Sequence[Group]) -> dict[str, int]:
        """From distinct query text to its row in the first bucket."""
        queries: dict[str, int] = {}
        for group in groups:
            queries.setdefault(self.collection.query_texts[group.query_id], len(queries))
        return queries

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
            query = normalised(self.collection.query_texts[group.query_id])
            mined = [self.text_of[self.collection.doc_row[negative.doc_id]] for negative in group.negatives]
            relations[anchor, np.isin(numbers, mined)] = Relation.MINED
            # The judgments come after the mined ones: what is relevant is no negative, whoever mined it.
            relations[anchor, np.isin(numbers, list(self.relevant[query]))] = Relation.RELEVANT
            same = [
                place for place, row in enumerate(rows) if normalised(self.collection.texts[row]) == query
            ]
            relations[anchor, same] = Relation.MASKED
            positive = self.text_of[self.collection.doc_row[group.positive_id]]
            relations[anchor, numbers == positive] = Relation.POSITIVE
        return relations


def _buckets(lengths: Sequence[int]) -> Iterator[slice]:
    """Slices of descending lengths, cut where padding would be wasted."""
    start = 0
    for place, length in enumerate(lengths):
        if place - start >= _MIN_BUCKET and length < _BUCKET_SHARE * lengths[start]:
            yield slice(start, place)
            start = place
    yield slice(start, len(lengths))
