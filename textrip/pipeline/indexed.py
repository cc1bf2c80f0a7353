"""The index of what was given, though something else was trained on."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.lexical.analyzer import Analyzer
from textrip.retrieval.build import build_index
from textrip.retrieval.index import Index
from textrip.retrieval.passages import Cutting


def index_given(
    given: Collection,
    collection: Collection,
    encoder: Encoder,
    folder: Path,
    *,
    analyzer: Analyzer | None,
    vectors: NDArray[np.float32],
    without_own_id: bool = False,
    measure: Callable[[Index], object] = lambda _: None,
) -> None:
    """Index what was given; hybrid's weight is tuned on `collection`, which the vectors are of.

    An index of `collection` is handed to `measure`, with its weight.

    Where questions were made of documents (`with_queries`), the collection lacks what became questions: a
    search is to find it, and a weight tuned where it stands in its own answer would be one for copies.
    """
    if given.corpus is collection.corpus:
        with Index.build(given, encoder, folder, analyzer=analyzer, vectors=vectors) as index:
            index.tune_fusion(collection, without_own_id=without_own_id)
            measure(index)
        return
    with Index.build(collection, encoder, folder, analyzer=analyzer, vectors=vectors, onnx=False) as asked:
        fusion = asked.tune_fusion(collection, without_own_id=without_own_id)
        measure(asked)
    # Over the other one, so that the texts that lost nothing keep their vectors.
    build_index(
        given, encoder, folder, model=encoder, analyzer=analyzer or Analyzer(), vectors=None,
        cutting=Cutting(), nearest="auto", onnx=True, force=True, seed=0, over_own=True,
    )  # fmt: skip
    with Index.open(folder, encoder=encoder) as index:
        index.note(fusion=asdict(fusion))
