"""Exact dense search: inner products of unit vectors, in blocks."""

import numpy as np
from numpy.typing import NDArray

from textrip import ranking

# float32 scores held at a time: 64 MiB.
_SCORES_A_BLOCK = 2**24
# More than the float32 product of two unit vectors is ever off by.
_ROUNDING = 1e-5


def dense_top_k(
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    k: int,
    order: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest documents of every query by inner product (cosine, for unit vectors).

    Args:
        queries: (q, d) float32.
        documents: (n, d) float32.
        k: How many; at most n.
        order: (n,) what breaks ties (see ranking.id_order); the row where None.

    Returns:
        Rows (q, k) int64 and scores (q, k) float32, best first.
    """
    k = min(k, len(documents))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    block = max(1, _SCORES_A_BLOCK // max(1, len(documents)))
    for start in range(0, len(queries), block):
        rough = queries[start : start + block] @ documents.T
        for row, row_scores in enumerate(rough, start=start):
            indices[row], scores[row] = _exact_top_k(queries[row], documents, row_scores, k, order)
    return indices, scores


def _exact_top_k(
    query: NDArray[np.float32],
    documents: NDArray[np.float32],
    rough: NDArray[np.float32],
    k: int,
    order: NDArray[np.int64] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best of one query, (k,) and (k,): the matrix product's candidates, scored again one by one.

    A matrix product rounds equal rows differently by their place, so that copies of a document would
    stand in an order of their own; summed row by row they have one score, and doc_id decides.
    """
    n = len(rough)
    if k == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    kth = np.partition(rough, n - k)[n - k]
    near = np.flatnonzero(rough >= kth - _ROUNDING)
    exact = (documents[near].astype(np.float64) * query).sum(axis=1).astype(np.float32)
    places, best = ranking.top_k(exact[None, :], k, near if order is None else order[near])
    return near[places[0]], best[0]
