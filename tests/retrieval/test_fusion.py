"""Reciprocal rank fusion equals a plain loop and an example by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import naive
from tests.retrieval.stub import StubEncoder, text_of
from textrip.data.collection import Collection
from textrip.records import Document
from textrip.retrieval import answer
from textrip.retrieval.fusion import Fusion, reciprocal_rank_fusion
from textrip.retrieval.index import Index

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


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.8])
def test_a_convex_combination_has_both_scores_of_what_one_ranking_found(
    weight: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a plain loop over all documents: one that is first by words is not at -1 by its vector."""
    texts = {f"d{n:02d}": text_of(n) for n in range(40)} | {f"f{n}": f"filler {n}" for n in range(60)}
    corpus = Collection.of("c", [Document(doc_id, "", text) for doc_id, text in texts.items()])
    monkeypatch.setattr(answer, "DEPTH", 5)
    with Index.build(corpus, StubEncoder(), tmp_path / "index") as index:
        index.note(fusion={"weight": weight, "tuned_on": None, "queries": 0})
        for query in ("rose tulip", "boat", "violin chord orbit rose"):
            dense = {hit.doc_id: hit.score for hit in index.search(query, k=100)}
            words = {hit.doc_id: hit.score for hit in index.search(query, k=100, mode="bm25")}
            union = {*list(dense)[:5], *list(words)[:5]}
            best = max(dense.values()) + 1, max(words.values())
            expected = {
                doc_id: weight * (dense[doc_id] + 1) / best[0] + (1 - weight) * words.get(doc_id, 0) / best[1]
                for doc_id in union
            }
            found = index.search(query, k=5, mode="hybrid")
            assert [hit.score for hit in found] == pytest.approx(
                sorted(expected.values())[::-1][:5], abs=1e-6
            )
            assert all(hit.score == pytest.approx(expected[hit.doc_id], abs=1e-6) for hit in found)


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


def test_a_best_score_near_0_makes_no_share_beyond_0_and_1() -> None:
    """Of 0.2 and -0.6 the shares were 1 and -3, and BM25 alone decided."""
    dense = np.array([2, 1, 0]), np.array([0.9, 0.8, 0.1], np.float32)
    rows, scores = Fusion(weight=0.5)(dense, (np.array([0, 1, 2]), np.array([0.2, -0.6, -0.7])), 3)
    # 0: 0.5 * 1.1 / 1.9 + 0.5; 2: 0.5; 1: 0.5 * 1.8 / 1.9
    assert rows.tolist() == [0, 2, 1]
    assert scores.tolist() == pytest.approx([0.789474, 0.5, 0.473684], abs=1e-6)
    assert (
        Fusion(weight=0.0)(dense, (np.array([0, 1, 2]), np.array([0.0, -0.6, -0.7])), 3)[1].tolist()
        == [0] * 3
    )


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=8)
    | st.lists(st.integers(-30, -1), min_size=1, max_size=8)
)
def test_what_dense_cannot_tell_apart_stands_as_bm25_has_it(tenths: list[int]) -> None:
    found = np.sort(np.asarray(tenths) / 10)[::-1]
    rows = np.arange(len(found))
    places, _ = Fusion(weight=0.5)((rows, np.full(len(rows), 0.5, np.float32)), (rows, found), len(rows))
    assert places.tolist() == rows.tolist()
