"""Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): ranks are summed, scores ignored."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RRF_K = 60
# How deep a ranking is taken into a fusion, as deep as trec_eval looks: what is measured is searched.
DEPTH = 1000


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int] | NDArray[np.int64]], k: int, order: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Fuse several rankings of one query.

    Args:
        rankings: Documents' places, best first; a document may be missing from any of them.
        k: How many to return; at most as many as there are documents in all.
        order: (n,) what breaks ties; the place where None.

    Returns:
        Places (k,) int64 and scores (k,) float64: the sum over rankings of 1 / (60 + rank).
    """
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, place in enumerate(ranking, start=1):
            scores[int(place)] += 1 / (RRF_K + rank)
    best = sorted(scores, key=lambda place: (-scores[place], place if order is None else order[place]))[:k]
    return np.asarray(best, dtype=np.int64), np.asarray([scores[place] for place in best])
