"""The paired test: no difference is none, a large one is told, and p is near that of all sign flips."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrip.eval.significance import Difference, at_odds, paired_difference

VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12)


def named(values: list[float]) -> dict[str, float]:
    return {f"q{number}": value for number, value in enumerate(values)}


def compared(differences: list[float], seed: int = 0) -> Difference:
    return paired_difference(named([0.0] * len(differences)), named(differences), seed=seed)


def p_of_all_sign_flips(differences: list[float]) -> float:
    """The share of all 2^n sign flips whose sum is as far from 0."""
    observed = abs(sum(differences))
    flips = list(itertools.product((-1, 1), repeat=len(differences)))
    extreme = sum(
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True))) >= observed - 1e-9
        for signs in flips
    )
    return extreme / len(flips)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25, 0.5])
def test_p_is_near_that_of_all_sign_flips(seed: int, shift: float) -> None:
    differences = (np.random.default_rng(seed).normal(shift, 0.4, 10)).tolist()
    assert compared(differences, seed).p == pytest.approx(p_of_all_sign_flips(differences), abs=0.02)


def test_p_by_hand() -> None:
    # Of the 2^10 sign flips of ten equal differences two are as far from 0: 2/1024 = 0.00195.
    assert compared([0.1] * 10).p == pytest.approx(2 / 1024, abs=0.002)
    # Of the 8 sign flips of 1, 1, 0 the sum is 2 or -2 for 4: p = 0.5.
    assert compared([1.0, 1.0, 0.0]).p == pytest.approx(0.5, abs=0.02)


def test_no_difference_is_not_significant() -> None:
    found = compared([0.0] * 20)
    assert (found.n, found.mean, found.low, found.high, found.p) == (20, 0.0, 0.0, 0.0, 1.0)


def test_differences_that_cancel_are_not_significant() -> None:
    found = compared([0.1, -0.1] * 25)
    assert found.mean == pytest.approx(0)
    assert found.low < 0 < found.high
    assert found.p > 0.9


def test_a_large_constant_difference_is_significant() -> None:
    found = compared([0.3 + 0.001 * number for number in range(50)])
    assert found.p == pytest.approx(1 / 10_001)  # never 0: the observed one is counted among the draws
    assert 0.3 < found.low < found.mean < found.high < 0.35


def test_the_sign_is_that_of_b_minus_a() -> None:
    worse, better = named([0.1, 0.2, 0.3]), named([0.4, 0.6, 0.5])
    # (0.3 + 0.4 + 0.2) / 3 = 0.3
    assert paired_difference(worse, better).mean == pytest.approx(0.3)
    backwards = paired_difference(better, worse)
    assert backwards.mean == pytest.approx(-0.3)
    assert backwards.low <= backwards.high < 0


def test_queries_are_paired_by_id_not_by_place() -> None:
    a = {"q1": 0.0, "q2": 1.0}
    found = paired_difference(a, {"q2": 1.0, "q1": 0.5})
    assert found == paired_difference(a, {"q1": 0.5, "q2": 1.0})
    assert found.mean == pytest.approx(0.25)


@given(VALUES, st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_the_interval_contains_the_mean(values: list[tuple[float, float]], seed: int) -> None:
    a, b = (named([pair[side] for pair in values]) for side in (0, 1))
    found = paired_difference(a, b, seed=seed)
    assert found.n == len(values)
    assert found.mean == pytest.approx(sum(second - first for first, second in values) / len(values))
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9
    assert 0 < found.p <= 1
    mirrored = paired_difference(b, a, seed=seed)
    assert (mirrored.mean, mirrored.low, mirrored.high) == pytest.approx(
        (-found.mean, -found.high, -found.low), abs=1e-9
    )
    assert mirrored.p == pytest.approx(found.p)


def test_the_interval_is_that_of_the_bootstrap() -> None:
    """The mean of 400 zeros and ones has a standard error of 0.025: the interval is 1.96 of it wide."""
    found = compared([0.0, 1.0] * 200)
    assert (found.low, found.high) == pytest.approx((0.5 - 0.049, 0.5 + 0.049), abs=0.004)


def test_the_same_seed_gives_the_same_answer_and_the_global_state_plays_no_part() -> None:
    differences = np.random.default_rng(5).normal(0.1, 0.4, 30).tolist()
    np.random.seed(1)
    found = compared(differences, 7)
    np.random.seed(2)
    assert compared(differences, 7) == found
    assert compared(differences, 8) != found
    assert compared(differences, 8).p == pytest.approx(found.p, abs=0.02)


def test_one_query_proves_nothing() -> None:
    found = compared([0.5])
    assert (found.n, found.mean, found.low, found.high, found.p) == (1, 0.5, 0.5, 0.5, 1.0)


def test_other_queries_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match=r"measured on the same queries"):
        paired_difference({"a": 1.0}, {"b": 1.0})


def test_of_few_queries_interval_and_p_may_disagree() -> None:
    # Of the 16 sign flips of four gains two are as far from 0: p = 1/8, whatever a draw of them says.
    few, many = compared([0.1, 0.2, 0.3, 0.2]), compared([0.1, 0.2, 0.3, 0.2] * 10)
    assert few.low > 0
    assert few.p > 0.05
    assert at_odds(few.low, few.high, few.p)
    assert not at_odds(many.low, many.high, many.p)
    none = compared([0.1, -0.1] * 20)
    assert not at_odds(none.low, none.high, none.p)
