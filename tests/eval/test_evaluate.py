"""Evaluation: every row equals plain loops over the whole corpus; dev searches the pool that it says."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rank_bm25
from datasets import Dataset
from numpy.typing import NDArray

from tests.conftest import TOPICS, build_tiny_encoder
from tests.oracles import naive
from textrip.data.collection import Collection
from textrip.encoding import approximate
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.eval import dev as dev_module
from textrip.eval import evaluate as evaluate_module
from textrip.eval.dev import dev_evaluation
from textrip.eval.evaluate import Evaluation, Evaluator, evaluate
from textrip.eval.measures import MEASURES
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.progress import reporting
from textrip.records import Document
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Index
from textrip.retrieval.passages import Cutting

ORACLES = {
    "nDCG@10": naive.ndcg_at_10,
    "RR@10": naive.reciprocal_rank,
    "AP": naive.average_precision,
    "R@100": naive.recall_at_100,
}
Rankings = dict[str, list[str]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """With a prompt for queries, so that a query is no document."""
    folder = tmp_path_factory.mktemp("prompted")
    return Encoder.load(build_tiny_encoder(folder, prompts={"query": "query : "}), device="cpu")


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Collection]:
    """The collections that are handed to an Evaluator."""
    seen: list[Collection] = []

    class Recording(Evaluator):
        def __init__(self, collection: Collection, split: str, **how: Any) -> None:
            seen.append(collection)
            super().__init__(collection, split, **how)

    monkeypatch.setattr(dev_module, "Evaluator", Recording)
    return seen


def test_a_document_with_the_querys_own_id_is_left_out_where_asked(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries that are documents of the corpus find themselves first: ArguAna moves by ten points."""
    monkeypatch.setattr(evaluate_module, "DEPTH", 20)
    texts = {f"d{number:03}": f"rose {number} tulip {number % 7} soil" for number in range(130)}
    documents = [Document(doc_id, "", text) for doc_id, text in texts.items()]
    # Many, so that it shows where a ranking ends.
    asked = {query_id: dict.fromkeys(list(texts)[::2], 1) for query_id in ("d003", "d051", "d100")}
    queries = {"d003": texts["d003"], "d051": texts["d051"], "d100": texts["d007"]}
    collection = Collection.of("own", documents, queries, {"test": asked})
    others = {
        query_id: Collection.of(
            "others",
            [document for document in documents if document.doc_id != query_id],
            {query_id: queries[query_id]},
            {"test": {query_id: {doc_id: 1 for doc_id in asked[query_id] if doc_id != query_id}}},
        )
        for query_id in asked
    }
    found = evaluate(collection, encoders=[encoder], hybrid=True, without_own_id=True)
    assert found.provenance["without_own_id"] is True
    for system in (encoder.name, "hybrid"):
        for query_id, alone in others.items():
            expected = evaluate(alone, encoders=[encoder], hybrid=True)[system].values
            for measure in MEASURES:
                assert found[system].values[measure][query_id] == expected[measure][query_id]
    answers = Evaluator(collection, "test", without_own_id=True)._answers([np.arange(21)] * 3)
    assert [len(ranked) for ranked in answers] == [20, 20, 20]  # d100 is not among them, and none is left out
    plain = evaluate(collection, encoders=[encoder])
    assert plain.provenance["without_own_id"] is False
    assert plain[encoder.name]["RR@10"] < found[encoder.name]["RR@10"]


@pytest.mark.parametrize("size", [1, 2, 4, 7, 30])
def test_by_words_it_measures_what_a_search_finds(size: int, encoder: Encoder, tmp_path: Path) -> None:
    """Of a tiny corpus a word that half of the documents have weighs nothing, one of all of them less."""
    draw = random.Random(size)
    words = ["rose", "tulip", "soil", "seed", "wave"]
    documents = [Document(f"d{n}", "", " ".join(draw.choices(words, k=3))) for n in range(size)]
    queries = {f"q{n}": " ".join(draw.choices(words, k=2)) for n in range(8)}
    judged = {query_id: {draw.choice(documents).doc_id: 1} for query_id in queries}
    collection = Collection.of("tiny", documents, queries, {"test": judged})
    with Index.build(collection, encoder, tmp_path / "index") as index:
        rankings = {
            query_id: [hit.doc_id for hit in index.search(text, k=100, mode="bm25")]
            for query_id, text in queries.items()
        }
    found = evaluate(collection)["bm25"].values
    for name, measure in ORACLES.items():
        expected = {query_id: measure(judged[query_id], rankings[query_id]) for query_id in queries}
        assert found[name] == pytest.approx(expected)


def test_an_index_is_measured_as_it_is_searched(
    tiny_collection: Collection, encoder: Encoder, tmp_path: Path
) -> None:
    """With its own fusion, its own documents and its passages, by hits; a question that is blank counts 0."""
    asked = dict(tiny_collection.queries_of("test")) | {"blank": " "}
    judged = {**tiny_collection.judged("test"), "blank": {"d00": 1}}
    queries = {**tiny_collection.query_texts, **asked}
    collection = replace(
        tiny_collection,
        queries=Dataset.from_dict({"query_id": list(queries), "text": list(queries.values())}),
        qrels={"test": judged},
    )
    folder, said = tmp_path / "index", list[str]()
    with Index.build(collection, encoder, folder, cutting=Cutting(tokens=8, overlap=2)) as index:
        index.note(fusion={"weight": 0.3, "tuned_on": None, "queries": 0})
        index.delete(["d32", "d50"])
        with reporting(bars=False, say=said.append):
            evaluation = evaluate(collection, bm25=False, indexes=[index])
        assert [row.system for row in evaluation.results] == [
            f"{folder} dense", f"{folder} bm25", f"{folder} hybrid"
        ]  # fmt: skip
        rankings = {}
        for mode in MODES:
            rankings[mode] = {
                query_id: [hit.doc_id for hit in index.search(text, k=1000, mode=mode)]
                for query_id, text in asked.items()
                if text.strip()
            }
            rankings[mode]["blank"] = []
            require_equal(evaluation, f"{folder} {mode}", judged, rankings[mode])
        by_ranks = fused_rankings(rankings["dense"], rankings["bm25"])
        assert any(by_ranks[query_id] != rankings["hybrid"][query_id] for query_id in asked)
        about = evaluation.provenance["systems"][f"{folder} hybrid"]
        assert about["fusion"]["weight"] == 0.3
        assert about["documents"] == 58
        assert about["fingerprint"] == encoder.fingerprint
    lacking = "lacks 1 of 9 documents that are relevant in split 'test': they count as not found"
    assert said == [f"{folder}: {lacking}"]


def test_an_index_is_measured_without_the_document_of_the_querys_own_id(
    encoder: Encoder, tmp_path: Path
) -> None:
    documents = [Document(f"d{number}", "", f"rose {number} tulip {number % 3}") for number in range(9)]
    queries = {"d3": "rose 3 tulip 0", "d5": "rose 5 tulip 2"}
    judged = {"test": {"d3": {"d3": 1, "d6": 1}, "d5": {"d2": 1}}}
    collection = Collection.of("own", documents, queries, judged)
    with Index.build(collection, encoder, tmp_path / "index") as index:
        found = evaluate(collection, encoders=[encoder], indexes=[index], without_own_id=True)
    for measure in MEASURES:
        for one, other in ((encoder.name, "dense"), ("bm25", "bm25")):
            assert found[f"{tmp_path / 'index'} {other}"].values[measure] == found[one].values[measure]


class ByLength:
    """A reranker: the longer a text, the better."""

    name = "by length"

    def fresh(self) -> "ByLength":
        return self

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray([len(texts[place]) for _, place in pairs], np.float32)


def test_what_is_scored_again_stands_before_the_others(
    tiny_collection: Collection, encoder: Encoder, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    with Index.build(tiny_collection, encoder, folder) as index:
        evaluation = evaluate(tiny_collection, indexes=[index], rerank=ByLength())
        rankings = {}
        for query_id, text in tiny_collection.queries_of("test").items():
            first = index.search(text, k=50, mode="hybrid", rerank=ByLength())
            lengths = [len(f"{hit.title} {hit.text}") for hit in first]
            assert lengths == sorted(lengths, reverse=True)
            best = [hit.doc_id for hit in first]
            rest = [hit.doc_id for hit in index.search(text, k=1000, mode="hybrid")]
            rankings[query_id] = best + [doc_id for doc_id in rest if doc_id not in best]
            assert len(rankings[query_id]) == 60
    require_equal(evaluation, f"{folder} hybrid, reranked", tiny_collection.judged("test"), rankings)
    with pytest.raises(InputError, match="what an index finds is scored again: name one with --index"):
        evaluate(tiny_collection, rerank=ByLength())


def test_an_index_of_other_documents_is_refused(
    tiny_collection: Collection, encoder: Encoder, tmp_path: Path
) -> None:
    others = Collection.of("others", [Document("x", "", "rose"), Document("y", "", "tulip")])
    told = "index: holds no document that is relevant in split 'test' of tiny"
    with Index.build(others, encoder, tmp_path / "index") as index, pytest.raises(InputError, match=told):
        evaluate(tiny_collection, indexes=[index])


def test_what_comes_one_by_one_is_measured_too(tiny_collection: Collection, encoder: Encoder) -> None:
    found = evaluate(tiny_collection, encoders=(one for one in [encoder]))
    assert [row.system for row in found.results] == ["bm25", encoder.name]


def test_an_own_document_that_is_not_there_or_all_that_is_relevant_is_refused() -> None:
    documents = [Document(f"d{number}", "", f"rose {number}") for number in range(3)]
    for query_id, relevant, reason in (
        ("q", "d1", "own: no document has the id of a query of split 'test': there is no own one to leave"),
        ("d1", "d1", "own: nothing but the query's own document is relevant in split 'test'"),
    ):
        judged = {"test": {query_id: {relevant: 1}}}
        collection = Collection.of("own", documents, {query_id: "1"}, judged)
        assert evaluate(collection)["bm25"]["R@100"] == 1.0
        with pytest.raises(InputError, match=reason):
            evaluate(collection, without_own_id=True)


def bm25_rankings(collection: Collection, split: str) -> Rankings:
    """Rank-bm25 over the whole corpus: score down, then doc_id up, and no document without a term."""
    analyzer = Analyzer()
    index = rank_bm25.BM25Okapi([analyzer(text) for text in collection.texts])
    rankings = {}
    for query_id, query in collection.queries_of(split).items():
        scores = dict(
            zip(collection.doc_ids, index.get_scores(analyzer(query)).round(9).tolist(), strict=True)
        )
        found = [doc_id for doc_id in scores if scores[doc_id] > 0]
        rankings[query_id] = sorted(found, key=lambda doc_id: (-scores[doc_id], doc_id))
    return rankings


def dense_rankings(collection: Collection, split: str, encoder: Encoder) -> Rankings:
    documents = encoder.encode(collection.texts).tolist()
    rankings = {}
    for query_id, query in collection.queries_of(split).items():
        (asked,) = encoder.encode([query], kind="query").tolist()
        scores = {
            doc_id: sum(a * b for a, b in zip(asked, document, strict=True))
            for doc_id, document in zip(collection.doc_ids, documents, strict=True)
        }
        rankings[query_id] = sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))
    return rankings


def fused_rankings(dense: Rankings, words: Rankings) -> Rankings:
    """The plain loop fuses places: those of the ids in their order."""
    ids = sorted({doc_id for ranking in dense.values() for doc_id in ranking})
    return {
        query_id: [
            ids[place]
            for place, _ in naive.rrf(
                [[ids.index(doc_id) for doc_id in ranking[query_id]] for ranking in (dense, words)], len(ids)
            )
        ]
        for query_id in dense
    }


def require_equal(
    evaluation: Evaluation,
    system: str,
    judged: Mapping[str, Mapping[str, int]],
    rankings: Mapping[str, Sequence[str]],
) -> None:
    (row,) = [row for row in evaluation.to_dict()["rows"] if row["system"] == system]
    for measure, oracle in ORACLES.items():
        expected = {query_id: oracle(judged[query_id], rankings[query_id]) for query_id in judged}
        assert evaluation[system].values[measure] == pytest.approx(expected, abs=1e-6)
        assert evaluation[system][measure] == pytest.approx(sum(expected.values()) / len(expected), abs=1e-6)
        assert row[measure] == pytest.approx(evaluation[system][measure], abs=5e-5)


@pytest.mark.parametrize("split", ["test", "train"])
def test_every_row_equals_plain_loops(split: str, tiny_collection: Collection, encoder: Encoder) -> None:
    evaluation = evaluate(tiny_collection, split=split, encoders=[encoder], hybrid=True)
    assert [result.system for result in evaluation.results] == ["bm25", encoder.name, "hybrid"]
    judged = tiny_collection.judged(split)
    assert evaluation.queries == len(judged)
    words = bm25_rankings(tiny_collection, split)
    dense = dense_rankings(tiny_collection, split, encoder)
    require_equal(evaluation, "bm25", judged, words)
    require_equal(evaluation, encoder.name, judged, dense)
    require_equal(evaluation, "hybrid", judged, fused_rankings(dense, words))


def test_the_report_has_this_shape(tiny_collection: Collection, encoder: Encoder) -> None:
    report = evaluate(tiny_collection, encoders=[encoder], hybrid=True).to_dict()
    assert list(report) == ["collection", "split", "queries", "rows", "provenance"]
    assert (report["collection"], report["split"], report["queries"]) == ("tiny", "test", 8)
    for row in report["rows"]:
        assert list(row) == ["system", "nDCG@10", "RR@10", "AP", "R@100", "seconds"]
        assert all(0 <= row[measure] <= 1 for measure in MEASURES)
        assert row["seconds"] >= 0
    assert report["provenance"]["collection_sha256"] == tiny_collection.fingerprint
    assert report["provenance"]["documents"] == 60
    assert json.loads(json.dumps(report)) == report


def test_a_notebook_shows_means_alone(tiny_collection: Collection) -> None:
    found = evaluate(tiny_collection)
    shown = repr(found)
    assert f"SystemResult('bm25', nDCG@10 {found['bm25']['nDCG@10']:.4f}, RR@10 " in shown
    assert "q32" not in shown
    assert len(shown) < 300


def test_each_system_is_measured_only_where_it_was_asked_for(
    tiny_collection: Collection, encoder: Encoder, tmp_path: Path
) -> None:
    def systems(**asked: object) -> list[str]:
        evaluation = evaluate(tiny_collection, **asked)  # type: ignore[arg-type]
        return [row["system"] for row in evaluation.to_dict()["rows"]]

    other = Encoder.load(build_tiny_encoder(tmp_path, seed=1), device="cpu")
    assert systems() == ["bm25"]
    assert systems(encoders=[encoder]) == ["bm25", encoder.name]
    assert systems(bm25=False, encoders=[encoder], hybrid=True) == [encoder.name, "hybrid"]
    assert systems(encoders=[encoder, other], hybrid=True) == [
        "bm25", encoder.name, f"hybrid {encoder.name}", other.name, f"hybrid {other.name}"
    ]  # fmt: skip


def test_vectors_that_are_there_measure_as_encoding_does(
    tiny_collection: Collection, encoder: Encoder
) -> None:
    evaluator = Evaluator(tiny_collection, "test")
    encoded = evaluator.encoder(encoder)
    given = evaluator.vectors(encoder, encoder.encode(tiny_collection.texts), name="given")
    assert given.values == encoded.values
    assert [result.system for result in evaluator.results] == [encoder.name, "given"]


def test_ties_stand_in_order_of_doc_id(encoder: Encoder) -> None:
    documents = [Document(doc_id, "", "rose") for doc_id in ("d", "c", "b", "a")]
    documents += [Document(f"filler{number}", "", f"{number}") for number in range(8)]
    collection = Collection.of("ties", documents, {"q": "rose"}, {"test": {"q": {"c": 1}}})
    evaluator = Evaluator(collection, "test")
    vectors = np.eye(32, dtype=np.float32)[[0] * 4 + [1] * 8]
    asked = encoder.encode(["rose"], kind="query")[0]
    vectors[:4, 0], vectors[4:, 1] = np.sign(asked[0]), -np.sign(asked[1])  # the copies come first
    # a, b, c, d: the relevant one is third in each ranking, and so in their fusion.
    for result in (evaluator.bm25(), evaluator.vectors(encoder, vectors, hybrid="hybrid")):
        assert result["RR@10"] == pytest.approx(1 / 3)
    assert evaluator.evaluation()["hybrid"]["RR@10"] == pytest.approx(1 / 3)


def test_ties_of_the_fusion_stand_in_order_of_doc_id(encoder: Encoder) -> None:
    documents = [Document("b", "", "rose boat"), Document("a", "", "rose")]
    documents += [Document(f"filler{number}", "", f"{number}") for number in range(8)]
    collection = Collection.of("ties", documents, {"q": "rose"}, {"test": {"q": {"a": 1}}})
    asked = encoder.encode(["rose"], kind="query")
    vectors = np.concatenate([asked, asked, np.zeros((8, 32), dtype=np.float32)])
    vectors[1, np.abs(asked[0]).argmax()] = 0
    evaluator = Evaluator(collection, "test")
    # The encoder ranks b, a, and BM25 a, b: 1/61 + 1/62 for both, and a is the first of them.
    assert evaluator.vectors(encoder, vectors, hybrid="hybrid")["RR@10"] == 0.5
    assert evaluator.bm25()["RR@10"] == 1.0
    assert evaluator.evaluation()["hybrid"]["RR@10"] == 1.0


def test_the_whole_corpus_is_searched(tiny_collection: Collection) -> None:
    """Documents that nobody judged push the judged ones down."""
    better = [Document(f"a{number}", "", "zebra") for number in range(3)]
    documents = [*better, Document("d", "", "zebra and much else beside it"), Document("e", "", "boat")]
    documents += [Document(f"filler{number}", "", f"{number}") for number in range(8)]
    collection = Collection.of("c", documents, {"q": "zebra"}, {"test": {"q": {"d": 1}}})
    assert evaluate(collection)["bm25"]["RR@10"] == pytest.approx(1 / 4)


def test_a_query_that_bm25_finds_nothing_for_counts_0() -> None:
    documents = [Document("a", "", "rose"), Document("b", "", "boat"), Document("c", "", "wave")]
    qrels = {"test": {"found": {"a": 1}, "lost": {"b": 1}}}
    collection = Collection.of("c", documents, {"found": "rose", "lost": "zebra"}, qrels)
    evaluation = evaluate(collection)
    assert evaluation.queries == 2
    assert evaluation["bm25"].values["nDCG@10"] == {"found": 1.0, "lost": 0.0}
    assert evaluation.to_dict()["rows"][0]["nDCG@10"] == 0.5


def test_the_analyzer_that_was_given_is_used() -> None:
    documents = [Document("a", "", "roses"), Document("b", "", "boat"), Document("c", "", "wave")]
    collection = Collection.of("c", documents, {"q": "rose"}, {"test": {"q": {"a": 1}}})
    assert evaluate(collection)["bm25"]["AP"] == 1.0
    assert evaluate(collection, analyzer=Analyzer(stemmer=None))["bm25"]["AP"] == 0.0


def test_hybrid_without_an_encoder_is_refused(tiny_collection: Collection) -> None:
    with pytest.raises(InputError, match=r"hybrid fuses BM25 with an encoder: name one with --model"):
        evaluate(tiny_collection, hybrid=True)


def test_what_was_not_measured_is_told_with_what_was(tiny_collection: Collection, encoder: Encoder) -> None:
    found = evaluate(tiny_collection, encoders=[encoder])
    assert found[encoder.name].system == encoder.name
    for ask in (lambda: found["bm25"]["MRR"], lambda: found.differences("MRR")):
        with pytest.raises(InputError, match="'MRR' is no measure; one of nDCG@10, RR@10, AP, R@100 was"):
            ask()
    with pytest.raises(InputError, match=f"'tuned' was not measured; what was: bm25, {encoder.name}"):
        found["tuned"]
    measured = found.provenance["systems"]
    assert measured["bm25"]["analyzer"]["stemmer"] == "english"
    assert measured[encoder.name]["fingerprint"] == encoder.fingerprint


def test_two_encoders_of_one_name_are_refused(tiny_collection: Collection, encoder: Encoder) -> None:
    """The second's figures were to be had by no name."""
    with pytest.raises(InputError, match="two encoders have the name"):
        evaluate(tiny_collection, encoders=[encoder, encoder])
    with pytest.raises(InputError, match="there is nothing to measure"):
        evaluate(tiny_collection, bm25=False)


def test_data_may_be_named_by_its_folder(
    tiny_collection: Collection, write_beir: Callable[[Collection, Path], Path], tmp_path: Path
) -> None:
    named = evaluate(write_beir(tiny_collection, tmp_path / "tiny"))
    assert named["bm25"].values == evaluate(tiny_collection)["bm25"].values


def test_an_unknown_split_is_refused_with_those_that_exist(tiny_collection: Collection) -> None:
    with pytest.raises(
        InputError, match=r"tiny: has no judgments for split 'nope' \(judged splits: train, dev, test\)"
    ):
        evaluate(tiny_collection, split="nope")
    bare = Collection.of("bare", [Document("a", "", "rose")], {"q": "rose"}, {"test": {}})
    with pytest.raises(InputError, match=r"no judgments for split 'test' \(judged splits: none\)"):
        evaluate(bare)


def test_a_judged_query_without_text_is_refused() -> None:
    collection = Collection.of(
        "c", [Document("a", "", "rose")], {"q1": "rose"}, {"test": {"q1": {"a": 1}, "q9": {"a": 1}}}
    )
    with pytest.raises(
        InputError, match=r"c: 1 judged queries of split 'test' have no text, 'q9' first; add them"
    ):
        evaluate(collection)


@pytest.mark.parametrize("max_documents", [1, 8, 9, 20, 45, 59])
def test_dev_searches_the_judged_documents_and_bm25s_best(
    max_documents: int, tiny_collection: Collection, encoder: Encoder, pools: list[Collection]
) -> None:
    measure = dev_evaluation(tiny_collection, max_documents=max_documents)
    ndcg = measure(encoder)
    (pool,) = pools
    dev = tiny_collection.judged("dev")
    judged = {doc_id for documents in dev.values() for doc_id in documents}
    assert measure.documents == len(pool.corpus) == len(set(pool.doc_ids)) == max(max_documents, len(judged))
    assert judged <= set(pool.doc_ids)
    assert pool.judged("dev") == dev
    expected = set(judged)
    ranked = bm25_rankings(tiny_collection, "dev").values()
    for rank in range(60):
        for doc_id in (ranking[rank] for ranking in ranked if rank < len(ranking)):
            if len(expected) < max_documents:
                expected.add(doc_id)
    assert pool.doc_ids == sorted(expected)  # the order of this corpus
    dense = dense_rankings(pool, "dev", encoder)
    values = [naive.ndcg_at_10(dev[query_id], dense[query_id]) for query_id in dev]
    assert ndcg == pytest.approx(sum(values) / len(values), abs=1e-6)


@pytest.mark.parametrize("max_documents", [0, 60, 10**6])
def test_dev_searches_the_whole_corpus(
    max_documents: int, tiny_collection: Collection, encoder: Encoder, pools: list[Collection]
) -> None:
    measure = dev_evaluation(tiny_collection, max_documents=max_documents)
    ndcg = measure(encoder)
    assert measure.documents == 60
    assert pools[0].doc_ids == tiny_collection.doc_ids
    evaluation = evaluate(tiny_collection, split="dev", bm25=False, encoders=[encoder])
    assert ndcg == evaluation[encoder.name]["nDCG@10"]


def test_a_pool_is_no_larger_than_bm25_finds(encoder: Encoder, pools: list[Collection]) -> None:
    documents = [Document("a", "", "rose"), Document("b", "", "rose boat"), Document("judged", "", "gull")]
    documents += [Document(f"filler{number}", "", f"{number}") for number in range(9)]
    qrels = {"dev": {"q": {"judged": 1, "nowhere": 1, "filler3": 0}}}
    measure = dev_evaluation(Collection.of("c", documents, {"q": "rose"}, qrels), max_documents=11)
    measure(encoder)
    assert pools[0].doc_ids == ["a", "b", "judged", "filler3"]
    assert measure.documents == 4


def test_dev_queries_are_thinned_evenly(
    tiny_collection: Collection, encoder: Encoder, pools: list[Collection], remarks: list[str]
) -> None:
    ids = list(tiny_collection.judged("dev"))
    for max_queries, kept in {1: ids[:1], 3: ids[::3], 4: ids[::2], 8: ids, 500: ids}.items():
        measure = dev_evaluation(tiny_collection, max_documents=1, max_queries=max_queries)
        measure(encoder)
        assert list(pools[-1].judged("dev")) == kept
        assert measure.documents == len(kept)
        fewer = [f"dev asks {len(kept)} of its 8 queries, evenly drawn"] if len(kept) < 8 else []
        assert remarks == fewer
        remarks.clear()


def test_of_dev_queries_that_are_thinned_each_has_an_answer(
    tiny_collection: Collection, encoder: Encoder, pools: list[Collection]
) -> None:
    """Every second one has none, and every second one is left out: what is left would be of zeros alone."""
    dev = dict(tiny_collection.judged("dev"))
    ids = list(dev)
    dev |= {query_id: dict.fromkeys(dev[query_id], 0) for query_id in ids[::2]}
    collection = replace(tiny_collection, qrels={"dev": dev})
    measure = dev_evaluation(collection, max_documents=0, max_queries=4)
    assert measure(encoder) > 0
    assert list(pools[-1].judged("dev")) == ids[1::2]


def test_a_searcher_that_is_there_makes_the_same_pool(
    tiny_collection: Collection, encoder: Encoder, pools: list[Collection]
) -> None:
    searcher = LexicalSearcher.build(tiny_collection.texts, order=tiny_collection.doc_order)
    for given in (None, searcher):
        dev_evaluation(tiny_collection, max_documents=30, searcher=given)(encoder)
    assert pools[0].doc_ids == pools[1].doc_ids


def test_dev_needs_a_dev_split(encoder: Encoder) -> None:
    collection = Collection.of("c", [Document("a", "", "rose")], {"q": "rose"}, {"test": {"q": {"a": 1}}})
    with pytest.raises(InputError, match=r"no judgments for split 'dev' \(judged splits: test\)"):
        dev_evaluation(collection, max_documents=0)


def test_an_index_that_holds_the_questions_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    """Questions that were made of documents, or are held out of labelled ones, would find themselves."""
    rows = [f"a title of four {n}\twords of document number {n} and others" for n in range(12)]
    documents = [Document(f"d{n}", *row.split("\t")) for n, row in enumerate(rows)]
    given = Collection.of("given", documents)
    made = Collection.of(
        "given",
        [Document(document.doc_id, "", document.text) for document in documents],
        {f"q{n}": document.title for n, document in enumerate(documents)},
        {"test": {f"q{n}": {f"d{n}": 1} for n in range(12)}},
    )
    held_out = Collection.of(
        "given", documents[:9], {"q": documents[10].full_text}, {"test": {"q": {"d1": 1}}}
    )
    fewer = Collection.of("given", documents[:9], {"q": "words of document"}, {"test": {"q": {"d1": 1}}})
    folder, said = tmp_path / "index", list[str]()
    with Index.build(given, encoder, folder) as index:
        with pytest.raises(
            InputError, match="12 of its documents have another text in given: index the data"
        ):
            evaluate(made, indexes=[index])
        with pytest.raises(InputError, match="holds 1 question of split 'test' of given as documents"):
            evaluate(held_out, indexes=[index])
        with reporting(bars=False, say=said.append):
            evaluate(fewer, indexes=[index])
    assert said == [f"{folder}: holds 3 documents that given lacks: found, they count as not relevant"]


def test_the_first_ten_are_those_of_a_search_for_ten(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A binary index looks at 60 codes a hit: asked for a thousand it was measured as an exact one."""
    monkeypatch.setitem(approximate._BREADTH, "binary", (2, 20))
    draw = random.Random(0)
    words = sorted({word for topic in TOPICS.values() for word in topic})
    texts = {f"d{n:04}": " ".join(draw.choices(words, k=6)) for n in range(600)}
    queries = {f"q{n}": " ".join(texts[f"d{n:04}"].split()[:3]) for n in range(30)}
    judged = {f"q{n}": {f"d{n:04}": 1} for n in range(30)}
    documents = [Document(doc_id, "", text) for doc_id, text in texts.items()]
    collection = Collection.of("known", documents, queries, {"test": judged})
    folder = tmp_path / "index"
    with Index.build(collection, encoder, folder, nearest="binary") as index:
        found = evaluate(collection, indexes=[index])[f"{folder} dense"].values
        for query_id, text in queries.items():
            ten = [hit.doc_id for hit in index.search(text, k=10)]
            assert found["RR@10"][query_id] == pytest.approx(naive.reciprocal_rank(judged[query_id], ten))
        deep = index.run(queries, k=1000)
        vectors = index.encoder.encode(list(queries.values()), kind="query")
        assert index.run(queries, k=1000, vectors=vectors) == deep
        with pytest.raises(InputError, match="vectors are 29, and queries 30: one for each was expected"):
            index.run(queries, vectors=vectors[1:])
        assert any(
            list(deep[q])[:10] != [h.doc_id for h in index.search(t, k=10)] for q, t in queries.items()
        )
