"""How much of what an exact search finds an approximate one finds too."""

import numpy as np

from textrip.retrieval.snapshot import Ranked, Snapshot
from textrip.typed import require_whole


def recall_of(snapshot: Snapshot, *, k: int, sample: int, seed: int) -> float:
    """recall@k over a sample of the documents' own vectors, each without the document that it is of.

    That is harder than questions where copies abound, and needs none. Of one document it is 1.
    """
    require_whole("k", k, least=1)
    require_whole("sample", sample, least=1)
    require_whole("seed", seed, least=0)
    vectors = snapshot.vectors()
    draw = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:sample])
    asked = np.ascontiguousarray(vectors[draw])
    exact: list[Ranked] = snapshot.dense(asked, k + 1, exact=True)
    shares = []
    for own, wanted, found in zip(snapshot.rows[draw], exact, snapshot.dense(asked, k + 1), strict=True):
        truth = wanted[0][wanted[0] != own][:k]
        if len(truth):
            shares.append(len(np.intersect1d(truth, found[0][found[0] != own][:k])) / len(truth))
    return float(np.mean(shares)) if shares else 1.0
