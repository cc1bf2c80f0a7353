"""An encoder's own ranking: what it takes for relevant and is not, it has still to learn."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.encoding.approximate import Approximate
from textrip.encoding.encoder import Encoder
from textrip.encoding.nearest import Passages, candidates_top_k, dense_top_k


class DenseRanker:
    """A collection's documents by cosine: exactly, or among the candidates of a graph (HNSW).

    Args:
        encoder: Of queries and documents.
        collection: Its documents are encoded where no vectors are given.
        vectors: (n, d) float32 of the documents, if they are there already.
        nearest: exact or hnsw. A graph is built on one thread, so that it is the same every time.
    """

    def __init__(
        self,
        encoder: Encoder,
        collection: Collection,
        vectors: NDArray[np.float32] | None = None,
        *,
        nearest: Literal["exact", "hnsw"] = "exact",
    ) -> None:
        self.encoder = encoder
        if vectors is None:
            vectors = encoder.encode(collection.texts, progress="encoding documents")
        self.vectors = vectors
        self.order = collection.doc_order
        self._graph = Approximate.of(vectors, "hnsw") if nearest == "hnsw" else None

    def search(self, queries: Sequence[str], k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """For every query the places and scores of k documents, best first."""
        asked = self.encoder.encode(queries, kind="query")
        if self._graph is None:
            places, scores = dense_top_k(asked, self.vectors, k, self.order)
            return list(zip(places, scores.astype(np.float64), strict=True))
        passages = Passages([self.vectors], np.arange(len(self.vectors) + 1))
        found = candidates_top_k(
            asked, passages, self._graph.candidates(asked, k), k=k, order=self.order,
            others=np.empty(0, dtype=np.int64), allowed=None,
        )  # fmt: skip
        return [(rows, scores.astype(np.float64)) for rows, scores, _ in found]
