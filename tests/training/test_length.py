"""The epochs that auto stands for: enough steps, said, saved, and no other training than the number typed."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.mine import mine
from textrip.progress import reporting
from textrip.training.length import usual_epochs
from textrip.training.search_space import Search
from textrip.training.settings import TrainSettings
from textrip.training.train import train

# 24 queries: 12 steps an epoch, so that 9 epochs make 100.
SETTINGS = TrainSettings(batch_queries=2, seed=1)


@pytest.mark.parametrize(
    ("steps", "epochs"), [(46, 3), (50, 2), (99, 2), (100, 1), (5000, 1), (11, 10), (1, 10), (0, 10)]
)
def test_a_small_collection_is_asked_more_than_once(steps: int, epochs: int) -> None:
    assert usual_epochs(steps) == epochs


def test_auto_is_the_same_training_as_its_number_and_the_number_is_saved(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    triples = mine(tiny_collection)
    said: list[str] = []
    weights, manifests = [], []
    cases: list[tuple[str, float | Literal["auto"]]] = [("auto", "auto"), ("number", 9)]
    for name, given in cases:
        encoder = Encoder.load(tiny_encoder_folder, device="cpu")
        with reporting(bars=False, say=said.append):
            settings = replace(SETTINGS, epochs=given)
            manifests.append(train(tiny_collection, triples, encoder, tmp_path / name, settings=settings))
        weights.append([parameter.detach() for parameter in encoder.model.parameters()])
    assert [line for line in said if "epochs" in line] == ["epochs 9, of 12 steps each"]
    assert [manifest["settings"]["epochs"] for manifest in manifests] == [9, 9]
    assert [manifest["steps"] for manifest in manifests] == [108, 108]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*weights, strict=True))


def test_a_search_trains_at_most_as_long(tiny_collection: Collection, tiny_encoder: Encoder) -> None:
    found = Search(
        tiny_collection, mine(tiny_collection), lambda: tiny_encoder, lambda _: 0.5, SETTINGS, None
    )
    assert found.settings.epochs == 9
