"""The tiny collection as files for the commands to read."""

from pathlib import Path
from typing import Any

import pytest

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.retrieval.index import Index


@pytest.fixture(scope="session")
def beir_folder(
    tiny_collection: Collection, write_beir: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny collection as a BEIR folder."""
    folder: Path = write_beir(tiny_collection, tmp_path_factory.mktemp("data") / "tiny")
    return folder


@pytest.fixture(scope="session")
def index_folder(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index of the tiny collection."""
    folder = tmp_path_factory.mktemp("index") / "index"
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    Index.build(tiny_collection, encoder, folder).store.close()
    return folder
