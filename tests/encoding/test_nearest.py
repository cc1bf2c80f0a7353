"""Dense search equals sorting everything, whatever the block; equal vectors stand in order of their ids."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.oracles import naive
from textrip.encoding import nearest as dense_module
from textrip.encoding.nearest import dense_top_k
from textrip.ranking import id_order

# Quarters add and multiply exactly in float32: what ties here really ties.
ROW = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.25, 0.5, 1.0]), min_size=3, max_size=3)


def dots(query: Sequence[float], documents: Sequence[Sequence[float]]) -> list[float]:
    return [sum(a * b for a, b in zip(query, document, strict=True)) for document in documents]


def quarters(rows: int, seed: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    return (draw.integers(-4, 5, (rows, 3)) / 4).astype(np.float32)


@pytest.fixture(params=["block by block", "by FAISS"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Few and many questions take two ways to one answer."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by FAISS":
            patch.setattr(dense_module, "_MANY_QUERIES", 1)
            patch.setattr(dense_module, "_MANY_SCORES", 0)
            patch.setattr(dense_module, "_SPARE", 1)  # ties are more than are kept
        yield


@given(
    st.lists(ROW, min_size=1, max_size=4), st.lists(ROW, min_size=1, max_size=20), st.integers(1, 25),
    st.booleans(), st.randoms(),
)  # fmt: skip
def test_equals_a_full_sort_with_ties(
    queries: list[list[float]], documents: list[list[float]], k: int, ordered: bool, draw: object
) -> None:
    order = list(range(len(documents)))
    if ordered:
        draw.shuffle(order)  # type: ignore[attr-defined]
    rows, scores = dense_top_k(
        np.asarray(queries, dtype=np.float32),
        np.asarray(documents, dtype=np.float32),
        k,
        np.asarray(order) if ordered else None,
    )
    assert rows.dtype == np.int64
    assert scores.dtype == np.float32
    assert rows.shape == scores.shape == (len(queries), min(k, len(documents)))
    for place, query in enumerate(queries):
        expected = naive.top_k(dots(query, documents), k, order)
        assert rows[place].tolist() == expected
        assert scores[place].tolist() == [dots(query, documents)[row] for row in expected]


@pytest.mark.parametrize("scores_a_block", [1, 30, 31, 60, 10**9])
def test_the_block_changes_nothing(scores_a_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, documents, order = quarters(7, 0), quarters(30, 1), np.arange(30)[::-1]
    rows, scores = dense_top_k(queries, documents, 10, order)
    monkeypatch.setattr(dense_module, "_SCORES_A_BLOCK", scores_a_block)
    in_blocks = dense_top_k(queries, documents, 10, order)
    np.testing.assert_array_equal(in_blocks[0], rows)
    np.testing.assert_array_equal(in_blocks[1], scores)


def test_no_more_scores_than_a_block_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    class Recording(np.ndarray[Any, Any]):
        def __matmul__(self, other: Any) -> Any:
            scores = np.asarray(self) @ other
            held.append(scores.shape)
            return scores

    monkeypatch.setattr(dense_module, "_SCORES_A_BLOCK", 60)
    monkeypatch.setattr(dense_module, "_MANY_SCORES", 10**9)
    dense_top_k(quarters(5, 0).view(Recording), quarters(30, 1), 3)
    assert held == [(2, 30), (2, 30), (1, 30)]


def test_a_k_beyond_the_documents_gives_all_of_them() -> None:
    rows, scores = dense_top_k(quarters(2, 0), quarters(4, 1), 9)
    assert rows.shape == scores.shape == (2, 4)
    assert sorted(rows[0].tolist()) == [0, 1, 2, 3]


def test_no_query_gives_no_row_and_no_document_no_column() -> None:
    rows, scores = dense_top_k(np.empty((0, 3), dtype=np.float32), quarters(4, 1), 2)
    assert rows.shape == scores.shape == (0, 2)
    rows, scores = dense_top_k(quarters(2, 0), np.empty((0, 3), dtype=np.float32), 2)
    assert rows.shape == scores.shape == (2, 0)


def test_more_copies_than_are_kept_stand_in_order_of_their_ids() -> None:
    """FAISS gives any k of them; here the last are the first."""
    documents = np.tile(np.asarray([[1.0, 0.0, 0.0, 0.0]], dtype=np.float32), (10, 1))
    rows, _ = dense_top_k(documents[:1], documents, 2, np.arange(10)[::-1].copy())
    assert rows.tolist() == [[9, 8]]


def test_scores_that_the_product_rounds_apart_are_compared_exactly() -> None:
    """Equal vectors whose rough scores differ in the last bit are equal: rounding may not choose."""
    near = dense_module._near(np.asarray([0.5, 0.5 + 6e-8, 0.5, 0.4], dtype=np.float32), 1)
    assert near.tolist() == [0, 1, 2]


def test_the_nearer_vector_comes_first() -> None:
    documents = np.asarray([[0.0, 1.0], [-1.0, 0.0], [0.6, 0.8], [1.0, 0.0]], dtype=np.float32)
    rows, scores = dense_top_k(np.asarray([[1.0, 0.0]], dtype=np.float32), documents, 4)
    assert rows.tolist() == [[3, 2, 0, 1]]
    assert scores.tolist() == [[1.0, np.float32(0.6), 0.0, -1.0]]


def test_copies_of_a_document_stand_in_order_of_their_ids() -> None:
    draw = np.random.default_rng(0)
    for copies in (3, 5, 17, 33, 101):
        vector, queries = draw.standard_normal(384), draw.standard_normal((3, 384))
        documents = np.tile((vector / np.linalg.norm(vector)).astype(np.float32), (copies, 1))
        queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
        order = id_order([f"{copies - row:03d}" for row in range(copies)])
        for some in (queries, queries[:1]):
            rows, _ = dense_top_k(some, documents, copies, order)
            assert rows.tolist() == [list(range(copies))[::-1]] * len(some)
