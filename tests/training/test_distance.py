"""Distances: lower is closer, equal rows are 0 with finite gradients, float32 under autocast."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from textrip.errors import InputError
from textrip.training.distance import distance_matrix, largest_distance
from textrip.training.margin import require_possible
from textrip.training.names import DISTANCES, Distance

NAIVE: dict[str, Callable[[Any, Any], float]] = {
    "cosine": lambda a, b: 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    "euclidean": lambda a, b: float(np.linalg.norm(a - b)),
    "squared-euclidean": lambda a, b: ((a - b) ** 2).sum(),
    "manhattan": lambda a, b: np.abs(a - b).sum(),
}


@pytest.mark.parametrize("distance", DISTANCES)
def test_equals_a_plain_loop(distance: Distance) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, 7), torch.randn(5, 7)
    expected = [[NAIVE[distance](x, y) for y in b.numpy().astype(float)] for x in a.numpy().astype(float)]
    np.testing.assert_allclose(distance_matrix(a, b, distance).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_rows_are_at_0_with_finite_gradients(distance: Distance) -> None:
    torch.manual_seed(0)
    a = torch.nn.functional.normalize(torch.randn(3, 64), dim=1).requires_grad_()
    distances = distance_matrix(a, a.detach().clone(), distance)
    assert distances.diagonal().abs().max() < 1e-6
    distances.diagonal().sum().backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_step_down_the_gradient_brings_a_pair_nearer(distance: Distance) -> None:
    torch.manual_seed(1)
    a, b = torch.randn(1, 8, requires_grad=True), torch.randn(1, 8)
    before = distance_matrix(a, b, distance)
    before.sum().backward()
    assert a.grad is not None
    after = distance_matrix(a.detach() - 0.01 * a.grad, b, distance)
    assert after.item() < before.item()


def test_float32_under_autocast() -> None:
    a = torch.randn(2, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert distance_matrix(a, a, "cosine").dtype == torch.float32


@pytest.mark.parametrize("distance", DISTANCES)
def test_no_pair_of_unit_vectors_is_farther_than_the_largest_distance(distance: Distance) -> None:
    torch.manual_seed(2)
    a = torch.nn.functional.normalize(torch.randn(200, 16), dim=1)
    most = largest_distance(distance, dimension=16, unit_vectors=True)
    assert distance_matrix(a, torch.cat([a, -a]), distance).max() <= most + 1e-5


@pytest.mark.parametrize(("margin", "distance", "unit", "wanted"), [
    (5.0, "cosine", False, "margin is 5; for cosine distance it must be above 0 and at most 2"),
    (5.0, "euclidean", True, "margin is 5; for euclidean distance between unit vectors .* at most 2"),
    (4.5, "squared-euclidean", True, "at most 4: no triplet could satisfy a larger one"),
    (9.0, "manhattan", True, "at most 8"),
    (0.0, "cosine", True, "must be above 0"),
    (-1.0, "euclidean", False, "must be above 0"),
])  # fmt: skip
def test_impossible_margins_are_refused(margin: float, distance: Distance, unit: bool, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        require_possible(margin, distance, dimension=16, unit_vectors=unit)


@pytest.mark.parametrize(("margin", "distance", "unit"), [
    (2.0, "cosine", True), (5.0, "euclidean", False), (4.0, "squared-euclidean", True),
])  # fmt: skip
def test_possible_margins_are_taken(margin: float, distance: Distance, unit: bool) -> None:
    require_possible(margin, distance, dimension=16, unit_vectors=unit)
