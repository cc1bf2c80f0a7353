"""What auto stands for is said once and saved, and is the same training as its number typed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.mine import mine
from textrip.progress import reporting
from textrip.training.rate import usual_rate
from textrip.training.settings import TrainSettings
from textrip.training.train import train


@pytest.mark.parametrize(("name", "others", "line"), [
    ("learning_rate", {"epochs": 1, "batch_queries": 8}, "learning rate {}, by the encoder's width"),
    ("epochs", {"batch_queries": 2}, "epochs {}, of 12 steps each"),  # 24 queries: ten epochs make 120
])  # fmt: skip
def test_auto_is_the_same_training_as_its_number_and_the_number_is_saved(
    name: str,
    others: dict[str, Any],
    line: str,
    tiny_collection: Collection,
    tiny_encoder_folder: Path,
    tmp_path: Path,
) -> None:
    number = 10 if name == "epochs" else usual_rate(Encoder.load(tiny_encoder_folder, device="cpu"))
    triples = mine(tiny_collection)
    said: list[str] = []
    weights, manifests = [], []
    for value in ("auto", number):
        encoder = Encoder.load(tiny_encoder_folder, device="cpu")
        given: dict[str, Any] = {**others, name: value}
        settings = TrainSettings(seed=1, **given)
        with reporting(bars=False, say=said.append):
            manifests.append(
                train(tiny_collection, triples, encoder, tmp_path / str(value), settings=settings)
            )
        weights.append([parameter.detach() for parameter in encoder.model.parameters()])
    start = line.partition("{")[0]
    assert [words for words in said if words.startswith(start)] == [line.format(f"{number:g}")]
    assert [manifest["settings"][name] for manifest in manifests] == [number, number]
    assert manifests[0]["steps"] == manifests[1]["steps"] == (120 if name == "epochs" else 3)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*weights, strict=True))
