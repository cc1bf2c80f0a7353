"""The compiled search gives documents and scores of a plain loop, bit by bit, on any number of threads."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textrip.lexical import cuda, impact_matrix, kernel
from textrip.lexical.bm25 import BM25L, BM25Okapi, BM25Plus
from textrip.lexical.cuda import best_documents_on

# Enough words that none is in more than half of the documents: those have an idf that is no longer above 0.
WORDS = [f"w{number}" for number in range(40)]
TOKENS = st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=8)


def random_corpus(documents: int, seed: int, *, longest: int = 12) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[*rng.choice(WORDS, size=rng.integers(0, longest))] for _ in range(documents)]


def both(
    index: impact_matrix.ImpactMatrix, queries: list[list[str]], k: int, order: np.ndarray | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The plain search and the compiled one."""
    patch = pytest.MonkeyPatch()
    try:
        patch.setattr(impact_matrix, "_COMPILED", "not loaded")
        plain = index.top_k(queries, k, order=order)
        patch.setattr(impact_matrix, "_COMPILED", "textrip.lexical.kernel")
        return plain, index.top_k(queries, k, order=order)
    finally:
        patch.undo()


def require_equal(plain: tuple[np.ndarray, np.ndarray], compiled: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(plain[0], compiled[0])
    np.testing.assert_array_equal(plain[1], compiled[1])


@pytest.fixture(params=[kernel._EXACT_UP_TO, 0], ids=["float64", "float32 first"])
def sums(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to sum, whatever the number of documents."""
    monkeypatch.setattr(kernel, "_EXACT_UP_TO", request.param)


@pytest.mark.usefixtures("sums")
@given(
    documents=st.integers(1, 400), seed=st.integers(0, 1000), k=st.integers(1, 90), shuffled=st.booleans(),
    queries=st.lists(TOKENS, min_size=1, max_size=5), longest=st.integers(2, 12),
)  # fmt: skip
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_compiled_search_is_the_plain_one_bit_by_bit(
    documents: int, seed: int, queries: list[list[str]], k: int, longest: int, shuffled: bool
) -> None:
    index = BM25Okapi([*random_corpus(documents, seed, longest=longest), ["other"]])
    order = np.random.default_rng(seed).permutation(documents + 1) if shuffled else None
    require_equal(*both(index, queries, k, order))


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("half", [1, 3, 150])
def test_a_term_of_exactly_half_of_the_documents_adds_nothing_and_slows_nothing(half: int) -> None:
    """Its idf is 0. One such term sent every query of a corpus to the plain search."""
    words = random_corpus(2 * half, 8) if half > 1 else [[], []]
    index = BM25Okapi([[*row, "half" if place < half else "other"] for place, row in enumerate(words)])
    assert index.signs[index.vocabulary["half"]] == 0
    queries = [["half"], ["half", "w1", "w7"], ["w1", "half", "w1"], ["half", "unknown"]]
    require_equal(*both(index, queries, min(20, 2 * half)))
    assert index._worth_compiling(1)


COMPILED = [name for name in vars(kernel) if hasattr(getattr(kernel, name), "py_func")]


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("block", [64, 128, 1024])
@pytest.mark.parametrize("longest", [2, 12])
def test_blocks_do_not_show(block: int, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More blocks than one, filled and nearly empty, with the source of the kernel run as plain Python."""
    monkeypatch.setattr(kernel, "_BLOCK_BYTES", 8 * block)
    monkeypatch.setattr(kernel, "_CHUNK", 64)
    monkeypatch.setattr(kernel, "_LEEWAY", 4)
    for name in COMPILED:
        monkeypatch.setattr(kernel, name, getattr(kernel, name).py_func)
    index = BM25Okapi(random_corpus(700, 3, longest=longest))
    queries = [["w1", "w2"], ["w7"], ["w3", "w3", "w9", "w30"], []]
    require_equal(*both(index, queries, 20))


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("k", [1, 10, 100, 600])
def test_equal_documents_however_many_stand_in_the_given_order(k: int) -> None:
    """2,000 of 5,000 documents have the same score, and the same words in another order nearly so."""
    common = [["w1", "w2", "w3"]] * 1000 + [["w3", "w2", "w1"]] * 1000
    corpus = [*common, *([[word, "other"] for word in WORDS[4:]] * 90)][:5000]
    rng = np.random.default_rng(0)
    index = BM25Okapi([corpus[place] for place in rng.permutation(len(corpus))])
    order = rng.permutation(len(corpus))
    for query in (["w1"], ["w1", "w2", "w3"], ["w3", "w3", "w1"], ["w1", "w9"]):
        require_equal(*both(index, [query], k, order))


def test_what_float32_cannot_tell_apart_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that differ by less than float32 sums err: the order is that of the exact ones."""
    rng = np.random.default_rng(4)
    n, tokens = 3000, 60
    impacts = np.full((tokens, n), 0.3, dtype=np.float32)
    impacts += rng.integers(0, 2, size=impacts.shape).astype(np.float32) * np.float32(2.0**-24)
    postings = kernel.Postings(
        np.arange(0, tokens * n + 1, n), np.tile(np.arange(n, dtype=np.int32), tokens), impacts.ravel(),
        rng.permutation(n),
    )  # fmt: skip
    query = [np.arange(tokens)]
    exact = impacts.astype(np.float64).cumsum(axis=0)[-1]
    wanted = np.lexsort((postings.order, -exact))[:50]
    monkeypatch.setattr(kernel, "_EXACT_UP_TO", 0)
    for leeway in (kernel._LEEWAY, 2 * n):  # by all of them, and by candidates
        monkeypatch.setattr(kernel, "_LEEWAY", leeway)
        found = kernel.best_documents(postings, query, 50)
        np.testing.assert_array_equal(found.places[0], wanted)
        np.testing.assert_array_equal(found.scores[0], exact[wanted])


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("k", [1, 50, 700])
def test_a_corpus_of_several_blocks(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    block = 4096
    monkeypatch.setattr(kernel, "_BLOCK_BYTES", block * (4 if kernel._EXACT_UP_TO == 0 else 8))
    corpus = random_corpus(2 * block + 100, 5, longest=6)
    index = BM25Okapi(corpus)
    rare = {"w0"}
    for row, tokens in enumerate(corpus):  # one word in a few documents of the last block alone
        if row < 2 * block:
            corpus[row] = [token for token in tokens if token not in rare]
    sparse = BM25Okapi(corpus)
    for built in (index, sparse):
        require_equal(*both(built, [["w0"], ["w1", "w0", "w5"], ["w4"] * 3], k))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_do_not_show(threads: int) -> None:
    index = BM25Okapi(random_corpus(500, 1))
    postings = kernel.Postings(index.indptr, index.doc_indices, index.impacts, np.arange(500))
    rng = np.random.default_rng(0)
    queries = [rng.integers(0, 40, size=rng.integers(0, 6)) for _ in range(33)]
    one = kernel.best_documents(postings, queries, 10, threads=1)
    many = kernel.best_documents(postings, queries, 10, threads=threads)
    np.testing.assert_array_equal(one.counts, many.counts)
    for row, count in enumerate(one.counts):
        np.testing.assert_array_equal(one.places[row, :count], many.places[row, :count])
        np.testing.assert_array_equal(one.scores[row, :count], many.scores[row, :count])


def test_no_query_and_no_threads_too_many() -> None:
    index = BM25Okapi(random_corpus(50, 1))
    postings = kernel.Postings(index.indptr, index.doc_indices, index.impacts, np.arange(50))
    assert kernel.best_documents(postings, [], 3).places.shape == (0, 3)
    assert kernel.best_documents(postings, [np.array([1])], 3, threads=16).counts.tolist() == [3]


def test_without_a_folder_to_keep_it_in_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(**options: bool) -> Callable[[Any], Any]:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)  # type: ignore[no-any-return]

    monkeypatch.setattr(kernel, "njit", nowhere)
    assert kernel._compiled(lambda one, other: one + other)(1, 2) == 3


def test_an_opened_index_is_searched_where_it_lies(tmp_path: Path) -> None:
    built = BM25Okapi(random_corpus(300, 9))
    built.save(tmp_path / "bm25")
    opened = BM25Okapi.open(tmp_path / "bm25")
    queries = [["w1", "w5"], ["w8"]]
    require_equal(both(built, queries, 30)[0], both(opened, queries, 30)[1])


@pytest.mark.parametrize("variant", [BM25L, BM25Plus])
def test_formulas_that_score_without_a_term_take_the_plain_way(variant: type[BM25L | BM25Plus]) -> None:
    require_equal(*both(variant(random_corpus(100, 2)), [["w1", "w2"]], 40))


def test_words_in_most_documents_take_the_plain_way() -> None:
    """An idf below 0 gives postings below 0: rank-bm25 floors it, a tiny corpus keeps it below."""
    index = BM25Okapi([["a"], ["a"], ["a", "b"]])
    assert (index.impacts <= 0).any()
    require_equal(*both(index, [["a", "b"], ["b"]], 3))


def near(device: str, index: BM25Okapi, queries: list[np.ndarray], k: int, order: np.ndarray) -> None:
    """The product's scores are within 1e-4 of the kernel's; equal documents stand in the given order."""
    postings = kernel.Postings(index.indptr, index.doc_indices, index.impacts, order)
    exact, words = kernel.best_documents(postings, queries, k), list(index.vocabulary)
    found = best_documents_on(device, postings, queries, k)
    np.testing.assert_array_equal(found.counts, exact.counts)
    for row, count in enumerate(exact.counts):
        np.testing.assert_allclose(found.scores[row, :count], exact.scores[row, :count], atol=1e-4)
        scores = index.get_scores([words[term] for term in queries[row]])
        np.testing.assert_allclose(found.scores[row, :count], scores[found.places[row, :count]], atol=1e-4)
        for first, second in itertools.pairwise(range(count)):
            if found.scores[row, first] == found.scores[row, second]:
                assert order[found.places[row, first]] < order[found.places[row, second]]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("size", [1, 7, 256])
def test_the_sparse_product_gives_the_same(device: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setattr(cuda, "_QUERIES_A_BATCH", size)
    index = BM25Okapi(random_corpus(400, 6, longest=4))  # short documents: many ties
    rng = np.random.default_rng(1)
    queries = [rng.integers(0, 40, size=rng.integers(0, 6)) for _ in range(20)]
    near(device, index, queries, 30, np.arange(400))
    near(device, index, queries, 400, rng.permutation(400))


@pytest.mark.parametrize("driver", [True, False])
def test_torch_is_imported_where_there_are_many_queries_and_a_driver(driver: bool, tmp_path: Path) -> None:
    file = tmp_path / "nvidiactl"
    if driver:
        file.touch()
    program = (
        "import sys\n"
        "from textrip.lexical import impact_matrix\n"
        f"impact_matrix._DRIVER_FILES = ({str(file)!r},)\n"
        "impact_matrix._on_cuda(2047)\n"
        "assert 'torch' not in sys.modules\n"
        "print(impact_matrix._on_cuda(2048) in (True, False), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", str(driver)]


@pytest.mark.parametrize("queries", [0, 1, 5, 9, 10, 11, 38, 39])
def test_queries_are_asked_in_parts_that_a_gpu_is_worth(
    queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = BM25Okapi(random_corpus(80, 1))
    monkeypatch.setattr(impact_matrix, "_CUDA_FROM", 10)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for worth in (10**9, 1):
        monkeypatch.setattr(impact_matrix, "_COMPILED", "not loaded")
        monkeypatch.setattr(impact_matrix, "_COMPILED_FROM", worth)
        parts = index.in_parts(queries, 4)
        assert [place for part in parts for place in range(queries)[part]] == [*range(queries)]
        sizes = [part.stop - part.start for part in parts]
        if worth == 1 and queries >= 10:
            assert all(10 <= size < 20 for size in sizes)
        else:
            assert sizes == [4] * (queries // 4) + [queries % 4] * (queries % 4 > 0)


def test_a_gpu_is_chosen_for_many_queries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    index = BM25Okapi(random_corpus(80, 1))
    asked: list[str] = []

    def on(device: str, postings: kernel.Postings, queries: list[np.ndarray], k: int) -> kernel.Found:
        asked.append(device)
        return best_documents_on("cpu", postings, queries, k)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "best_documents_on", on)
    monkeypatch.setattr(impact_matrix, "_CUDA_FROM", 3)
    plain, few = both(index, [["w1"], ["w2"]], 5)
    require_equal(plain, few)
    assert asked == []
    plain, many = both(index, [["w1"], ["w2", "w3"], ["unknown"]], 5)
    assert asked == ["cuda"]
    np.testing.assert_allclose(many[1], plain[1], atol=1e-4)
    assert (many[0][2] == plain[0][2]).all()
