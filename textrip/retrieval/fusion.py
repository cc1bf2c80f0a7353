"""Two rankings made one: by ranks, or by scores with a weight that was tuned on dev.

Reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009. The convex combination of scores that
are brought to [0, 1], from the least a score can be to the best that was found: Bruch, Gai and Ingber,
arXiv 2210.11934.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from textrip import ranking as ranking_rule
from textrip.errors import InputError

RRF_K = 60
# How deep a ranking is taken into a fusion, as deep as trec_eval looks: what is measured is searched.
DEPTH = 1000
# The least that a cosine can be, and a BM25 score but for a word in most documents of a tiny corpus.
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

    def __post_init__(self) -> None:
        """Raise InputError for a weight that is no share."""
        if self.weight is not None and not 0 <= self.weight <= 1:
            raise InputError(f"fusion's weight is {self.weight}, a share from 0 to 1 was expected, or None")

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """What was saved with an index."""
        return cls(**saved)

    @property
    def by_ranks(self) -> bool:
        """Whether places count, and not scores."""
        return self.weight is None

    def __call__(
        self,
        dense: tuple[NDArray[np.int64], NDArray[Any]],
        words: tuple[NDArray[np.int64], NDArray[Any]],
        k: int,
        order: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Fuse (rows, scores) of the two rankings of one query: the k best, best first.

        Each ranking is best first. Where scores count, what only the other one found follows it with its
        score here (see `Snapshot.completed`): a row without one has the least there is.
        """
        if self.weight is None:
            return reciprocal_rank_fusion([dense[0], words[0]], k, order)
        parts = []
        for (rows, found), least, weight in (
            (dense, _LEAST_DENSE, self.weight),
            (words, _LEAST_BM25, 1 - self.weight),
        ):
            parts.append((rows, weight * _to_best(np.asarray(found, np.float64) - least)))
        return _summed(parts, k, order)


def _to_best(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores, the best first, as shares of it from 0 to 1.

    Of one below 0 behind a best above it the share is 0: a best near 0 would make its quotient anything.
    Where all are below 0 (see `WordIndex.hits`) the best is the share of theirs.
    """
    best = float(found[0]) if len(found) else 0.0
    return best / found if best < 0 else np.maximum(found, 0.0) / (best or 1.0)


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
    parts = []
    for ranking in rankings:
        rows = np.asarray(ranking, dtype=np.int64)
        parts.append((rows, 1 / (RRF_K + np.arange(1, len(rows) + 1, dtype=np.float64))))
    return _summed(parts, k, order)


def _summed(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]], k: int, order: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k rows of the greatest sums over the parts (rows, values), best first."""
    if not any(len(rows) for rows, _ in parts):
        return np.empty(0, dtype=np.int64), np.empty(0)
    every = np.unique(np.concatenate([rows for rows, _ in parts]))
    sums = np.zeros(len(every))
    for rows, values in parts:  # a ranking names a row once
        sums[np.searchsorted(every, rows)] += values
    places, best = ranking_rule.top_k(sums[None, :], k, every if order is None else order[every])
    return every[places[0]], best[0].astype(np.float64)
