"""An index that is built once, and a copy of it to damage."""

import random
import shutil
from pathlib import Path

import pytest

from tests.conftest import build_tiny_encoder
from tests.retrieval.whole import PROMPTS, answers
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.records import Document, Hit
from textrip.retrieval.index import Index


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """With a prompt for queries, so that a query is no document."""
    return Encoder.load(build_tiny_encoder(tmp_path_factory.mktemp("own"), prompts=PROMPTS), device="cpu")


@pytest.fixture(scope="module")
def shuffled(tiny_collection: Collection) -> Collection:
    """The tiny collection's documents in another order than that of their ids."""
    rows = list(zip(*(tiny_collection.corpus[name] for name in ("doc_id", "title", "text")), strict=True))
    random.Random(3).shuffle(rows)
    return Collection.of("shuffled", [Document(*row) for row in rows])


@pytest.fixture(scope="module")
def built(shuffled: Collection, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "index"
    Index.build(shuffled, encoder, folder).close()
    return folder


@pytest.fixture(scope="module")
def undamaged(built: Path) -> list[list[list[Hit]]]:
    return answers(built)


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built, tmp_path / "copy"))
