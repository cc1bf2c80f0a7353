"""Exact dense search: inner products of unit vectors, in blocks."""

import numpy as np
from numpy.typing import NDArray

from textrip import ranking

# float32 scores held at a time: 64 MiB.
_SCORES_A_BLOCK = 2**24


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
        rows = slice(start, start + block)
        indices[rows], scores[rows] = ranking.top_k(queries[rows] @ documents.T, k, order)
    return indices, scores
