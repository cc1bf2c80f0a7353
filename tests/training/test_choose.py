"""A margin that is chosen: from the untuned encoder's distances, so that a stated share is active."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.training.batch import GroupCollator, QuerySampler
from textrip.training.choose import ACTIVE_SHARE, choose
from textrip.training.distance import largest_distance
from textrip.training.loss import GroupLoss
from textrip.training.names import DISTANCES, Distance, Loss
from textrip.training.settings import TrainSettings
from textrip.training.survey import Gaps, Survey, survey


def surveyed(d_ap: list[float], d_an: list[float]) -> Survey:
    """Mined triples of these distances, and two in-batch ones."""
    mined = Gaps(np.array(d_ap, dtype=np.float32), np.array(d_an, dtype=np.float32))
    return Survey(mined, Gaps(np.array([0.5, 0.5], dtype=np.float32), np.array([0.8, 0.9], dtype=np.float32)))


def test_the_stated_share_is_active() -> None:
    gaps = np.linspace(0.0, 1.0, 101).tolist()
    choice = choose(TrainSettings(), surveyed([0.5] * 101, [0.5 + gap for gap in gaps]))
    assert choice.settings.margin == pytest.approx(ACTIVE_SHARE, abs=0.01)
    assert choice.active_share == pytest.approx(ACTIVE_SHARE, abs=0.02)
    assert choice.inverted_share == 0
    assert choice.sample == 101
    assert str(choice).startswith(
        f"smooth loss, against all of the batch, margin {choice.settings.margin:g} (cosine distance): "
    )


def test_where_most_negatives_are_nearer_the_margin_is_small_and_not_negative() -> None:
    choice = choose(TrainSettings(strategy="batch-hard"), surveyed([0.8] * 10, [0.5] * 10))
    assert choice.settings.margin == pytest.approx(0.05)  # a tenth of the negatives' median distance
    assert choice.active_share == 1
    assert choice.inverted_share == 1


@given(
    st.lists(st.tuples(st.floats(0, 2, width=32), st.floats(0.0625, 2, width=32)), min_size=1, max_size=20)
)
def test_what_is_chosen_could_be_met(distances: list[tuple[float, float]]) -> None:
    margin = choose(TrainSettings(), surveyed(*map(list, zip(*distances, strict=True)))).settings.margin
    assert 0 < margin <= 2.01  # type: ignore[operator]  # rounded to 3 digits


def test_the_margin_of_a_loss_of_pairs_is_a_distance_and_some_losses_need_none() -> None:
    found = surveyed([0.1] * 5, [0.2, 0.4, 0.6, 0.8, 1.0])
    pairs = choose(TrainSettings(loss="contrastive"), found).settings.margin
    assert pairs == pytest.approx(np.quantile(found.mined.d_an, ACTIVE_SHARE), abs=1e-3)
    smooth, triplet = (choose(TrainSettings(loss=loss), found) for loss in ("smooth", "triplet"))
    assert smooth.settings.margin == triplet.settings.margin != 0
    assert choose(TrainSettings(loss="smooth", margin=0.0), found).settings.margin == 0
    assert choose(TrainSettings(loss="soft-margin"), found).settings.margin == 0


@pytest.mark.parametrize(("given", "loss"), [
    ({}, "smooth"), ({"strategy": "in-batch"}, "smooth"), ({"strategy": "semi-hard"}, "triplet"),
    ({"strategy": "batch-hard"}, "triplet"), ({"loss": "triplet"}, "triplet"),
    ({"loss": "smooth", "strategy": "batch-all"}, "smooth"),
])  # fmt: skip
def test_a_named_strategy_is_never_ignored(given: dict[str, str], loss: str) -> None:
    settings = TrainSettings(**given)  # type: ignore[arg-type]
    assert settings.loss == loss
    assert choose(settings, surveyed([0.5] * 9, [0.6] * 9)).settings.loss == loss


def test_nothing_to_choose_from_is_said() -> None:
    given = choose(TrainSettings(margin=0.2), surveyed([], []))
    assert (given.settings.strategy, given.settings.margin) == ("in-batch", 0.2)
    nothing = Gaps(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))
    with pytest.raises(InputError, match="no group of the sample has a mined negative, and no batch of the"):
        choose(TrainSettings(), Survey(nothing, nothing))
    with pytest.raises(InputError, match="strategy is in-batch, and no batch of the sample has a document"):
        choose(TrainSettings(strategy="in-batch"), Survey(surveyed([0.5], [0.4]).mined, nothing))
    assert choose(TrainSettings(margin=0.2), Survey(nothing, nothing)).sample == 0
    with pytest.raises(InputError, match="gives vectors that are NaN or infinite"):
        choose(TrainSettings(), surveyed([0.1], [float("nan")]))


def test_where_most_mined_negatives_are_nearer_they_are_left_out() -> None:
    mostly = surveyed([0.5] * 10, [0.4] * 7 + [0.7] * 3)
    choice = choose(TrainSettings(), mostly)
    assert choice.settings.strategy == "in-batch"
    assert choice.settings.margin == pytest.approx(0.35)  # from what other groups bring
    assert choice.inverted_share == pytest.approx(0.7)
    seldom = surveyed([0.5] * 10, [0.4] * 5 + [0.7] * 5)
    assert choose(TrainSettings(), seldom).settings.strategy == "batch-all"  # what the smooth loss compares
    assert choose(TrainSettings(loss="triplet"), seldom).settings.strategy == "batch-hard"
    assert choose(TrainSettings(strategy="semi-hard"), mostly).settings.strategy == "semi-hard"
    assert choose(TrainSettings(), surveyed([], [])).settings.strategy == "in-batch"


@pytest.mark.parametrize("margin", ["auto", 0.2])
def test_where_the_batch_has_no_others_the_mined_negatives_stay(margin: Literal["auto"] | float) -> None:
    """One query alone, or one document that is relevant for all: in-batch would compare nothing."""
    nothing = Gaps(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))
    alone = Survey(surveyed([0.5] * 10, [0.4] * 10).mined, nothing)
    choice = choose(TrainSettings(margin=margin), alone)
    assert (choice.settings.strategy, choice.sample, choice.inverted_share) == ("batch-all", 10, 1)


@pytest.mark.parametrize("loss", ["smooth", "triplet", "contrastive"])
def test_a_base_that_tells_no_text_from_another_is_said(loss: Loss) -> None:
    alike = surveyed([0.0] * 4, [1e-7, -6e-8, 0.0, 0.0])
    with pytest.raises(InputError, match="the untuned encoder gives all texts the same vector"):
        choose(TrainSettings(loss=loss), alike)
    assert choose(TrainSettings(loss=loss, margin=0.2), alike).settings.margin == 0.2


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_survey_measures_what_the_training_will(
    distance: Distance, tiny_collection: Collection, tiny_encoder: Encoder
) -> None:
    triples = mine(tiny_collection, settings=MineSettings(negatives=2))
    loss = GroupLoss(tiny_encoder.model, distance=distance, of=lambda batch: batch.distances.sum())
    collator = GroupCollator(triples, tiny_collection, tiny_encoder)
    found = survey(loss, collator, QuerySampler(triples.groups, batch_queries=8, seed=0))
    assert found.mined.d_ap.shape == found.mined.d_an.shape == (triples.count,)
    texts, queries = tiny_collection.texts, tiny_collection.query_texts
    expected = []
    for group in triples.groups:
        anchor = tiny_encoder.encode([queries[group.query_id]], kind="query")[0]
        places = [group.positive_id, *(negative.doc_id for negative in group.negatives)]
        documents = tiny_encoder.encode([texts[tiny_collection.doc_row[place]] for place in places])
        apart = [naive(distance, anchor, document) for document in documents]
        expected += [(apart[0], far) for far in apart[1:]]
    measured = sorted(zip(found.mined.d_ap.tolist(), found.mined.d_an.tolist(), strict=True))
    np.testing.assert_allclose(measured, sorted(expected), atol=1e-5)
    assert found.mined.d_an.max() <= largest_distance(distance, dimension=32, unit_vectors=True)


def naive(distance: Distance, a: np.ndarray, b: np.ndarray) -> float:
    match distance:
        case "cosine":
            return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        case "manhattan":
            return float(np.abs(a - b).sum())
        case "euclidean":
            return float(np.sqrt(((a - b) ** 2).sum()))
        case "squared-euclidean":
            return float(((a - b) ** 2).sum())
