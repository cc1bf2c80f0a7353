"""The whole way on a tiny random encoder: from raw text to a gated, indexed searcher."""

import importlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textrip
from tests.conftest import ASKED
from tests.running import stopped_at
from textrip.cli.report import hybrid_gain
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.eval.significance import Difference
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.pipeline.cluster import cluster
from textrip.pipeline.fit import Fit, fit
from textrip.pipeline.gate import verdict_of
from textrip.pipeline.mined import without_dev
from textrip.pipeline.prepare import prepare
from textrip.pipeline.train import train
from textrip.pipeline.tune import tune
from textrip.progress import reporting
from textrip.records import Document
from textrip.retrieval.index import Index
from textrip.training.settings import TrainSettings

LEARN = TrainSettings(epochs=20, batch_queries=8, learning_rate=5e-3, strategy="batch-hard", seed=0)


@dataclass(frozen=True)
class Learned:
    """A fit, the only thing in its folder; what it left is only read."""

    done: Fit
    out: Path
    stages: list[str]


@pytest.fixture(scope="module")
def learned(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Learned:
    stages: list[str] = []
    out = tmp_path_factory.mktemp("learned") / "out"
    done = fit(
        tiny_collection, out, model=tiny_encoder_folder, settings=LEARN, device="cpu", stage=stages.append
    )
    return Learned(done, out, stages)


def test_the_tuned_encoder_beats_its_base_and_answers(learned: Learned) -> None:
    done, out, stages = learned.done, learned.out, learned.stages
    untuned, tuned = (done.evaluation[name]["nDCG@10"] for name in ("untuned", "tuned"))
    assert tuned > untuned
    assert done.difference.mean == pytest.approx(tuned - untuned)
    assert stages == [
        "reading", "measuring BM25 and the untuned encoder on test", "mining", "training",
        "measuring the tuned encoder on test", "indexing",
    ]  # fmt: skip
    index = Index.open(out / "index", device="cpu")
    assert index.about["encoder"]["fingerprint"] == done.manifest["fingerprint"]
    # The queries' word for a topic is in no document: only the tuning can have taught what it means.
    # 12 of the 60 documents are of each of the 5 topics: 12 hits by chance.
    answers = {topic: index.search(word, k=12) for topic, word in ASKED.items()}
    assert sum(hit.title.startswith(topic) for topic, hits in answers.items() for hit in hits) >= 24
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    index.store.close()


def test_hybrid_is_measured_as_the_index_searches(learned: Learned, tiny_collection: Collection) -> None:
    done = learned.done
    with Index.open(learned.out / "index", device="cpu") as index:
        again = textrip.evaluate(tiny_collection, indexes=[index])
        assert done.hybrid.weight == index.fusion.weight
    assert done.evaluation["hybrid"].values == again[f"{learned.out / 'index'} hybrid"].values
    tuned, hybrid = (done.evaluation[name]["nDCG@10"] for name in ("tuned", "hybrid"))
    assert done.hybrid.against == "tuned"
    assert done.hybrid.difference.mean == pytest.approx(hybrid - tuned)
    report = json.loads((learned.out / "report.json").read_text())
    assert report["hybrid"]["difference"]["mean"] == pytest.approx(hybrid - tuned)
    assert hybrid_gain(done).startswith(f"Hybrid search ({done.hybrid.weight:.2f} dense")


def test_triples_of_a_query_that_test_asks_in_other_words_are_left_out(tiny_collection: Collection) -> None:
    """Mined before anybody looked: what is handed to a training is looked through again."""
    texts = tiny_collection.query_texts
    asked_twice = {**texts, "q00": f"  {texts['q39'].upper()}?"}
    documents = [
        Document(doc_id, "", text)
        for doc_id, text in zip(tiny_collection.doc_ids, tiny_collection.texts, strict=True)
    ]
    collection = Collection.of("tiny", documents, asked_twice, tiny_collection.qrels)
    triples = mine(collection)
    assert "q00" in {group.query_id for group in triples.groups}
    kept = without_dev(triples, collection)
    assert {group.query_id for group in triples.groups} - {group.query_id for group in kept.groups} == {"q00"}


def test_the_figures_of_fit_are_those_of_evaluate(
    tiny_collection: Collection, tiny_encoder_folder: Path, learned: Learned
) -> None:
    folders = (tiny_encoder_folder, learned.out / "model")
    again = textrip.evaluate(
        tiny_collection, encoders=[Encoder.load(folder, device="cpu") for folder in folders]
    )
    for ours, theirs in zip(learned.done.evaluation.results[:-1], again.results, strict=True):
        assert ours.values == theirs.values


def test_a_corpus_without_queries_goes_the_whole_way(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    topics = ["rose tulip soil seed", "wave boat harbour tide", "oven flour butter whisk"]
    for number in range(30):
        words = topics[number % 3]
        (documents / f"{number:02d}.md").write_text(
            f"# {words} {number}\n\n{words} {words} {words} {number}.\n"
        )
    done = fit(
        documents, tmp_path / "out", model=tiny_encoder_folder, device="cpu",
        settings=TrainSettings(epochs=1, batch_queries=4),
    )  # fmt: skip
    assert done.evaluation.queries == 6
    assert done.manifest["data"]["queries"] == 21


def test_nothing_is_said_to_go_with_an_index_that_nobody_had(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Of sections, which were documents of a step on the way, it was said that they were lost."""
    documents, said = tmp_path / "documents", list[str]()
    documents.mkdir()
    for number in range(24):
        body = f"rose tulip {number} soil seed wave boat {number} oven flour butter whisk tide {number} dough"
        (documents / f"{number:02d}.md").write_text(
            f"# Page {number}\n\n{body}.\n\n## Of the {number}th harbour and tide\n\n{body} oven flour.\n"
        )
    with reporting(bars=False, say=said.append):
        fit(
            documents, tmp_path / "out", model=tiny_encoder_folder, device="cpu",
            settings=TrainSettings(epochs=1, batch_queries=4), mining=MineSettings(denoise="none"),
        )  # fmt: skip
    assert any("heading to section" in remark for remark in said)
    assert not any("gone with it" in remark for remark in said)


def test_what_one_command_holds_out_no_other_trains_on(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    every = {query: judged for qrels in tiny_collection.qrels.values() for query, judged in qrels.items()}
    whole = Collection("whole", tiny_collection.corpus, tiny_collection.queries, {"train": every})
    cut = prepare(whole)
    assert set(cut.qrels) == {"train", "dev", "test"}
    assert {split: list(judged) for split, judged in prepare(whole).qrels.items()} == {
        split: list(judged) for split, judged in cut.qrels.items()
    }
    # Triples that somebody mined from all of it lose the held-out queries.
    triples = mine(whole, settings=MineSettings(seed=0))
    manifest = train(
        whole, tmp_path / "model", triples=triples, model=Encoder.load(tiny_encoder_folder, device="cpu"),
        settings=TrainSettings(epochs=1, batch_queries=8),
    )  # fmt: skip
    assert manifest["data"]["queries"] == len(cut.qrels["train"])


def untitled(collection: Collection) -> Collection:
    """A corpus without queries, whose titles say what its texts begin with."""
    documents = [
        Document(row["doc_id"], f"On {' '.join(row['text'].split()[:3])}", row["text"])
        for row in collection.corpus
    ]
    return Collection.of("untitled", documents)


@pytest.mark.parametrize("errand", [fit, train, tune])
def test_judgments_of_test_alone_are_refused_before_an_encoder_is_loaded(
    errand: Any, tiny_collection: Collection, tmp_path: Path
) -> None:
    asked = replace(tiny_collection, qrels={"test": tiny_collection.qrels["test"]})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")  # no encoder: nobody gets to its loading
    with pytest.raises(
        InputError, match=r"no judgments for split 'train' to mine from .found: test 8 queries\).* call one"
    ):
        errand(asked, tmp_path / "out", model=tmp_path / "model")
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


@pytest.mark.parametrize("errand", [fit, train, tune])
def test_what_is_for_labels_is_refused_before_an_encoder_is_loaded(
    errand: Any, tiny_collection: Collection, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="texts_per_label is 9, and nothing is trained by label"):
        errand(tiny_collection, tmp_path / "out", model="no/model", settings=TrainSettings(texts_per_label=9))
    assert list(tmp_path.iterdir()) == []


def test_triples_of_questions_that_were_made(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Mined from what was made of a corpus, they are trained on and checked beside the corpus itself."""
    given = untitled(tiny_collection)
    triples = mine(prepare(given))
    assert textrip.check(given, triples=triples) == textrip.check(given)
    with pytest.raises(InputError, match=r"the triples name query 'nobody', untitled has none of that id"):
        textrip.check(given, triples=Triples([triples.groups[0].__class__("nobody", "d00", ())]))
    settings = TrainSettings(epochs=1, batch_queries=8)
    manifest = train(
        given, tmp_path / "m", triples=triples, model=tiny_encoder_folder, settings=settings, device="cpu"
    )
    assert manifest["fingerprint"] == Encoder.load(tmp_path / "m", device="cpu").fingerprint


def test_questions_that_were_made_are_not_taken_out_of_the_index(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Titles become queries to train on; a search finds documents with their titles, and metadata."""
    given = untitled(tiny_collection)
    done = fit(
        given,
        tmp_path / "out",
        model=tiny_encoder_folder,
        device="cpu",
        settings=TrainSettings(epochs=1, batch_queries=8),
    )
    assert done.evaluation.to_dict()["queries"] > 5
    with Index.open(tmp_path / "out" / "index", device="cpu") as index:
        assert [(held.document.title, held.document.text) for held in index.store] == [
            (row["title"], row["text"]) for row in given.corpus
        ]
        assert index.check() == []
        np.testing.assert_allclose(index.vectors, index.torch_encoder().encode(given.texts), atol=1e-5)
        assert index.fusion.tuned_on == "untitled, split dev"
        assert {hit.title for hit in index.search("rose", k=60)} == set(given.corpus["title"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "index", "model", "report.json", "triples.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize(("mean", "p", "verdict"), [
    (0.05, 0.01, "IMPROVED"), (-0.05, 0.01, "REGRESSION"), (0.05, 0.2, "NO DIFFERENCE"),
    (-0.05, 0.2, "NO DIFFERENCE"), (0.05, 0.05, "NO DIFFERENCE"),
])  # fmt: skip
def test_the_verdict(mean: float, p: float, verdict: str) -> None:
    assert verdict_of(Difference(n=100, mean=mean, low=mean - 0.01, high=mean + 0.01, p=p)) == verdict


def test_the_same_seed_gives_the_same_model_and_report(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path, learned: Learned
) -> None:
    def essence(done: Fit) -> tuple[str, dict[str, object]]:
        rows = [{**row, "seconds": 0} for row in done.to_dict()["rows"]]
        return done.manifest["fingerprint"], {"rows": rows, "verdict": done.verdict}

    again = fit(tiny_collection, tmp_path / "b", model=tiny_encoder_folder, settings=LEARN, device="cpu")
    assert essence(again) == essence(learned.done)


def test_clusters_of_an_index_and_of_its_collection_are_the_same(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    index = Index.build(tiny_collection, encoder, tmp_path / "index")
    expected = cluster(index, k=4, seed=2)
    assert cluster(tmp_path / "index", k=4, seed=2) == expected
    assert cluster(tiny_collection, k=4, seed=2, model=tiny_encoder_folder, device="cpu") == expected
    index.store.close()


def test_triples_of_another_collection_are_refused_before_training(
    tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    triples = mine(tiny_collection)
    strange = Triples([*triples.groups[:1], triples.groups[0].__class__("nobody", "d00", ())])
    with pytest.raises(InputError, match=r"the triples name query 'nobody', tiny has none of that id"):
        train(tiny_collection, tmp_path / "m", triples=strange, model=tiny_encoder)
    assert list(tmp_path.iterdir()) == []


def test_the_report_is_json_with_kind_and_format(tiny_collection: Collection, learned: Learned) -> None:
    report = json.loads((learned.out / "report.json").read_text())
    assert (report["kind"], report["format"]) == ("textrip-report", 1)
    assert report["provenance"]["collection_sha256"] == tiny_collection.fingerprint


@pytest.mark.parametrize("command", ["train", "fit"])
def test_the_filter_reads_with_the_prompts_and_the_length_of_the_training(
    command: str, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    module = importlib.import_module(f"textrip.pipeline.{command}")
    seen: list[tuple[str, int, Any]] = []
    original = module.mined

    def watched(*given: Any, **options: Any) -> Any:
        encoder = given[3]
        seen.append((encoder.prompt("document"), encoder.max_length_tokens, options.get("vectors")))
        return original(*given, **options)

    monkeypatch.setattr(module, "mined", watched)
    settings = TrainSettings(epochs=1, batch_queries=8, document_prompt="text: ", max_length_tokens=16)
    getattr(module, command)(
        tiny_collection, tmp_path / "out", model=tiny_encoder_folder, settings=settings, device="cpu"
    )
    # fit's vectors of the untuned encoder are without the prompt: the filter makes its own.
    assert seen == [("text: ", 16, None)]


def test_a_training_that_is_stopped_while_it_mines_keeps_what_the_filter_encoded(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter reads the corpus, which takes longer than the rest of the mining."""
    windows: list[int] = []
    encode = Encoder._encode_window

    def counted(self: Encoder, texts: list[str], *rest: Any) -> Any:
        windows.append(len(texts))
        return encode(self, texts, *rest)

    def stop(*_given: Any, **_how: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Encoder, "_encode_window", counted)
    run = partial(
        train, tiny_collection, tmp_path / "m", model=tiny_encoder_folder, device="cpu", dev_documents=30,
        settings=TrainSettings(epochs=1, batch_queries=8),
    )  # fmt: skip
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("textrip.pipeline.mined.describe", stop)
        run()
    encoded = [size for size in windows if size >= 16]
    assert encoded
    assert [path.name for path in tmp_path.iterdir()] == [".m.kept"]
    windows.clear()
    with stopped_at(0), pytest.raises(KeyboardInterrupt):
        run()
    assert not set(encoded) & set(windows)
    assert [path.name for path in tmp_path.iterdir()] == ["m.unfinished"]


def test_a_clustering_says_what_is_cut(tiny_encoder_folder: Path, remarks: list[str]) -> None:
    documents = [Document(str(n), "", "rose " * 500 + word) for n, word in enumerate(["boat", "oven"])]
    (found,) = cluster(Collection.of("long", documents), k=1, model=tiny_encoder_folder, device="cpu")
    assert found.size == 2
    assert any("100% of 2 documents looked at are longer than the" in remark for remark in remarks)
    with pytest.raises(InputError, match="only 1 of the 2 documents differ in what the encoder reads"):
        cluster(Collection.of("long", documents), k=2, model=tiny_encoder_folder, device="cpu")
