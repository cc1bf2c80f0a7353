"""Clusters: k-means on unit vectors, keywords, and the documents nearest to each centre."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.clustering.keywords import keywords
from textrip.errors import InputError
from textrip.ranking import id_order
from textrip.typed import require_whole

_RESTARTS = 4
_SEEDS = 2**32  # what scikit-learn takes


@dataclass(frozen=True)
class Cluster:
    """One group of documents; clusters are numbered from 0 by size, the largest first.

    Attributes:
        cluster: Its number.
        size: How many documents.
        keywords: What sets it apart, the strongest word first.
        representatives: The doc_ids nearest to its centre.
        doc_ids: All of its documents, in the order of the corpus.
    """

    cluster: int
    size: int
    keywords: list[str]
    representatives: list[str]
    doc_ids: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def default_k(documents: int) -> int:
    """The rule of thumb sqrt(n / 2), between 2 and 50."""
    return min(documents, max(2, min(50, round(math.sqrt(documents / 2)))))


def cluster_vectors(
    doc_ids: Sequence[str],
    texts: Iterable[str],
    vectors: NDArray[np.float32],
    *,
    k: int | None = None,
    seed: int = 0,
    representatives: int = 3,
) -> list[Cluster]:
    """Cluster documents by their vectors.

    Args:
        doc_ids: n ids.
        texts: Their n texts, for the keywords.
        vectors: (n, d) float32 unit vectors.
        k: How many clusters; sqrt(n / 2), between 2 and 50, where None.
        seed: The same seed gives the same clusters.
        representatives: How many doc_ids stand for a cluster.

    Raises:
        InputError: k below 1 or above the number of documents; vectors of another shape, or not finite.
    """
    require_whole("representatives", representatives, least=0)
    require_whole("seed", seed, least=0)
    if seed >= _SEEDS:
        raise InputError(f"seed is {seed}, at most {_SEEDS - 1} was expected")
    if not doc_ids:
        raise InputError("there is no document to cluster; at least one was expected")
    if vectors.ndim != 2 or len(vectors) != len(doc_ids) or not np.isfinite(vectors).all():
        raise InputError(
            f"vectors have shape {vectors.shape}; a finite one for each of {len(doc_ids)} expected"
        )
    if k is not None:
        require_whole("k", k)
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    distinct = len(np.unique(vectors, axis=0))
    unasked = k is None
    k = min(distinct, default_k(len(doc_ids))) if k is None else k
    if not 1 <= k <= len(doc_ids):
        raise InputError(f"k is {k}, a number from 1 to {len(doc_ids)} (the documents) was expected")
    order = id_order(doc_ids)
    labels = np.empty(len(doc_ids), dtype=np.int64)
    if k <= distinct:
        with warnings.catch_warnings():
            # Copies that differ in their last bits: the library warns, and leaves clusters empty.
            warnings.simplefilter("ignore", ConvergenceWarning)
            means = KMeans(n_clusters=k, n_init=_RESTARTS, random_state=seed)
            # In the order of their ids: the draws begin with a row, and an index has its own order of them.
            rows = np.argsort(order)
            labels[rows] = means.fit(vectors[rows]).labels_
        distinct = len(np.unique(labels))
        k = distinct if unasked else k
    if distinct < k:
        raise InputError(
            f"k is {k}, and only {distinct} of the {len(doc_ids)} documents differ in what the encoder reads "
            "of them; ask for fewer"
        )
    labels = _by_size(labels, order)
    words = keywords(texts, labels, clusters=k)
    found = []
    for number in range(k):
        members = np.flatnonzero(labels == number)
        centre = vectors[members].mean(axis=0)
        # Summed row by row, so that copies of a document are equally far and doc_id decides.
        distances = ((vectors[members].astype(np.float64) - centre) ** 2).sum(axis=1)
        nearest = members[np.lexsort((order[members], distances))][:representatives]
        found.append(
            Cluster(
                number,
                len(members),
                words[number],
                [doc_ids[int(row)] for row in nearest],
                [doc_ids[int(row)] for row in members],
            )
        )
    return found


def _by_size(labels: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number clusters from the largest; equal ones by their first doc_id."""
    numbers = np.unique(labels)
    ranked = sorted(numbers, key=lambda number: (-(labels == number).sum(), order[labels == number].min()))
    renumbered = np.empty(labels.max() + 1, dtype=np.int64)
    renumbered[ranked] = np.arange(len(ranked))
    return renumbered[labels]
