"""The epochs that auto stands for: enough steps, said, saved, and no other training than the number typed."""

import pytest

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.mine import mine
from textrip.training.length import usual_epochs
from textrip.training.search_space import Search
from textrip.training.settings import TrainSettings

# 24 queries: 12 steps an epoch, so that 9 epochs make 100.
SETTINGS = TrainSettings(batch_queries=2, seed=1)


@pytest.mark.parametrize(
    ("steps", "epochs"), [(46, 3), (50, 2), (99, 2), (100, 1), (5000, 1), (11, 10), (1, 10), (0, 10)]
)
def test_a_small_collection_is_asked_more_than_once(steps: int, epochs: int) -> None:
    assert usual_epochs(steps) == epochs


def test_a_search_trains_at_most_as_long(tiny_collection: Collection, tiny_encoder: Encoder) -> None:
    found = Search(
        tiny_collection, mine(tiny_collection), lambda: tiny_encoder, lambda _: 0.5, SETTINGS, None
    )
    assert found.settings.epochs == 9
