"""Ranks: score down, then doc_id up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import naive
from textrip.ranking import id_order, top_k


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=30), st.integers(1, 35), st.randoms()
)
def test_top_k_equals_a_full_sort_with_many_ties(scores: list[float], k: int, draw: object) -> None:
    order = list(range(len(scores)))
    draw.shuffle(order)  # type: ignore[attr-defined]
    indices, values = top_k(np.asarray([scores], dtype=np.float32), k, np.asarray(order))
    assert indices[0].tolist() == naive.top_k(scores, k, order)
    assert values[0].tolist() == [scores[place] for place in indices[0]]


def test_ties_at_the_cut_go_to_the_first_id() -> None:
    indices, _ = top_k(np.asarray([[1.0, 1.0, 1.0, 2.0]]), 2, id_order(["c", "b", "a", "z"]))
    assert indices.tolist() == [[3, 2]]


def test_none_of_nothing() -> None:
    indices, scores = top_k(np.empty((2, 0), dtype=np.float32), 5)
    assert indices.shape == (2, 0)
    assert scores.shape == (2, 0)


def test_id_order_compares_text_not_numbers() -> None:
    assert id_order(["10", "9", "1"]).tolist() == [1, 2, 0]
