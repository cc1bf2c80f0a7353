"""The epochs that auto stands for: enough steps, said, saved, and no other training than the number typed."""

from dataclasses import replace
from pathlib import Path

import pytest

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.mine import mine
from textrip.training.length import steps_of, usual_epochs
from textrip.training.search_space import Search
from textrip.training.settings import TrainSettings
from textrip.training.train import train

# 24 queries: 12 steps an epoch, so that 10 epochs make 120.
SETTINGS = TrainSettings(batch_queries=2, seed=1)


@pytest.mark.parametrize(
    ("steps", "epochs"), [(46, 3), (50, 2), (80, 2), (81, 1), (100, 1), (5000, 1), (11, 10), (1, 10), (0, 10)]
)
def test_a_small_collection_is_asked_more_than_once(steps: int, epochs: int) -> None:
    assert usual_epochs(steps) == epochs


@pytest.mark.parametrize("per_epoch", [10, 14, 100, 115, 170, 1000])
def test_epochs_have_the_steps_that_they_are_a_fraction_of(per_epoch: int) -> None:
    """1.1 times 170 is a little more than 187."""
    for step in range(1, 3 * per_epoch):
        assert steps_of(step / per_epoch, per_epoch) == step
        assert steps_of((step - 0.5) / per_epoch, per_epoch) == step
    assert steps_of(1e-9, per_epoch) == 1


def test_a_training_takes_no_step_more(
    tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    triples = mine(tiny_collection)
    eleven_steps = replace(triples, groups=triples.groups[:22])
    settings = replace(SETTINGS, epochs=25 / 11)  # times 11 a little more than 25
    manifest = train(
        tiny_collection, eleven_steps, tiny_encoder, tmp_path / "m", settings=settings,
        evaluate_dev=lambda _: 0.5,
    )  # fmt: skip
    assert manifest["steps"] == 25
    assert [entry["step"] for entry in manifest["dev"]] == [0, 11, 22, 25]


def test_a_search_trains_at_most_as_long(tiny_collection: Collection, tiny_encoder: Encoder) -> None:
    found = Search(
        tiny_collection, mine(tiny_collection), lambda: tiny_encoder, lambda _: 0.5, SETTINGS, None
    )
    assert found.settings.epochs == 10
