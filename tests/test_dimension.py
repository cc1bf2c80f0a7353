"""Vectors of fewer components than the model's: encoded, exported, trained, indexed and measured alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from tests.running import Run
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.export import export_onnx
from textrip.errors import InputError
from textrip.mining.mine import mine
from textrip.retrieval.index import Index
from textrip.training.distance import distance_matrix
from textrip.training.settings import TrainSettings
from textrip.training.train import train


@pytest.fixture
def cut(tiny_encoder_folder: Path) -> Encoder:
    return Encoder.load(tiny_encoder_folder, device="cpu", dimension=8)


def test_the_first_components_are_a_vector_of_their_own(
    cut: Encoder, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    texts = ["rose tulip", "wave", ""]
    whole = tiny_encoder.encode(texts)[:, :8]
    wanted = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    assert cut.dimension == 8
    np.testing.assert_allclose(cut.encode(texts), wanted, atol=1e-6)
    assert cut.fingerprint != tiny_encoder.fingerprint
    cut.save(tmp_path / "saved")  # the library keeps it
    again = Encoder.load(tmp_path / "saved", device="cpu")
    assert again.fingerprint == cut.fingerprint
    np.testing.assert_allclose(again.encode(texts), wanted, atol=1e-6)
    np.testing.assert_allclose(again.model.encode(texts, normalize_embeddings=True), wanted, atol=1e-6)
    widened = Encoder.load(tmp_path / "saved", device="cpu", dimension=32)
    assert widened.fingerprint == tiny_encoder.fingerprint


@pytest.mark.parametrize("dimension", [0, -1, 33])
def test_a_dimension_that_no_vector_has_is_refused(dimension: int, tiny_encoder_folder: Path) -> None:
    with pytest.raises(InputError, match=f"dimension is {dimension}; .* makes vectors of 32"):
        Encoder.load(tiny_encoder_folder, device="cpu", dimension=dimension)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_cut_encoder_is_had_as_onnx(
    precision: Literal["float32", "int8"], cut: Encoder, tmp_path: Path
) -> None:
    texts = ["rose tulip", "wave"]
    exported = export_onnx(cut, tmp_path / "onnx", texts=texts, precision=precision)
    assert exported.dimension == 8
    np.testing.assert_allclose(exported.encode(texts), cut.encode(texts), atol=0.1)


@pytest.mark.parametrize("options", [{}, {"cache_tokens": 64}, {"matryoshka": [4]}], ids=str)
def test_a_cut_encoder_is_trained_by_what_is_left(
    options: dict[str, Any], cut: Encoder, tiny_collection: Collection, tmp_path: Path
) -> None:
    settings = TrainSettings(epochs=1, batch_queries=8, learning_rate=5e-3, margin=0.1, **options)
    seen: list[int] = []

    def watched(anchors: torch.Tensor, documents: torch.Tensor, distance: Any) -> torch.Tensor:
        seen.append(anchors.shape[1])
        return distance_matrix(anchors, documents, distance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrip.training.loss.distance_matrix", watched)
        manifest = train(tiny_collection, mine(tiny_collection), cut, tmp_path / "m", settings=settings)
    assert set(seen) == ({4, 8} if "matryoshka" in options else {8})
    assert Encoder.load(tmp_path / "m", device="cpu").fingerprint == manifest["fingerprint"]


def test_an_index_of_cut_vectors_answers_and_mends(
    textrip: Run, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    data, index = write_beir(tiny_collection, tmp_path / "tiny"), tmp_path / "index"
    common = ["--model", tiny_encoder_folder, "--dimension", 8]
    assert textrip("index", data, "-o", index, *common).code == 0
    (first, *_) = textrip("search", index, "rose", "--json").json_lines()
    encoder = Encoder.load(tiny_encoder_folder, device="cpu", dimension=8)
    with Index.open(index) as opened:
        assert opened.vectors.shape == (60, 8)
        assert opened.torch_encoder().fingerprint == encoder.fingerprint
        assert opened.search("rose", k=1)[0].doc_id == first["doc_id"]
    (index / "onnx" / "model.onnx").write_bytes(b"damaged")
    assert textrip("index", index, "--rebuild").code == 0
    assert textrip("index", index, "--check").code == 0
    (report,) = textrip("eval", data, *common, "--json").json_lines()
    (measured,) = report["provenance"]["systems"].values()
    assert measured["fingerprint"] == encoder.fingerprint
    assert textrip("encode", data, "-o", tmp_path / "v.npy", *common).code == 0
    assert np.load(tmp_path / "v.npy").shape == (60, 8)
