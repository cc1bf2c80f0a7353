"""The one rule for ranks: score down, then doc_id up."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def id_order(doc_ids: Sequence[str]) -> NDArray[np.int64]:
    """The place of every document in ascending order of doc_id, shape (n,): what breaks ties."""
    order = np.empty(len(doc_ids), dtype=np.int64)
    order[sorted(range(len(doc_ids)), key=doc_ids.__getitem__)] = np.arange(len(doc_ids))
    return order


def top_k(
    scores: NDArray[np.floating], k: int, order: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """The k best columns of every row, best first; equal scores by `order` up.

    A partial selection finds the k-th score, and everything that ties with it takes part in the sort:
    a plain `argpartition` would keep an arbitrary one of the tied documents.

    Args:
        scores: (q, n), any float dtype, no NaN.
        k: How many; the result has min(k, n) columns.
        order: (n,) distinct ranks that break ties; the column's own place where None.

    Returns:
        Column indices (q, k) int64 and their scores (q, k) in the dtype of `scores`.
    """
    q, n = scores.shape
    k = min(k, n)
    indices = np.empty((q, k), dtype=np.int64)
    if k == 0:
        return indices, np.empty((q, 0), dtype=scores.dtype)
    for row in range(q):
        row_scores = scores[row]
        if k < n:
            kth = np.partition(row_scores, n - k)[n - k]
            candidates = np.flatnonzero(row_scores >= kth)
        else:
            candidates = np.arange(n)
        ties = candidates if order is None else order[candidates]
        indices[row] = candidates[np.lexsort((ties, -row_scores[candidates]))[:k]]
    return indices, np.take_along_axis(scores, indices, axis=1)
