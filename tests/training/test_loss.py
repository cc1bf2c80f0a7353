"""The losses: against plain loops, by hand, in the right direction, and where there is nothing to compare."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import naive
from textrip.training.distance import distance_matrix
from textrip.training.loss import (
    _LOSSES,
    STRATEGIES,
    GroupTripletLoss,
    Relation,
    Strategy,
    batch_hard_loss,
    mined_loss,
    semi_hard_loss,
)

P, M, B, X = Relation.POSITIVE, Relation.MINED, Relation.IN_BATCH, Relation.MASKED
DISTANCES = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0])


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[float]], list[list[Relation]]]:
    b, n = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    distances = draw(st.lists(st.lists(DISTANCES, min_size=n, max_size=n), min_size=b, max_size=b))
    relations = draw(
        st.lists(st.lists(st.sampled_from([X, P, M, B]), min_size=n, max_size=n), min_size=b, max_size=b)
    )
    return distances, relations


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(batch=batches(), margin=st.sampled_from([0.05, 0.2, 1.0]))
@settings(max_examples=200, deadline=None)
def test_equals_plain_loops_with_finite_gradients(
    strategy: Strategy, batch: tuple[list[list[float]], list[list[Relation]]], margin: float
) -> None:
    distances = torch.tensor(batch[0], requires_grad=True)
    loss = _LOSSES[strategy](distances, torch.tensor(batch[1], dtype=torch.int8), margin)
    assert loss.item() == pytest.approx(naive.triplet_loss(*batch, margin, strategy), abs=1e-6)
    loss.backward()
    assert distances.grad is not None
    assert torch.isfinite(distances.grad).all()


def test_by_hand() -> None:
    distances = torch.tensor([[0.3, 0.2, 0.4, 0.9, 0.1], [0.5, 0.6, 0.1, 0.2, 0.0]])
    relations = torch.tensor([[P, M, B, B, X], [X, M, P, B, X]], dtype=torch.int8)
    # mined: (0.3 - 0.2 + 0.2) and max(0, 0.1 - 0.6 + 0.2), their mean 0.15
    assert mined_loss(distances, relations, 0.2).item() == pytest.approx(0.15)
    # batch-hard: negatives at 0.2 and at 0.2: (0.3 - 0.2 + 0.2) and (0.1 - 0.2 + 0.2), mean 0.2
    assert batch_hard_loss(distances, relations, 0.2).item() == pytest.approx(0.2)
    # semi-hard: the nearest beyond 0.3 is 0.4, beyond 0.1 is 0.2: 0.1 and 0.1
    assert semi_hard_loss(distances, relations, 0.2).item() == pytest.approx(0.1)


def test_semi_hard_falls_back_to_the_farthest_negative() -> None:
    distances = torch.tensor([[0.9, 0.2, 0.4]])
    relations = torch.tensor([[P, M, B]], dtype=torch.int8)
    assert semi_hard_loss(distances, relations, 0.2).item() == pytest.approx(0.9 - 0.4 + 0.2)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("relation", [[X, X], [P, X], [X, M]])
def test_an_anchor_without_positive_or_negative_gives_0_and_no_gradient(
    strategy: Strategy, relation: list[int]
) -> None:
    distances = torch.tensor([[0.5, 0.1]], requires_grad=True)
    loss = _LOSSES[strategy](distances, torch.tensor([relation], dtype=torch.int8), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert distances.grad is not None
    assert distances.grad.abs().max() == 0


class _Table(torch.nn.Module):
    """A model whose embeddings are its parameters: `input_ids` are rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = torch.nn.Parameter(torch.randn(rows, 8))

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"sentence_embedding": self.table[features["input_ids"]]}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("distance", ["cosine", "euclidean", "squared-euclidean", "manhattan"])
def test_a_step_brings_the_positive_nearer_and_the_negative_farther(
    strategy: Strategy, distance: str
) -> None:
    model = _Table(3)
    loss = GroupTripletLoss(model, strategy=strategy, distance=distance, margin=2.0)  # type: ignore[arg-type]
    features = [{"input_ids": torch.tensor([0])}, {"input_ids": torch.tensor([1, 2])}]
    labels = {"anchors": torch.tensor([0]), "relations": torch.tensor([[P, M]], dtype=torch.int8)}

    def distances() -> list[float]:
        return distance_matrix(model.table[:1], model.table[1:], distance)[0].tolist()  # type: ignore[arg-type]

    before = distances()
    loss(features, labels).backward()
    with torch.no_grad():
        assert model.table.grad is not None
        model.table.sub_(0.02 * model.table.grad)
    after = distances()
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_the_loss_is_float32_under_autocast() -> None:
    loss = GroupTripletLoss(_Table(3), strategy="batch-hard", distance="cosine", margin=0.2)
    features = [{"input_ids": torch.tensor([0])}, {"input_ids": torch.tensor([1, 2])}]
    labels = {"anchors": torch.tensor([0]), "relations": torch.tensor([[P, M]], dtype=torch.int8)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss(features, labels).dtype == torch.float32
