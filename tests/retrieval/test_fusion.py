"""Reciprocal rank fusion equals a plain loop and an example by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import naive
from textrip.retrieval.fusion import Fusion, reciprocal_rank_fusion

RANKINGS = st.lists(st.lists(st.integers(0, 12), unique=True, max_size=10), max_size=4)


@given(RANKINGS, st.integers(1, 15))
def test_equals_a_plain_loop(rankings: list[list[int]], k: int) -> None:
    places, scores = reciprocal_rank_fusion(rankings, k)
    expected = naive.rrf(rankings, k)
    assert places.dtype == np.int64
    assert scores.dtype == np.float64
    assert places.tolist() == [place for place, _ in expected]
    assert scores.tolist() == pytest.approx([score for _, score in expected], abs=1e-12)


@given(RANKINGS, st.permutations(range(13)))
def test_order_breaks_ties(rankings: list[list[int]], order: list[int]) -> None:
    """The plain loop breaks ties by place: rename every document to its rank, fuse, and rename back."""
    renamed = naive.rrf([[order[place] for place in ranking] for ranking in rankings], 13)
    places, _ = reciprocal_rank_fusion([np.asarray(r, np.int64) for r in rankings], 13, np.asarray(order))
    assert places.tolist() == [order.index(rank) for rank, _ in renamed]


def test_by_hand() -> None:
    # 1: 1/62 + 1/61 = 0.0161290 + 0.0163934 = 0.0325225
    # 3: 1/61         = 0.0163934
    # 2:        1/62  = 0.0161290
    places, scores = reciprocal_rank_fusion([[3, 1], [1, 2]], 10)
    assert places.tolist() == [1, 3, 2]
    assert scores.tolist() == pytest.approx([0.0325225, 0.0163934, 0.0161290], abs=1e-7)
    assert reciprocal_rank_fusion([[3, 1], [1, 2]], 1)[0].tolist() == [1]


def test_ties_by_hand() -> None:
    assert reciprocal_rank_fusion([[0, 1], [1, 0]], 2)[0].tolist() == [0, 1]
    assert reciprocal_rank_fusion([[0, 1], [1, 0]], 2, np.asarray([1, 0]))[0].tolist() == [1, 0]
    assert reciprocal_rank_fusion([[0, 1], [1, 0]], 1, np.asarray([1, 0]))[0].tolist() == [1]


@pytest.mark.parametrize("rankings", [[], [[]], [[], []]])
def test_nothing_fused_is_nothing(rankings: list[list[int]]) -> None:
    places, scores = reciprocal_rank_fusion(rankings, 5)
    assert places.shape == scores.shape == (0,)
    assert places.dtype == np.int64


def test_an_empty_ranking_changes_no_order() -> None:
    places, scores = reciprocal_rank_fusion([[4, 2, 7], []], 5)
    assert places.tolist() == [4, 2, 7]
    assert scores.tolist() == [1 / 61, 1 / 62, 1 / 63]


@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(1, 5))
def test_a_better_rank_never_means_a_worse_place(first: list[int], second: list[int], rank: int) -> None:
    moved = first[rank]
    before = reciprocal_rank_fusion([first, second], 6)[0].tolist().index(moved)
    raised = [moved, *(place for place in first if place != moved)]
    assert reciprocal_rank_fusion([raised, second], 6)[0].tolist().index(moved) <= before


def test_scores_below_0_by_hand() -> None:
    """BM25 has them in a tiny corpus, for a word in most of its documents."""
    dense = np.array([0, 1, 2]), np.array([0.4, 0.4, 0.4], np.float32)
    rows, scores = Fusion(weight=0.5)(dense, (np.array([1, 0]), np.array([-0.1, -0.3])), 3)
    # 1: 0.5 + 0.5 * 1; 0: 0.5 + 0.5 * 0.1 / 0.3; 2, which has no word of the question: 0.5
    assert rows.tolist() == [1, 0, 2]
    assert scores.tolist() == pytest.approx([1.0, 0.666667, 0.5], abs=1e-6)


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=8))
def test_what_dense_cannot_tell_apart_stands_as_bm25_has_it(tenths: list[int]) -> None:
    found = np.sort(np.asarray(tenths) / 10)[::-1]
    rows = np.arange(len(found))
    places, _ = Fusion(weight=0.5)((rows, np.full(len(rows), 0.5, np.float32)), (rows, found), len(rows))
    assert places.tolist() == rows.tolist()
