"""The losses: against plain loops, by hand, in the right direction, and where there is nothing to compare."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.oracles import losses as naive
from textrip.training.distance import distance_matrix
from textrip.training.loss import GroupLoss, formula
from textrip.training.losses.strategies import CHOOSE
from textrip.training.losses.triplet import hinge, triplet_loss
from textrip.training.names import DISTANCES, LOSSES, OF_PROXIES, STRATEGIES, Distance, Loss, Strategy
from textrip.training.relations import Batch, Relation

X, R, P, M, B = Relation
CASES: list[tuple[Loss, Strategy]] = [
    *(("triplet", strategy) for strategy in STRATEGIES),
    *(("soft-margin", strategy) for strategy in STRATEGIES),
    *((loss, "batch-hard") for loss in LOSSES if loss not in {"triplet", "soft-margin", *OF_PROXIES}),
]  # fmt: skip
OPTIONS: dict[str, Any] = {"temperature": 0.3, "second_margin": 0.1, "hardest_positive": False}
# No two of them are a margin apart: there float32 and float64 would differ in what costs something.
DISTANCE_VALUES = st.sampled_from([0.0, 0.11, 0.27, 0.33, 0.5, 1.0])


def batch_of(distances: Any, relations: Any, documents: Any = None) -> Batch:
    return Batch(
        torch.as_tensor(distances), torch.tensor(relations, dtype=torch.int8),
        lambda: torch.as_tensor(documents),
    )  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[float]], list[list[Relation]], list[list[float]]]:
    b, n = draw(st.integers(1, 5)), draw(st.integers(1, 6))

    def rows(count: int, values: st.SearchStrategy[Any]) -> Any:
        return draw(st.lists(st.lists(values, min_size=n, max_size=n), min_size=count, max_size=count))

    half = rows(n, DISTANCE_VALUES)
    documents = [[half[min(i, j)][max(i, j)] if i != j else 0.0 for j in range(n)] for i in range(n)]
    return rows(b, DISTANCE_VALUES), rows(b, st.sampled_from([X, R, P, M, B])), documents


def expected(
    loss: Loss, strategy: Strategy, batch: tuple[Any, Any, Any], margin: float, hardest: bool
) -> float:
    distances, relations, documents = batch
    match loss:
        case "triplet" | "soft-margin":
            soft = loss == "soft-margin"
            return naive.triplet(distances, relations, margin, strategy, soft=soft, hardest=hardest)
        case "smooth":
            return naive.smooth(distances, relations, margin, 0.3)
        case "contrastive" | "online-contrastive":
            return naive.contrastive(distances, relations, margin, online=loss == "online-contrastive")
        case "quadruplet":
            return naive.quadruplet(distances, relations, documents, margin, 0.1)
        case "proxy-nca" | "proxy-anchor":
            raise AssertionError("these have a batch of their own: test_labels.py")


@pytest.mark.parametrize(("loss", "strategy"), CASES)
@given(batch=batches(), margin=st.sampled_from([0.05, 0.2, 0.95]), hardest=st.booleans())
@settings(max_examples=120, deadline=None)
def test_equals_plain_loops_with_finite_gradients(
    loss: Loss, strategy: Strategy, batch: tuple[Any, Any, Any], margin: float, hardest: bool
) -> None:
    hardest = hardest and loss in {"triplet", "soft-margin"}
    distances = torch.tensor(batch[0], requires_grad=True)
    documents = torch.tensor(batch[2], requires_grad=True)
    of = formula(loss, strategy=strategy, margin=margin, **(OPTIONS | {"hardest_positive": hardest}))
    value = of(batch_of(distances, batch[1], documents))
    assert value.item() == pytest.approx(expected(loss, strategy, batch, margin, hardest), abs=1e-5)
    (value + 0 * distances.sum() + 0 * documents.sum()).backward()
    for given_matrix in (distances, documents):
        assert given_matrix.grad is not None
        assert torch.isfinite(given_matrix.grad).all()


@pytest.mark.parametrize(("loss", "strategy"), CASES)
@given(batch=batches(), weights=st.lists(st.integers(1, 3), min_size=5, max_size=5))
@settings(max_examples=60, deadline=None)
def test_an_anchor_of_weight_three_counts_as_three_of_it(
    loss: Loss, strategy: Strategy, batch: tuple[Any, Any, Any], weights: list[int]
) -> None:
    distances, relations, documents = batch
    weights = weights[: len(distances)]
    of = formula(loss, strategy=strategy, margin=0.2, **OPTIONS)
    weighted = replace(batch_of(distances, relations, documents), weights=torch.tensor(weights).float())
    times = [place for place, weight in enumerate(weights) for _ in range(weight)]
    repeated = batch_of(
        [distances[place] for place in times], [relations[place] for place in times], documents
    )
    assert of(weighted).item() == pytest.approx(of(repeated).item(), abs=1e-6)


DISTANCES_BY_HAND = [[0.3, 0.2, 0.4, 0.9, 0.1], [0.5, 0.6, 0.1, 0.2, 0.0]]
RELATIONS_BY_HAND = [[P, M, B, B, R], [X, M, P, B, R]]


@pytest.mark.parametrize(("strategy", "wanted"), [
    # (0.3 - 0.2 + 0.2) and max(0, 0.1 - 0.6 + 0.2), their mean
    ("mined", (0.3 + 0.0) / 2),
    # costs 0.3, 0.1, 0 and 0, 0.1: the mean of the three that are not 0
    ("batch-all", (0.3 + 0.1 + 0.1) / 3),
    # negatives at 0.2 and at 0.2: (0.3 - 0.2 + 0.2) and (0.1 - 0.2 + 0.2)
    ("batch-hard", (0.3 + 0.1) / 2),
    # the nearest beyond 0.3 is 0.4, beyond 0.1 is 0.2
    ("semi-hard", (0.1 + 0.1) / 2),
    # mined as above, and the nearest of the others at 0.4 and at 0.2
    ("mixed", (0.3 + 0.0 + 0.1 + 0.1) / 4),
    # beyond 0.3 the others have 0.4, beyond 0.1 they have 0.2
    ("in-batch", (0.1 + 0.1) / 2),
])  # fmt: skip
def test_strategies_by_hand(strategy: Strategy, wanted: float) -> None:
    batch = batch_of(DISTANCES_BY_HAND, RELATIONS_BY_HAND)
    assert triplet_loss(CHOOSE[strategy](batch), 0.2).item() == pytest.approx(wanted)


def test_the_hardest_positive_is_the_farthest_relevant_document() -> None:
    batch = batch_of([[0.3, 0.7, 0.5]], [[P, R, M]])
    assert triplet_loss(CHOOSE["batch-hard"](batch), 0.2).item() == pytest.approx(0.0, abs=1e-6)
    hardest = CHOOSE["batch-hard"](batch, hardest_positive=True)
    assert triplet_loss(hardest, 0.2).item() == pytest.approx(0.7 - 0.5 + 0.2)


def test_semi_hard_falls_back_to_the_farthest_negative() -> None:
    batch = batch_of([[0.9, 0.2, 0.4]], [[P, M, B]])
    assert triplet_loss(CHOOSE["semi-hard"](batch), 0.2).item() == pytest.approx(0.9 - 0.4 + 0.2)


def test_in_batch_is_semi_hard_among_what_others_bring() -> None:
    batch = batch_of([[0.5, 0.6, 0.3, 0.8, 0.9]], [[P, M, B, B, B]])
    assert triplet_loss(CHOOSE["in-batch"](batch), 0.4).item() == pytest.approx(0.5 - 0.8 + 0.4)
    assert triplet_loss(CHOOSE["semi-hard"](batch), 0.4).item() == pytest.approx(0.5 - 0.6 + 0.4)


def test_smooth_becomes_batch_hard_as_the_temperature_falls_and_infonce_without_margin() -> None:
    batch = batch_of(DISTANCES_BY_HAND, RELATIONS_BY_HAND)
    cold = formula("smooth", strategy="batch-hard", margin=0.2, **(OPTIONS | {"temperature": 1e-4}))(batch)
    assert cold.item() == pytest.approx(triplet_loss(CHOOSE["batch-hard"](batch), 0.2).item(), abs=1e-4)
    # InfoNCE of the first anchor: similarities 1 - d, T = 0.5, its positive against three negatives.
    logits = torch.tensor([[0.7, 0.8, 0.6, 0.1]]) / 0.5
    infonce = torch.nn.functional.cross_entropy(logits, torch.tensor([0]))
    first = batch_of(DISTANCES_BY_HAND[:1], RELATIONS_BY_HAND[:1])
    warm = formula("smooth", strategy="batch-hard", margin=0.0, **(OPTIONS | {"temperature": 0.5}))(first)
    assert warm.item() == pytest.approx(0.5 * infonce.item(), abs=1e-6)


def test_contrastive_by_hand() -> None:
    batch = batch_of([[0.4, 0.1, 0.6, 0.9]], [[P, M, B, B]])
    # positives 0.4² / 2; negatives (0.7 - 0.1)² / 2, (0.7 - 0.6)² / 2 and 0
    wanted = 0.08 + (0.18 + 0.005 + 0) / 3
    options: dict[str, Any] = {"strategy": "batch-hard", "margin": 0.7, **OPTIONS}
    assert formula("contrastive", **options)(batch).item() == pytest.approx(wanted)
    # hard: the positive (0.4 > 0.1) and the negative at 0.1 (< 0.4)
    assert formula("online-contrastive", **options)(batch).item() == pytest.approx(0.08 + 0.18)


def test_quadruplet_by_hand() -> None:
    # Three anchors with a positive each. For the first, documents 1 and 2 are strangers, 0.3 apart:
    # 0.5 - 0.6 + 0.2 = 0.1 and 0.5 - 0.3 + 0.1 = 0.3. For the others the pairs are 0.9 and 0.8 apart, and
    # their positives at 0.1 and 0.2 are far from everything else: 0 and 0.
    distances = [[0.5, 0.6, 0.9], [0.9, 0.1, 0.9], [0.9, 0.9, 0.2]]
    relations = [[P, B, B], [B, P, B], [B, B, P]]
    documents = [[0.0, 0.8, 0.9], [0.8, 0.0, 0.3], [0.9, 0.3, 0.0]]
    value = formula("quadruplet", strategy="batch-hard", margin=0.2, **OPTIONS)(
        batch_of(distances, relations, documents)
    )
    assert value.item() == pytest.approx((0.1 + 0 + 0) / 3 + (0.3 + 0 + 0) / 3)


def test_quadruplet_weighs_both_of_its_terms() -> None:
    # As above with 0.3 between all documents, so that the second term costs something for two anchors:
    # 0.5 - 0.3 + 0.1 = 0.3, 0.25 - 0.3 + 0.1 = 0.05 and 0; the first is 0.1, 0 and 0.
    documents = [[0.0, 0.3, 0.3], [0.3, 0.0, 0.3], [0.3, 0.3, 0.0]]
    batch = batch_of(
        [[0.5, 0.6, 0.9], [0.9, 0.25, 0.9], [0.9, 0.9, 0.1]], [[P, B, B], [B, P, B], [B, B, P]], documents
    )
    batch = replace(batch, weights=torch.tensor([1.0, 0.5, 0.5]))
    value = formula("quadruplet", strategy="batch-hard", margin=0.2, **OPTIONS)(batch)
    assert value.item() == pytest.approx((0.1 + 0 + 0) / 2 + (0.3 + 0.05 / 2 + 0) / 2)


# A pair is enough for the contrastive losses.
@pytest.mark.parametrize(("loss", "strategy"), [case for case in CASES if "contrastive" not in case[0]])
@pytest.mark.parametrize("relation", [[X, X], [P, X], [X, M], [R, X], [R, M]])
def test_an_anchor_without_positive_or_negative_gives_no_triplet(
    loss: Loss, strategy: Strategy, relation: list[int]
) -> None:
    distances = torch.tensor([[0.5, 0.1]], requires_grad=True)
    of = formula(loss, strategy=strategy, margin=0.2, **OPTIONS)
    value = of(batch_of(distances, [relation], [[0.0, 0.4], [0.4, 0.0]]))
    value.backward()
    assert value.item() == 0
    assert distances.grad is not None
    assert distances.grad.abs().max() == 0


class _Table(torch.nn.Module):
    """A model whose embeddings are its parameters: `input_ids` are rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = torch.nn.Parameter(torch.randn(rows, 8))

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": self.table[features["input_ids"]]}


def _group_loss(
    model: torch.nn.Module, loss: Loss, strategy: Strategy, distance: Distance, margin: float = 30.0
) -> GroupLoss:
    return GroupLoss(model, distance=distance, of=formula(loss, strategy=strategy, margin=margin, **OPTIONS))


@pytest.mark.parametrize(("loss", "strategy"), CASES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_a_step_brings_the_positive_nearer_and_the_negative_farther(
    loss: Loss, strategy: Strategy, distance: Distance
) -> None:
    model = _Table(3)
    features = [{"input_ids": torch.tensor([0])}, {"input_ids": torch.tensor([1, 2])}]
    negative = B if strategy == "in-batch" else M
    labels = {"anchors": torch.tensor([0]), "relations": torch.tensor([[P, negative]], dtype=torch.int8)}
    # The anchor stands between the two, or a step away from one could be a step away from the other; the
    # negative is nearer, as online-contrastive wants its pairs.
    with torch.no_grad():
        model.table[2] = model.table[0] - 0.5 * (model.table[1] - model.table[0])

    def distances() -> list[float]:
        found: list[float] = distance_matrix(model.table[:1], model.table[1:], distance)[0].tolist()
        return found

    before = distances()
    # A contrastive margin far beyond the negative would push harder than the positive can pull.
    margin = before[1] + 0.2 if "contrastive" in loss else 30.0
    _group_loss(model, loss, strategy, distance, margin)(features, labels).backward()
    with torch.no_grad():
        assert model.table.grad is not None
        model.table.sub_(1e-3 * model.table.grad)
    after = distances()
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_strangers_that_are_farther_apart_cost_less() -> None:
    documents = torch.tensor([[0.0, 0.8, 0.9], [0.8, 0.0, 0.3], [0.9, 0.3, 0.0]], requires_grad=True)
    relations = [[P, B, B], [B, P, B], [B, B, P]]
    batch = batch_of([[0.5, 0.6, 0.9], [0.9, 0.1, 0.9], [0.9, 0.9, 0.2]], relations, documents)
    formula("quadruplet", strategy="batch-hard", margin=0.2, **OPTIONS)(batch).backward()
    assert documents.grad is not None
    assert documents.grad[1, 2] + documents.grad[2, 1] < 0
    assert documents.grad[0].abs().max() == 0


def test_the_loss_is_float32_under_autocast() -> None:
    group_loss = _group_loss(_Table(3), "triplet", "batch-hard", "cosine")
    features = [{"input_ids": torch.tensor([0])}, {"input_ids": torch.tensor([1, 2])}]
    labels = {"anchors": torch.tensor([0]), "relations": torch.tensor([[P, M]], dtype=torch.int8)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert group_loss(features, labels).dtype == torch.float32


def test_the_soft_margin_is_never_0() -> None:
    batch = batch_of([[0.0, 2.0]], [[P, M]])
    soft = formula("soft-margin", strategy="batch-hard", margin=0.2, **OPTIONS)(batch)
    assert soft.item() == pytest.approx(math.log1p(math.exp(-2.0)))
    assert hinge(torch.tensor(0.0), torch.tensor(2.0), 0.2).item() == 0


def test_smooth_without_a_margin_is_the_librarys_multiple_negatives_ranking() -> None:
    """With cosine distance it is T times that loss at scale 1 / T, and so are its gradients."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    torch.manual_seed(0)
    queries, positives, mined = (torch.randn(6, 8, requires_grad=True) for _ in range(3))
    theirs = MultipleNegativesRankingLoss(torch.nn.Identity(), scale=20.0)
    theirs = theirs.compute_loss_from_embeddings([queries, positives, mined], torch.empty(0))
    theirs_gradients = torch.autograd.grad(theirs, [queries, positives, mined])

    documents = torch.cat([positives, mined])
    relations = torch.full((6, 12), B, dtype=torch.int8)
    relations[torch.arange(6), torch.arange(6)] = P
    relations[torch.arange(6), torch.arange(6, 12)] = M
    batch = batch_of(distance_matrix(queries, documents, "cosine"), relations.tolist())
    ours = formula(
        "smooth",
        strategy="batch-hard",
        margin=0.0,
        temperature=0.05,
        second_margin=0.1,
        hardest_positive=False,
    )(batch)
    assert ours.item() == pytest.approx(0.05 * theirs.item(), rel=1e-5)
    for mine, other in zip(
        torch.autograd.grad(ours, [queries, positives, mined]), theirs_gradients, strict=True
    ):
        torch.testing.assert_close(mine, 0.05 * other, rtol=1e-4, atol=1e-7)
