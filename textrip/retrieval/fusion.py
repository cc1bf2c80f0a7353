"""Two rankings made one: by ranks, or by scores with a weight that was tuned on dev.

Reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009. The convex combination of scores that
are brought to [0, 1], from the least a score can be to the best that was found: Bruch, Gai and Ingber,
arXiv 2210.11934.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

RRF_K = 60
# How deep a ranking is taken into a fusion, as deep as trec_eval looks: what is measured is searched.
DEPTH = 1000
# The least that a cosine and a BM25 score can be.
_LEAST_DENSE, _LEAST_BM25 = -1.0, 0.0


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """How hybrid search fuses.

    Attributes:
        weight: Of the dense score in a convex combination; None fuses by ranks.
        tuned_on: What the weight was chosen on, in words.
        queries: How many queries it was chosen on.
    """

    weight: float | None = None
    tuned_on: str | None = None
    queries: int = 0

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """What was saved with an index."""
        return cls(**saved)

    def __call__(
        self,
        dense: tuple[NDArray[np.int64], NDArray[Any]],
        words: tuple[NDArray[np.int64], NDArray[Any]],
        k: int,
        order: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Fuse (rows, scores) of the two rankings of one query: the k best, best first."""
        if self.weight is None:
            return reciprocal_rank_fusion([dense[0], words[0]], k, order)
        scores: dict[int, float] = defaultdict(float)
        for (rows, found), least, weight in (
            (dense, _LEAST_DENSE, self.weight),
            (words, _LEAST_BM25, 1 - self.weight),
        ):
            if not len(rows):
                continue
            best = float(found[0])
            for row, score in zip(rows.tolist(), found.tolist(), strict=True):
                scores[row] += weight * (score - least) / ((best - least) or 1.0)
        return _best(scores, k, order)


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
    return _best(scores, k, order)


def _best(
    scores: dict[int, float], k: int, order: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    best = sorted(scores, key=lambda place: (-scores[place], place if order is None else order[place]))[:k]
    return np.asarray(best, dtype=np.int64), np.asarray([scores[place] for place in best])
