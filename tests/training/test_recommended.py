"""What tune recommends: the steps and the negatives of the best trial, and no others."""

from dataclasses import replace

import pytest

from textrip.cli.tune import _mining
from textrip.data.collection import Collection
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.training.settings import TrainSettings
from textrip.training.trainer import measured_steps
from textrip.training.tune import _down, _up_to

SETTINGS = TrainSettings(epochs=2, batch_queries=8, seed=3)


@pytest.mark.parametrize("per_epoch", [7, 10, 11, 49, 99, 100, 115, 170])
def test_the_best_epoch_takes_no_step_more(per_epoch: int) -> None:
    for step in range(1, 3 * per_epoch):
        epochs = _down(step / per_epoch)
        assert measured_steps(replace(SETTINGS, epochs=epochs), per_epoch)[-1] == step


@pytest.mark.parametrize(("best", "warmup"), [(4.0, 0.1), (2.0, 0.2), (0.5, 0.8), (0.25, 0.999)])
def test_what_is_recommended_rises_as_what_was_measured(best: float, warmup: float) -> None:
    """The warm-up is a share of all steps, and those are fewer up to the best epoch."""
    tried = replace(SETTINGS, epochs=4)
    found = _up_to(best, tried)
    assert found.epochs == best
    assert found.warmup_share == pytest.approx(warmup)
    assert _up_to(best, replace(tried, warmup_share=0.0)).warmup_share == 0
    falling = replace(tried, schedule="linear")
    assert _up_to(best, falling) == falling  # of fewer steps it would be another rate at every one


@pytest.mark.parametrize("given", [
    MineSettings(negatives=4, random=2), MineSettings(negatives=3, random=3), MineSettings(negatives=4),
    MineSettings(negatives=4, random=1, dense=2, dense_model="x", dense_nearest="hnsw"),
])  # fmt: skip
def test_the_config_mines_the_negatives_that_the_best_trial_had(given: MineSettings) -> None:
    """The first of those that were mined: BM25's, an encoder's, random ones."""

    def sources(settings: MineSettings) -> list[str]:
        ranked = settings.negatives - settings.dense - settings.random
        return ["bm25"] * ranked + ["dense"] * settings.dense + ["random"] * settings.random

    for negatives in range(1, given.negatives + 1):
        written = _mining(given, negatives)
        assert sources(MineSettings(negatives=negatives, **written)) == sources(given)[:negatives]
        assert ("dense_nearest" in written) == (written.get("dense", 0) > 0)


def test_the_sources_of_mined_negatives_are_in_that_order(tiny_collection: Collection) -> None:
    mined = mine(tiny_collection, settings=MineSettings(negatives=4, random=2))
    orders = {tuple(negative.source for negative in group.negatives) for group in mined.groups}
    assert orders == {("bm25", "bm25", "random", "random")}
