"""Hybrid's fusion, chosen by nDCG@10 on a split that is not test."""

from typing import TYPE_CHECKING, Any

import numpy as np

from textrip.data.own import judged_without_own
from textrip.errors import InputError
from textrip.retrieval.fusion import DEPTH, Fusion
from textrip.retrieval.snapshot import Ranked, Snapshot

if TYPE_CHECKING:
    from textrip.data.collection import Collection
    from textrip.retrieval.index import Index

_WEIGHTS = [round(float(weight), 2) for weight in np.linspace(0.0, 1.0, 21)]
_K = 10


def tuned(index: "Index", collection: "Collection", *, split: str, without_own_id: bool = False) -> Fusion:
    """The best of reciprocal rank fusion and 21 weights of a convex combination.

    Args:
        index: Of the collection.
        collection: With judgments for the split.
        split: Which queries.
        without_own_id: A document with the query's own id is no answer (see eval/evaluate.py).

    Raises:
        InputError: the split is test, or has no judgments of documents that are in the index.
    """
    if split == "test":
        raise InputError("a fusion is not tuned on test: what is tuned there cannot be measured there")
    judged = judged_without_own(collection, split) if without_own_id else collection.judged(split)
    texts = collection.queries_of(split)
    queries = {query_id: texts[query_id] for query_id in judged}
    asked = index.encoder.encode(list(queries.values()), kind="query")

    def read(snapshot: Snapshot) -> Fusion:
        row_of = {snapshot.doc_id(int(row)): int(row) for row in snapshot.rows}
        own = [row_of.get(query) if without_own_id else None for query in queries]
        dense = _without(own, snapshot.dense(asked, DEPTH))
        words = _without(own, snapshot.bm25(list(queries.values()), DEPTH))
        completed = [
            snapshot.completed(*each) for each in zip(queries.values(), asked, dense, words, strict=True)
        ]
        ranked = [(one[:2], other[:2]) for one, other in zip(dense, words, strict=True)]
        gains = [
            {row_of[doc_id]: grade for doc_id, grade in grades.items() if doc_id in row_of}
            for grades in judged.values()
        ]
        if not any(any(grade > 0 for grade in gain.values()) for gain in gains):
            raise InputError(f"{collection.name}: no relevant document of split {split!r} is in the index")
        where = f"{collection.name}, split {split}"
        fusions = [Fusion(weight=weight) for weight in (None, *_WEIGHTS)]
        values = [
            float(np.mean([
                _ndcg(fusion(*both, _K, snapshot.order)[0], gain)
                for both, gain in zip(ranked if fusion.by_ranks else completed, gains, strict=True)
            ]))
            for fusion in fusions
        ]  # fmt: skip
        best = max(range(len(fusions)), key=lambda place: (values[place], -place))  # a tie goes to ranks
        return Fusion(weight=fusions[best].weight, tuned_on=where, queries=len(queries))

    return index.states.read(read)


def _without(own: list[int | None], found: list[Ranked]) -> list[Ranked]:
    """Rankings without a row each."""
    return [
        (rows[rows != row], scores[rows != row], passages[rows != row])
        for row, (rows, scores, passages) in zip(own, found, strict=True)
    ]


def _ndcg(rows: Any, gain: dict[int, int]) -> float:
    """nDCG@10 with graded gains, as trec_eval has it."""
    discounts = 1 / np.log2(np.arange(2, _K + 2))
    ideal = np.sort([grade for grade in gain.values() if grade > 0])[::-1][:_K]
    if not len(ideal):
        return 0.0
    found = np.asarray([max(0, gain.get(row, 0)) for row in rows.tolist()], dtype=float)
    return float((found * discounts[: len(found)]).sum() / (ideal * discounts[: len(ideal)]).sum())
