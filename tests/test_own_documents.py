"""Where queries are documents of the corpus, a query's own is no answer: on dev, on test, and in a study."""

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.mining.test_mine import collection_of
from tests.oracles import naive
from tests.running import Run, stopped_at, without_export
from textrip.data.check import check
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError
from textrip.eval.dev import dev_evaluation
from textrip.eval.evaluate import evaluate
from textrip.pipeline.fit import fit
from textrip.pipeline.train import train
from textrip.records import Document
from textrip.retrieval.fusion import Fusion
from textrip.retrieval.index import Index
from textrip.training.begun import require_same
from textrip.training.settings import TrainSettings

SETTINGS = TrainSettings(epochs=1, batch_queries=8)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with without_export():
        yield


@pytest.fixture(scope="module")
def arguments(tiny_collection: Collection) -> Collection:
    """Each document of the first forty asks for the next one of its topic."""
    texts = {doc_id: tiny_collection.texts[row] for doc_id, row in tiny_collection.doc_row.items()}
    documents = [Document(doc_id, "", text) for doc_id, text in texts.items()]
    asked = [f"d{number:02d}" for number in range(40)]
    judged = {doc_id: {f"d{number + 5:02d}": 1} for number, doc_id in enumerate(asked)}
    splits = {"train": asked[:24], "dev": asked[24:32], "test": asked[32:]}
    return Collection.of(
        "arguments", documents, {doc_id: texts[doc_id] for doc_id in asked},
        {split: {doc_id: judged[doc_id] for doc_id in part} for split, part in splits.items()},
    )  # fmt: skip


def without(collection: Collection, query_id: str, split: str) -> Collection:
    """One query alone, and a corpus without its document."""
    corpus = collection.corpus.filter(lambda row: row["doc_id"] != query_id)
    judged = {split: {query_id: collection.judged(split)[query_id]}}
    return Collection("alone", corpus, collection.queries, judged)


def test_dev_is_measured_without_a_querys_own_document(
    arguments: Collection, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_loops = [
        evaluate(without(arguments, query_id, "dev"), split="dev", bm25=False, encoders=[tiny_encoder])
        for query_id in arguments.queries_of("dev")
    ]
    expected = sum(found[tiny_encoder.name]["nDCG@10"] for found in by_loops) / len(by_loops)
    measure = dev_evaluation(arguments, max_documents=0, without_own_id=True)
    assert measure(tiny_encoder) == pytest.approx(expected, abs=1e-12)
    plain = dev_evaluation(arguments, max_documents=0)
    assert plain(tiny_encoder) < expected
    pool = dev_evaluation(arguments, max_documents=20, without_own_id=True)
    assert (pool.documents, pool(tiny_encoder) >= expected) == (20, True)


def test_an_own_document_that_is_judged_relevant_is_missed_by_nobody(
    arguments: Collection, tiny_encoder: Encoder
) -> None:
    with_own = {query_id: {**judged, query_id: 2} for query_id, judged in arguments.judged("test").items()}
    judged = replace(arguments, qrels={"test": with_own})
    expected = evaluate(arguments, encoders=[tiny_encoder], without_own_id=True)
    found = evaluate(judged, encoders=[tiny_encoder], without_own_id=True)
    assert [row.values for row in found.results] == [row.values for row in expected.results]


def test_a_query_that_its_own_document_alone_answers_is_not_asked(
    arguments: Collection, tiny_encoder: Encoder, tmp_path: Path, remarks: list[str]
) -> None:
    """It counted 0, which no ranking could have bettered."""
    alone = {split: {**arguments.judged(split), "d40": {"d40": 1, "d41": 0}} for split in ("dev", "test")}
    queries = {**arguments.query_texts, "d40": arguments.texts[arguments.doc_row["d40"]]}
    judged = Collection.of(
        "arguments", [Document(row["doc_id"], "", row["text"]) for row in arguments.corpus], queries, alone
    )
    expected = evaluate(arguments, encoders=[tiny_encoder], without_own_id=True)
    remarks.clear()
    found = evaluate(judged, encoders=[tiny_encoder], without_own_id=True)
    assert [row.values for row in found.results] == [row.values for row in expected.results]
    assert found.queries == expected.queries == 8
    assert "1 query of test has no relevant document but their own: not asked" in remarks
    assert evaluate(judged).queries == 9
    dev, plain = (
        dev_evaluation(one, max_documents=0, without_own_id=True)(tiny_encoder) for one in (judged, arguments)
    )
    assert dev == plain
    with Index.build(judged, tiny_encoder, tmp_path / "index") as index:
        assert index.tune_fusion(judged, without_own_id=True).queries == 8


def test_a_fit_measures_dev_and_test_without_them(
    arguments: Collection, tiny_encoder_folder: Path, tmp_path: Path, remarks: list[str]
) -> None:
    options: dict[str, Any] = {
        "model": tiny_encoder_folder, "settings": SETTINGS, "device": "cpu", "dev_documents": 0,
    }  # fmt: skip
    done = fit(arguments, tmp_path / "out", without_own_id=True, **options)
    base = Encoder.load(tiny_encoder_folder, device="cpu")
    expected = evaluate(arguments, encoders=[base], without_own_id=True)
    report = json.loads((done.folder / "report.json").read_text())
    assert report["provenance"]["without_own_id"] is True
    assert done.evaluation["untuned"]["nDCG@10"] == expected[base.name]["nDCG@10"]
    assert done.evaluation["bm25"]["nDCG@10"] == expected["bm25"]["nDCG@10"]
    assert done.evaluation["bm25"]["nDCG@10"] > evaluate(arguments)["bm25"]["nDCG@10"]
    measure = dev_evaluation(arguments, max_documents=0, without_own_id=True)
    assert f"epoch 0: dev nDCG@10 {measure(base):.4f}" in remarks


def test_a_fusion_is_tuned_without_them(arguments: Collection, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """By loops: for each weight, a search that leaves the query's own document out."""
    queries, judged = arguments.queries_of("dev"), arguments.judged("dev")
    with Index.build(arguments, tiny_encoder, tmp_path / "index") as index:
        found = index.tune_fusion(arguments, without_own_id=True)
        values: dict[float | None, float] = {}
        for weight in (None, *(n / 20 for n in range(21))):
            index.note(fusion=asdict(Fusion(weight=weight)))
            gains = []
            for query_id, text in queries.items():
                where = f"doc_id <> '{query_id}'"
                hits = [hit.doc_id for hit in index.search(text, k=10, mode="hybrid", where=where)]
                gains.append(naive.ndcg_at_10(judged[query_id], hits))
            values[weight] = sum(gains) / len(gains)
    assert values[found.weight] == pytest.approx(max(values.values()), abs=1e-9)


def test_what_goes_on_leaves_out_what_it_left_out(
    arguments: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    def stop(stage: str) -> None:
        if stage == "training":
            raise KeyboardInterrupt

    options: dict[str, Any] = {"model": tiny_encoder_folder, "settings": SETTINGS, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        fit(arguments, tmp_path / "out", without_own_id=True, stage=stop, **options)
    with pytest.raises(MismatchError, match=r"another without_own_id \(True, now False\)"):
        fit(arguments, tmp_path / "out", resume=True, **options)
    fit(arguments, tmp_path / "out", resume=True, without_own_id=True, **options)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_training_says_what_dev_searched_and_goes_on_with_the_same(
    arguments: Collection, tiny_encoder_folder: Path, tmp_path: Path, rounds: int
) -> None:
    options: dict[str, Any] = {
        "model": tiny_encoder_folder, "settings": SETTINGS, "device": "cpu", "dev_documents": 20,
        "rounds": rounds,
    }  # fmt: skip
    manifest = train(arguments, tmp_path / "whole", without_own_id=True, **options)
    measured = {"queries": 8, "documents": 20, "without_own_id": True}
    assert manifest["dev_search"] == measured
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "| dev nDCG@10 of 8 queries over 20 documents | |" in card
    with stopped_at(2), pytest.raises(KeyboardInterrupt):
        train(arguments, tmp_path / "out", without_own_id=True, **options)
    with pytest.raises(MismatchError, match=r"another dev_search.without_own_id \(True, now False\)"):
        train(arguments, tmp_path / "out", resume=True, **options)
    with pytest.raises(MismatchError, match=r"another dev_search.documents \(20, now 21\)"):
        train(
            arguments, tmp_path / "out", resume=True, without_own_id=True, **options | {"dev_documents": 21}
        )
    train(arguments, tmp_path / "out", resume=True, without_own_id=True, **options)


def test_who_does_not_leave_them_out_is_told(
    arguments: Collection, tiny_encoder: Encoder, remarks: list[str]
) -> None:
    told = (
        "8 queries of {} are documents of the corpus, by id and text, and would stand first in their own "
        "ranking: --without-own-id leaves them out of it"
    )
    evaluate(arguments)
    dev_evaluation(arguments, max_documents=0)
    assert remarks == [told.format("test"), told.format("dev")]
    found = {finding.message for finding in check(arguments) if finding.kind == "queries-that-are-documents"}
    assert found == {told.format("test"), told.format("dev")}  # of train no ranking is measured
    evaluate(arguments, without_own_id=True)
    assert len(remarks) == 2


def test_ids_that_are_the_same_by_chance_are_not_told(
    tiny_collection: Collection, arguments: Collection, remarks: list[str]
) -> None:
    """Numbers, say; nor is a query told whose own document is what it is to find."""
    texts = {query_id: f"what is {query_id}" for query_id in arguments.query_texts}
    documents = [
        Document(doc_id, "", tiny_collection.texts[row]) for doc_id, row in arguments.doc_row.items()
    ]
    numbers = Collection.of("numbers", documents, texts, dict(arguments.qrels))
    judged = {query_id: {query_id: 1} for query_id in arguments.qrels["test"]}
    itself = replace(arguments, qrels={"test": judged})
    evaluate(numbers)
    evaluate(itself)
    assert remarks == []
    assert not any(finding.kind == "queries-that-are-documents" for finding in check(itself))


def test_what_could_not_be_asked_then_was_not() -> None:
    """A run of a version that had no such switch goes on without it."""
    begun = {"settings": {"epochs": 1}}
    require_same(begun, {"without_own_id": False, "settings": {"epochs": 1}}, place=Path("m"), kind="run")
    with pytest.raises(MismatchError, match=r"another without_own_id \(None, now True\)"):
        require_same(begun, {"without_own_id": True}, place=Path("m"), kind="run")


@pytest.mark.parametrize("command", [fit, train])
def test_where_no_query_is_a_document_it_is_refused_before_anything_is_encoded(
    command: Callable[..., Any], tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no document has the id of a query of split 'dev'"):
        command(tiny_collection, tmp_path / "out", model=tiny_encoder_folder, without_own_id=True)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_refuses_what_the_training_would(
    textrip: Run, tiny_collection: Collection, tiny_encoder_folder: Path, write_beir: Any, tmp_path: Path
) -> None:
    folder = write_beir(tiny_collection, tmp_path / "data")
    asked = ("train", folder, "-o", tmp_path / "m", "--model", tiny_encoder_folder, "--dry-run")
    refused = textrip(*asked, "--without-own-id")
    assert (refused.code, "no document has the id of a query" in refused.err) == (2, True)
    refused = textrip(*asked, "--without-own-id", "--by-label")
    assert (refused.code, "by_label never finds a text for itself" in refused.err) == (2, True)


def test_by_label_no_text_finds_itself(tiny_collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="by_label never finds a text for itself: leave without_own_id out"):
        train(tiny_collection, tmp_path / "m", by_label=True, without_own_id=True)


def test_a_study_leaves_them_out_and_its_best_toml_says_so(
    arguments: Collection, tiny_encoder_folder: Path, textrip: Run, write_beir: Any, tmp_path: Path
) -> None:
    folder = write_beir(replace(arguments, name="data"), tmp_path / "data")
    asked = ("tune", folder, "-o", tmp_path / "study", "--model", tiny_encoder_folder, "--trials", 1)
    found = textrip(*asked, "--epochs", 1, "--without-own-id", "--negatives", 1)
    assert found.code == 0, found.err
    best = tomllib.loads((tmp_path / "study" / "best.toml").read_text())
    assert best["train"]["without_own_id"] is True
    refused = textrip(*asked, "--epochs", 1, "--negatives", 1)
    assert (refused.code, "without_own_id (True, now False)" in refused.err) == (2, True)
    trained = textrip("fit", folder, "-o", tmp_path / "out", "--config", tmp_path / "study" / "best.toml")
    assert trained.code in {0, 3}, trained.err
    assert json.loads((tmp_path / "out" / "report.json").read_text())["provenance"]["without_own_id"]


def test_a_document_with_a_query_s_number_and_another_text_is_told(
    remarks: list[str],
) -> None:
    documents = {"1": "rose tulip", "2": "the wing", "3": "of a plane"}
    collection = collection_of(
        documents, {"1": "rose tulip", "2": "tulip"}, test={"1": {"3": 1}, "2": {"1": 1}}
    )
    evaluate(collection, without_own_id=True)
    assert any(
        "1 document has the id of a query of test and another text: left out of" in said for said in remarks
    )


def test_queries_that_nothing_can_answer_are_told(remarks: list[str]) -> None:
    documents = {"1": "rose tulip", "2": "the wing"}
    queries = {"a": "rose", "b": "wing", "c": "plane"}
    judged = {"a": {"1": 1}, "b": {"2": 0}, "c": {"gone": 1}}
    found = evaluate(collection_of(documents, queries, test=judged))
    assert found["bm25"]["nDCG@10"] == pytest.approx(1 / 3)
    assert any("2 of 3 queries of test count 0 in every mean: no relevant" in said for said in remarks)


def test_what_is_not_asked_counts_nowhere(remarks: list[str]) -> None:
    """Of query 1 nothing but its own document is relevant, of 2 what is gone: one of two counts 0."""
    documents = {"1": "rose", "2": "the wing", "3": "tulip"}
    queries = {"1": "rose", "2": "wing", "3": "tulips"}
    judged = {"1": {"1": 1}, "2": {"2": 1, "gone": 1}, "3": {"1": 1}}
    evaluate(collection_of(documents, queries, test=judged), without_own_id=True)
    assert any(said.startswith("1 of 2 queries of test counts 0 in every mean") for said in remarks)
