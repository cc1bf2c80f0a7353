"""Which documents dev searches where the corpus is cut: the same in every half of a run, and in a study."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.lexical.analyzer import Analyzer
from textrip.mining.mine import mine
from textrip.pipeline.train import train
from textrip.pipeline.tune import tune
from textrip.records import Document
from textrip.training.run_folder import RunFolder


def test_a_run_that_goes_on_measures_dev_over_the_documents_it_began_with(
    tiny_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the analyzer that was asked for: another BM25 finds other documents for a corpus that is cut."""
    things = ["rose", "wave", "oven", "drum", "orbit", "boat", "seed", "storm", "note", "star"]
    documents = [Document(f"d{n:02d}", "", f"{things[n % 10]}{'s' * (n % 2)} {n}") for n in range(60)]
    queries = {f"q{n}": f"{things[n]}s" for n in range(10)}
    judged = {query_id: {f"d{n:02d}": 1} for n, query_id in enumerate(queries)}
    splits = {"train": list(judged)[:6], "dev": list(judged)[6:8], "test": list(judged)[8:]}
    collection = Collection.of(
        "stems", documents, queries,
        {split: {query_id: judged[query_id] for query_id in part} for split, part in splits.items()},
    )  # fmt: skip
    pools: list[list[str]] = []

    def measured(*_: Any, evaluate_dev: Any, **__: Any) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            read: list[str] = []
            encode = Encoder.encode
            patch.setattr(
                Encoder, "encode",
                lambda self, texts, **o: read.extend(texts) or encode(self, texts, **o),  # type: ignore[func-returns-value]
            )  # fmt: skip
            evaluate_dev(tiny_encoder)
        pools.append(sorted(read))
        return {}

    monkeypatch.setattr(importlib.import_module("textrip.pipeline.train"), "train_encoder", measured)
    triples = mine(collection)
    run = RunFolder(tmp_path / "begun")
    with run.held({"collection_sha256": collection.fingerprint}, triples=triples):
        pass
    plain = Analyzer.for_language("none")
    begun: dict[str, Any]
    for begun in ({}, {"triples": triples}, {"run": run, "resume": True}):
        train(collection, tmp_path / "m", model=tiny_encoder, analyzer=plain, dev_documents=8, **begun)
    assert pools[0] == pools[1] == pools[2]
    train(collection, tmp_path / "m", model=tiny_encoder, dev_documents=8)
    assert pools[3] != pools[0]


def test_a_study_knows_which_documents_dev_searches(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[dict[str, Any]] = []
    monkeypatch.setattr(
        importlib.import_module("textrip.pipeline.tune"), "search_settings",
        lambda *_, dev, **__: known.append(dev),
    )  # fmt: skip
    given: dict[str, Any] = {"model": tiny_encoder_folder, "device": "cpu"}
    for dev_documents in (20, 0):
        tune(tiny_collection, tmp_path / "study", dev_documents=dev_documents, **given)
    assert known == [
        {"dev_documents": 20, "analyzer": Analyzer().to_dict(), "without_own_id": False},
        {"dev_documents": 60, "analyzer": None, "without_own_id": False},
    ]
