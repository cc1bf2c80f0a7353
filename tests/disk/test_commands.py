"""The commands on a disk that is full or can be read only: one line, exit code 2, nothing lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disk.worker import HOW
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.records import Document
from textrip.retrieval.index import Index

NEWS = '{"id": "new", "text": "a boat in the harbour"}\n'


@pytest.fixture
def place(tmp_path: Path, tiny_encoder_folder: Path) -> Path:
    """A folder with an index, and data for another."""
    place = tmp_path / "place"
    place.mkdir()
    documents = Collection.of("c", [Document("a", "", "rose and tulip"), Document("b", "", "boat and tide")])
    Index.build(documents, Encoder.load(tiny_encoder_folder, device="cpu"), place / "index").close()
    (tmp_path / "news.jsonl").write_text(NEWS, encoding="utf-8")
    return place


def textrip(library: Path, how: str, at: int, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command whose disk fails below the working folder's `place` from call `at` on."""
    place = next(Path(str(word)) for word in words if "place" in str(word))
    while place.name != "place":
        place = place.parent
    return subprocess.run(
        [sys.executable, "-m", "textrip", *map(str, words)],
        env={**os.environ, "LD_PRELOAD": str(library), "FAILING_DISK": f"{HOW[how]} {at} {place}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def ids(library: Path, index: Path) -> list[str]:
    """What a search of an index on a disk that can be read only finds."""
    found = textrip(library, "read", 1, "search", index, "rose boat", "--mode", "bm25", "--json")
    assert found.returncode == 0, found.stderr
    return sorted(json.loads(line)["doc_id"] for line in found.stdout.splitlines())


@pytest.mark.parametrize(
    ("command", "at", "how"),
    [
        ("add", 1, "read"),
        ("add", 12, "full"),
        ("delete", 1, "full"),
        ("delete", 12, "read"),
        pytest.param("index", 12, "full", marks=pytest.mark.slow),  # torch, three times over
    ],
)
def test_the_disk_refuses(
    command: str, at: int, how: str, place: Path, failing_disk: Path, tiny_encoder_folder: Path
) -> None:
    index, news = place / "index", place.parent / "news.jsonl"
    words: dict[str, list[object]] = {
        "add": ["add", index, news],
        "delete": ["delete", index, "a"],
        "index": ["index", news, "-o", place / "other", "--model", tiny_encoder_folder],
    }
    result = textrip(failing_disk, how, at, *words[command])
    assert result.returncode == 2, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"Error: {place}/")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert ids(failing_disk, index) == ["a", "b"]
    assert not (place / "other").exists()
    again = subprocess.run(
        [sys.executable, "-m", "textrip", *map(str, words[command])], capture_output=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert {path.name for path in place.iterdir()} <= {"index", "other"}
