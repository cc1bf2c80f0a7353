"""An encoder's own ranking: what it takes for relevant and is not, it has still to learn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.nearest import dense_top_k


class DenseRanker:
    """Exact search of a collection's documents by cosine.

    Args:
        encoder: Of queries and documents.
        collection: Its documents are encoded where no vectors are given.
        vectors: (n, d) float32 of the documents, if they are there already.
    """

    def __init__(
        self, encoder: Encoder, collection: Collection, vectors: NDArray[np.float32] | None = None
    ) -> None:
        self.encoder = encoder
        if vectors is None:
            vectors = encoder.encode(collection.texts, progress="encoding documents")
        self.vectors = vectors
        self.order = collection.doc_order

    def search(self, queries: Sequence[str], k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """For every query the places and scores of k documents, best first."""
        places, scores = dense_top_k(self.encoder.encode(queries, kind="query"), self.vectors, k, self.order)
        return list(zip(places, scores.astype(np.float64), strict=True))
