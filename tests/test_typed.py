"""What is of another type is told where it is given, by its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
