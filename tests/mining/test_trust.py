"""An encoder filters only where it knows relevant documents from random ones as well as BM25 does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.filters import DENOISED
from textrip.mining.settings import MineSettings
from textrip.mining.trust import Trust, trust
from textrip.pipeline.train import train
from textrip.training.settings import TrainSettings


class Knows:
    """A scorer that is right in a share of the cases."""

    name = "knows"

    def __init__(self, collection: Collection, share: float) -> None:
        self.collection, self.share = collection, share

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        # Pairs come relevant, random, relevant, random ...
        right = np.arange(len(pairs) // 2) < self.share * (len(pairs) // 2)
        return np.stack([right, np.full_like(right, 0.5, dtype=np.float32)], axis=1).reshape(-1).astype("f4")


@pytest.fixture
def searcher(tiny_collection: Collection) -> LexicalSearcher:
    return LexicalSearcher.build(tiny_collection.texts, order=tiny_collection.doc_order)


@pytest.mark.parametrize(("share", "trusted"), [(1.0, True), (0.5, False), (0.0, False)])
def test_it_is_compared_with_bm25(
    share: float, trusted: bool, tiny_collection: Collection, searcher: LexicalSearcher
) -> None:
    found = trust(Knows(tiny_collection, share), tiny_collection, searcher, MineSettings())
    assert found.model == share
    assert 0.8 < found.bm25 < 1
    assert found.pairs == 24
    assert bool(found) is trusted


def test_a_tie_counts_half_and_no_pairs_are_no_proof_against(
    tiny_collection: Collection, searcher: LexicalSearcher
) -> None:
    class Same(Knows):
        def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
            return np.zeros(len(pairs), dtype=np.float32)

    assert trust(Same(tiny_collection, 0), tiny_collection, searcher, MineSettings()).model == 0.5
    unknown = replace(tiny_collection, qrels={"train": {"q00": {"nowhere": 1}}})
    found = trust(Same(tiny_collection, 0), unknown, searcher, MineSettings())
    assert (found.pairs, bool(found)) == (0, True)
    assert Trust(0.7, 0.72, 100)
    assert not Trust(0.6, 0.72, 100)


def test_an_encoder_that_knows_nothing_filters_nothing_and_that_is_said(
    tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        manifest = train(
            tiny_collection, tmp_path / "m", model=tiny_encoder, settings=TrainSettings(epochs=1)
        )
    assert manifest["data"]["denoised_by"] is None
    known = manifest["data"]["trust"]
    assert (known["trusted"], known["pairs"]) == (False, 24)
    assert known["model"] < known["bm25"] - 0.03
    (line,) = [line for line in said if line.startswith("the negatives are not filtered")]
    assert "BM25 in 9" in line
    assert any(
        line.startswith("mined 24 triples in 24 groups; by query 1 to 1, median 1") and DENOISED not in line
        for line in said
    )
