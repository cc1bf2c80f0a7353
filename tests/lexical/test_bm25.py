"""BM25 equals rank-bm25 within 1e-5: on random corpora, on Cranfield, and after a round trip."""

from pathlib import Path

import numpy as np
import pytest
import rank_bm25
from hypothesis import given, settings
from hypothesis import strategies as st

from textrip.data.formats import read
from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.bm25 import BM25L, BM25Okapi, BM25Plus
from textrip.stamps import require_digests

VARIANTS = [(BM25Okapi, rank_bm25.BM25Okapi), (BM25L, rank_bm25.BM25L), (BM25Plus, rank_bm25.BM25Plus)]
WORDS = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"])
CORPORA = st.lists(st.lists(WORDS, max_size=12), min_size=1, max_size=12).filter(any)
CORPUS = [["a", "b"], ["a", "a", "c"], ["d"], ["b", "c", "d", "d"]]


@pytest.mark.parametrize(("ours", "theirs"), VARIANTS)
@given(
    corpus=CORPORA,
    query=st.lists(WORDS, max_size=5),
    k1=st.sampled_from([0.9, 1.5]),
    b=st.sampled_from([0.0, 0.75, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_scores_equal_rank_bm25_on_random_corpora(
    ours: type, theirs: type, corpus: list[list[str]], query: list[str], k1: float, b: float
) -> None:
    if b == 1.0:
        corpus = [document or ["a"] for document in corpus]  # rank-bm25 divides by an empty document's length
    expected = theirs(corpus, k1=k1, b=b).get_scores(query)
    np.testing.assert_allclose(ours(corpus, k1=k1, b=b).get_scores(query), expected, atol=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), VARIANTS)
def test_scores_equal_rank_bm25_on_cranfield(ours: type, theirs: type, real_data: Path) -> None:
    collection = read(real_data / "cranfield")
    analyzer = Analyzer()
    corpus = [analyzer(text) for text in collection.texts]
    mine, reference = ours(corpus), theirs(corpus)
    for query in list(collection.queries_of("test").values())[:25]:
        tokens = analyzer(query)
        np.testing.assert_allclose(mine.get_scores(tokens), reference.get_scores(tokens), atol=1e-5)
        some = [3, 1, 4]
        np.testing.assert_allclose(
            mine.get_batch_scores(tokens, some), reference.get_batch_scores(tokens, some), atol=1e-5
        )


@pytest.mark.parametrize(("ours", "_theirs"), VARIANTS)
def test_saved_and_opened_scores_the_same(ours: type, _theirs: type, tmp_path: Path) -> None:
    built = ours(CORPUS)
    built.save(tmp_path / "bm25")
    opened = ours.open(tmp_path / "bm25")  # type: ignore[attr-defined]
    assert opened.get_scores(["a", "d", "x"]).tolist() == built.get_scores(["a", "d", "x"]).tolist()
    assert not list((tmp_path / "bm25").glob("*.pkl"))


def test_top_k_has_the_promised_shape_and_breaks_ties_by_place() -> None:
    index = BM25Okapi([["x"], ["y"], ["y"], ["z"], ["z", "z", "w", "v"]])
    places, scores = index.top_k([["y"], ["nothing"]], 3)
    assert places.shape == scores.shape == (2, 3)
    assert places.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert scores[0, 0] == scores[0, 1] > scores[0, 2] == 0
    assert index.top_k([["y"]], 99)[0].shape == (1, 5)


def test_get_top_n_follows_the_rule_for_ties() -> None:
    assert BM25Okapi([["x"], ["y"], ["y"], ["z"], ["w"]]).get_top_n(["y"], list("ABCDE"), n=2) == ["B", "C"]


def test_a_tokenizer_is_called_in_this_process() -> None:
    built = BM25Okapi(["a b", "c"], tokenizer=lambda text: text.split())
    assert built.get_scores(["c"])[1] == BM25Okapi([["a", "b"], ["c"]]).get_scores(["c"])[1]


@pytest.mark.parametrize("call", [
    lambda: BM25Okapi(CORPUS).get_scores("a b"),
    lambda: BM25Okapi(CORPUS).top_k("a b", 2),
    lambda: BM25Okapi(["a b", "c"]),
])  # fmt: skip
def test_a_string_is_refused_where_tokens_are_wanted(call: object) -> None:
    with pytest.raises(InputError, match=r"a list of (lists of )?tokens was expected"):
        call()  # type: ignore[operator]


def test_an_empty_corpus_is_refused_and_empty_documents_are_not() -> None:
    with pytest.raises(InputError, match="the corpus is empty"):
        BM25Okapi([])
    assert BM25Okapi([[], []]).get_scores(["a"]).tolist() == [0, 0]


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    BM25Okapi(CORPUS).save(tmp_path / "bm25")
    path = tmp_path / "bm25" / "impacts.npy"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(
        InputError, match=r"impacts\.npy: does not match its digest; the index is damaged, build it again"
    ):
        BM25Okapi.open(tmp_path / "bm25")


def test_a_folder_that_is_replaced_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BM25Okapi(CORPUS).save(tmp_path / "bm25")
    BM25Okapi([*CORPUS, ["e"]]).save(tmp_path / "new")

    def and_then_replaced(folder: Path, digests: dict[str, str]) -> None:
        require_digests(folder, digests)
        (tmp_path / "bm25").rename(tmp_path / "old")
        (tmp_path / "new").rename(tmp_path / "bm25")

    monkeypatch.setattr("textrip.lexical.impact_files.require_digests", and_then_replaced)
    with pytest.raises(InputError, match="bm25: was replaced by another while it was opened; open it again"):
        BM25Okapi.open(tmp_path / "bm25")


def test_another_variant_is_refused(tmp_path: Path) -> None:
    BM25Okapi(CORPUS).save(tmp_path / "bm25")
    with pytest.raises(InputError, match="holds BM25Okapi, BM25L was asked for"):
        BM25L.open(tmp_path / "bm25")
