"""A second model's scores decide the order of the best; equal ones stand by doc_id."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.retrieval.stub import StubEncoder, text_of
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.mining.scoring import EncoderScorer
from textrip.records import Document, full_text
from textrip.retrieval.fusion import Fusion
from textrip.retrieval.index import Index
from textrip.retrieval.passages import Cutting


class ByLength:
    """The shorter, the better."""

    name = "length"

    def __init__(self) -> None:
        self.read: list[str] = []

    def fresh(self) -> "ByLength":
        return self

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += [texts[place] for _, place in pairs]
        return np.array([-len(texts[place].split()) // 5 for _, place in pairs], dtype=np.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    documents = [Document(f"d{n:02d}", "t", text_of(n)[: 10 + 3 * (n % 17)]) for n in range(40)]
    folder = tmp_path_factory.mktemp("r") / "index"
    with Index.build(Collection.of("c", documents), StubEncoder(), folder) as built:
        yield built


def test_the_best_are_scored_again(index: Index) -> None:
    scorer = ByLength()
    first = index.search("rose tulip", k=12)
    hits = index.search("rose tulip", k=5, rerank=scorer, rerank_depth=12)
    words = {hit.doc_id: len(full_text(hit.title, hit.text).split()) for hit in first}
    expected = sorted(first, key=lambda hit: (-(-words[hit.doc_id] // 5), hit.doc_id))
    assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in expected[:5]]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert sorted(scorer.read) == sorted(full_text(hit.title, hit.text) for hit in first)
    with pytest.raises(InputError, match=r"rerank_depth is 3, at least k \(5\) was expected"):
        index.search("rose", k=5, rerank=scorer, rerank_depth=3)


def test_a_passage_is_what_is_read(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", "", f"{text_of(n)} {text_of(n + 50)} {text_of(n + 90)}") for n in range(9)]
    collection, cutting = Collection.of("c", documents), Cutting(tokens=12, overlap=3)
    scorer = ByLength()
    with Index.build(collection, StubEncoder(), tmp_path / "index", cutting=cutting) as cut:
        hits = cut.search("rose", k=9, rerank=scorer)
    assert {hit.passage for hit in hits} == set(scorer.read)


def test_an_encoder_reranks(index: Index, tiny_encoder: Encoder) -> None:
    """The same scorer serves one question after the other: it keeps no document of the last one."""
    scorer = EncoderScorer(tiny_encoder)
    for query in ("rose", "boat"):
        hits = index.search(query, k=40, rerank=scorer)
        (asked,) = tiny_encoder.encode([query], kind="query")
        found = tiny_encoder.encode([full_text(hit.title, hit.text) for hit in hits]) @ asked
        np.testing.assert_allclose([hit.score for hit in hits], found, atol=1e-5)
        assert (np.diff(found) <= 1e-6).all()


def test_hybrids_weight_is_tuned_on_dev_and_kept(tmp_path: Path) -> None:
    documents = [Document(f"d{n:02d}", "", text_of(n)) for n in range(40)]
    queries = {f"q{n}": " ".join(text_of(n).split()[:3]) for n in range(20)}
    judged = {query: {f"d{int(query[1:]):02d}": 1} for query in queries}
    collection = Collection.of("c", documents, queries, {"dev": judged, "test": judged})
    with Index.build(collection, StubEncoder(), tmp_path / "index") as index:
        assert index.fusion == Fusion()
        with pytest.raises(InputError, match=r"a fusion is not tuned on test"):
            index.tune_fusion(collection, split="test")
        fusion = index.tune_fusion(collection)
        assert fusion.tuned_on == "c, split dev"
        assert fusion.queries == 20
        found = index.search_many(list(queries.values()), mode="hybrid")

        def mean_reciprocal_rank() -> float:
            answers = index.search_many(list(queries.values()), mode="hybrid", k=40)
            ranks = [
                next(hit.rank for hit in hits if hit.doc_id in judged[query])
                for query, hits in zip(queries, answers, strict=True)
            ]
            return float(np.mean([1 / rank for rank in ranks]))

        best = mean_reciprocal_rank()
        index.note(fusion=vars(Fusion(weight=1.0)))
        assert mean_reciprocal_rank() <= best + 0.05  # another measure than nDCG@10, nearly the same here
        index.note(fusion=vars(fusion))
    with Index.open(tmp_path / "index", encoder=StubEncoder()) as index:
        assert index.fusion == fusion
        assert index.search_many(list(queries.values()), mode="hybrid") == found
        assert index.check() == []


def test_of_equal_fusions_the_one_by_ranks_is_taken(tmp_path: Path) -> None:
    documents = [Document("a", "", "rose"), Document("b", "", "boat")]
    collection = Collection.of("c", documents, {"q": "rose"}, {"dev": {"q": {"a": 1}}})
    with Index.build(collection, StubEncoder(), tmp_path / "index") as index:
        assert index.tune_fusion(collection).weight is None  # each of them has it first


def test_a_convex_combination_by_hand() -> None:
    # dense: cosines 0.8 and 0.4, from -1: 1.8/1.8 = 1 and 1.4/1.8 = 0.7778; BM25: 6 and 3, from 0: 1 and 0.5
    dense = np.array([7, 3]), np.array([0.8, 0.4], np.float32)
    words = np.array([3, 5]), np.array([6.0, 3.0])
    rows, scores = Fusion(weight=0.6)(dense, words, 3)
    # 3: 0.6 * 0.7778 + 0.4 * 1 = 0.8667; 7: 0.6; 5: 0.4 * 0.5 = 0.2
    assert rows.tolist() == [3, 7, 5]
    assert scores.tolist() == pytest.approx([0.866667, 0.6, 0.2], abs=1e-6)
