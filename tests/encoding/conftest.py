"""A tiny encoder with a prompt for queries, and the same as ONNX; a file may have an `encoder` of its own."""

import pytest

from tests.conftest import build_tiny_encoder
from textrip.encoding.encoder import Encoder
from textrip.encoding.export import export_onnx
from textrip.encoding.onnx import OnnxEncoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = build_tiny_encoder(tmp_path_factory.mktemp("e"), prompts={"query": "query : "})
    return Encoder.load(folder, device="cpu")


@pytest.fixture(scope="module")
def exported(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    return export_onnx(encoder, tmp_path_factory.mktemp("o") / "onnx")
