"""A search for settings over the tiny collection."""

from collections.abc import Callable
from pathlib import Path

import pytest

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.eval.dev import dev_evaluation
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.training.settings import TrainSettings
from textrip.training.tune import Tuning, tune

SETTINGS = TrainSettings(epochs=2, batch_queries=8, seed=3)


@pytest.fixture
def search(tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path) -> Callable[..., Tuning]:
    """Search in `study`; three trials, where the test does not say otherwise."""
    triples = mine(tiny_collection, settings=MineSettings(negatives=3))
    evaluate_dev = dev_evaluation(tiny_collection, max_documents=0)

    def go(**options: object) -> Tuning:
        given = {"settings": SETTINGS, "evaluate_dev": evaluate_dev, "trials": 3, **options}
        return tune(
            tiny_collection, triples, lambda: Encoder.load(tiny_encoder_folder, device="cpu"),
            tmp_path / "study", **given,  # type: ignore[arg-type]
        )  # fmt: skip

    return go
