"""What is of another type is told where it is given, by its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textrip
from tests.retrieval.stub import StubEncoder
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.mining.settings import MineSettings
from textrip.pipeline.cluster import cluster
from textrip.retrieval.index import Index
from textrip.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("record", "given", "told"),
    [
        (MineSettings, {"negatives": 1.5}, "negatives is 1.5, a whole number was expected"),
        (MineSettings, {"negatives": "2"}, "negatives is '2', a whole number was expected"),
        (MineSettings, {"near_duplicates": "0.8"}, "near_duplicates is '0.8', a number was expected"),
        (MineSettings, {"sample": 1}, "sample is 1, true or false was expected"),
        (TrainSettings, {"seed": 1.5}, "seed is 1.5, a whole number was expected"),
        (TrainSettings, {"epochs": "3"}, "epochs is '3', a number or auto was expected"),
        (TrainSettings, {"epochs": True}, "epochs is True, a number or auto was expected"),
        (TrainSettings, {"margin": None}, "margin is None, a number or auto was expected"),
        (TrainSettings, {"learning_rate": "fast"}, "learning_rate is 'fast', a number or auto was expected"),
        (TrainSettings, {"query_prompt": 5}, "query_prompt is 5, a text was expected"),
        (TrainSettings, {"dropout": "yes"}, "dropout is 'yes', true or false was expected"),
        (TrainSettings, {"matryoshka": "256,128"}, "matryoshka is '256,128', a list of whole numbers was"),
        (
            TrainSettings,
            {"matryoshka": [256, "x"]},
            r"matryoshka is \[256, 'x'\], a list of whole numbers was",
        ),
        (TrainSettings, {"max_length_tokens": 0}, "max_length_tokens is 0, at least 1 was expected"),
        (TrainSettings, {"loss": "foo"}, "loss is 'foo', one of auto, triplet, "),
    ],
)
def test_a_setting_of_another_type_is_told(
    record: Callable[..., Any], given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        record(**given)


def test_numbers_of_numpy_are_numbers() -> None:
    """As JSON knows them: they are kept beside the model."""
    given: dict[str, Any] = {
        "epochs": np.float32(1.5), "batch_queries": np.int64(8), "matryoshka": np.array([64, 32]),
    }  # fmt: skip
    settings = TrainSettings(**given)
    found = settings.epochs, settings.batch_queries, settings.matryoshka
    assert found == (1.5, 8, (64, 32))
    assert [type(value) for value in (*found[:2], *settings.matryoshka)] == [float, int, int, int]


def test_what_counts_is_a_whole_number(
    tiny_collection: Collection, tiny_encoder: Encoder, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    with Index.build(tiny_collection, tiny_encoder, tmp_path / "index", onnx=False) as index:
        with pytest.raises(InputError, match=r"k is 1\.5, a whole number was expected"):
            index.search("rose", k=1.5)  # type: ignore[arg-type]
        for given in ({"k": 0}, {"sample": 0}):
            with pytest.raises(InputError, match="is 0, at least 1 was expected"):
                index.recall(**given)
        with pytest.raises(InputError, match=r"k is 2\.5, a whole number was expected"):
            cluster(index, k=2.5)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="seed is -1, at least 0 was expected"):
            cluster(index, seed=-1)


def test_vectors_are_of_length_one(
    tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    vectors = tiny_encoder.encode(tiny_collection.texts)
    with pytest.raises(InputError, match="vectors have lengths from 3 to 3, unit ones were expected; divide"):
        Index.build(tiny_collection, tiny_encoder, tmp_path / "index", vectors=vectors * 3)
    assert list(tmp_path.iterdir()) == []
    halves = vectors.astype(np.float16).astype(np.float32)
    index = Index.build(tiny_collection, tiny_encoder, tmp_path / "index", vectors=halves, onnx=False)
    with index, pytest.raises(InputError, match="vectors have lengths from 100 to 100, unit ones"):
        index.search_vectors(vectors[:2] * 100)


def test_a_kind_of_text_and_a_string_are_told(tiny_encoder: Encoder) -> None:
    with pytest.raises(InputError, match="kind is 'passage', query or document was expected"):
        tiny_encoder.encode(["rose"], kind="passage")  # type: ignore[arg-type]
    calls: list[Callable[[str], Any]] = [
        tiny_encoder.encode, tiny_encoder.count_tokens, lambda text: list(tiny_encoder.encode_stream(text)),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(InputError, match="texts is a string, a list of texts was expected"):
            call("abc")


COLLECTION = "a name or a path or Collection"


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("train", {"triples": "t.parquet"}, "triples is 't.parquet', Triples was expected"),
        ("train", {"settings": {"epochs": 1}}, "settings is of type dict, TrainSettings was expected"),
        ("train", {"settings": {}}, "settings is of type dict, TrainSettings was expected"),
        ("train", {"mining": "none"}, "mining is 'none', MineSettings was expected"),
        ("train", {"analyzer": "german"}, "analyzer is 'german', Analyzer was expected"),
        ("train", {"model": None}, "model is None, a name or a path or Encoder was expected"),
        ("train", {"rounds": "2"}, "rounds is '2', a whole number was expected"),
        ("train", {"rounds": 1.5, "device": 0}, "rounds is 1.5, .*; device is 0, a text was expected"),
        ("train", {"dev_documents": -1}, "dev_documents is -1, at least 0 was expected"),
        ("train", {"checkpoint_minutes": None}, "checkpoint_minutes is None, a number was expected"),
        ("train", {"run": "o.unfinished"}, "run is 'o.unfinished', RunFolder was expected"),
        ("fit", {"model": StubEncoder()}, "model is of type StubEncoder, a name or a path was expected"),
        ("fit", {"dev_documents": "5"}, "dev_documents is '5', a whole number was expected"),
        ("tune", {"minutes": "x"}, "minutes is 'x', a number was expected"),
        ("tune", {"minutes": float("nan")}, "minutes is nan, a number above 0 was expected"),
        ("tune", {"minutes": -1}, "minutes is -1, a number above 0 was expected"),
        ("mine", {"verdicts": "v.jsonl"}, "verdicts is 'v.jsonl', Verdicts was expected"),
        ("mine", {"dense": StubEncoder()}, "dense is of type StubEncoder, Ranker was expected"),
        ("evaluate", {"encoders": StubEncoder()}, "encoders is of type StubEncoder, a list of TextEncoder"),
        ("evaluate", {"encoders": ["name"]}, "encoders is of type list, a list of TextEncoder was expected"),
        ("evaluate", {"encoders": "name"}, "encoders is 'name', a list of TextEncoder was expected"),
        ("check", {"encoder": "name"}, "encoder is 'name', Encoder was expected"),
        ("check", {"data": None}, f"data is None, {COLLECTION} was expected"),
        ("prepare", {"data": []}, f"data is of type list, {COLLECTION} was expected"),
        ("read", {"source": 3}, "source is 3, a name or a path was expected"),
        ("cluster", {"k": "2"}, "k is '2', a whole number was expected"),
    ],
)  # fmt: skip
def test_arguments_of_the_python_api_are_told_by_their_names(
    name: str, given: dict[str, Any], told: str, tiny_collection: Collection, tmp_path: Path
) -> None:
    first = {"cluster": "source", "read": "source"}.get(name, "data")
    place = {"train": "output", "fit": "output", "tune": "folder"}.get(name)
    whole = {first: tiny_collection, **({} if place is None else {place: tmp_path / "made"}), **given}
    with pytest.raises(InputError, match=told):
        getattr(textrip, name)(**whole)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_and_generators_are_taken(
    tiny_collection: Collection, tiny_encoder: Encoder
) -> None:
    found = textrip.evaluate(tiny_collection, encoders=(one for one in [tiny_encoder]))
    assert [result.system for result in found.results] == ["bm25", tiny_encoder.name]
    assert len(textrip.cluster(tiny_collection, k=np.int64(2), model=tiny_encoder.name)) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, b"x", 3])
def test_what_is_encoded_are_strings(wrong: Any, tiny_encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"a text is .*, a string was expected"):
        tiny_encoder.encode(["a", wrong])


def test_a_length_or_a_place_of_another_type(
    tiny_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="max_length_tokens is '32', a whole number was expected"):
        Encoder.load(tiny_encoder.name, max_length_tokens="32")  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="folder is None, a path was expected"):
        tiny_encoder.save(None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
