"""An index from a stranger: what its folder leads to is neither written to nor removed."""

import re
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.stub import StubEncoder, text_of
from tests.retrieval.whole import FILES, PASSING, opened, place_of
from tests.running import Run
from textrip.data.collection import Collection
from textrip.errors import InputError
from textrip.records import Document
from textrip.retrieval import build as build_module
from textrip.retrieval.index import Index

# What is there in every index, and what a reader or a writer makes.
THERE = [*FILES, "derived", "derived/G", "encoder", "encoder/1_Pooling", "onnx"]
MADE = [
    ".stamps.json.tmp",
    "derived/.00000001-0123abcd.tmp",
    "derived/00000009-0123abcd",
    "derived/G/.stamps.json.tmp",
    "documents.sqlite-shm",
    "documents.sqlite-wal",
    "onnx/.stamps.json.tmp",
    "stamps.json",
]
DOCUMENTS = Collection.of("c", [Document(f"d{n}", "", text_of(n)) for n in range(20)])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name not in PASSING
    }


def linked(path: Path, elsewhere: Path) -> dict[str, bytes]:
    """Put a link in a path's place to what stood there, or to somebody's folder; what is elsewhere now."""
    elsewhere.mkdir()
    place = elsewhere / "precious"
    if path.exists():
        path.rename(place)
    else:
        place.mkdir()
        (place / "letter").write_text("dear", encoding="utf-8")
    path.symlink_to(place)
    return contents(elsewhere)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a build left that was stopped, beside the index that it was to replace."""

    def stops(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    Index.build(DOCUMENTS, StubEncoder(), tmp_path / "index").close()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build_module, "publish", stops)
        Index.build(DOCUMENTS, StubEncoder(), tmp_path / "index", force=True)
    return tmp_path / ".index.building"


@pytest.mark.parametrize("name", [*THERE, *MADE])
def test_a_link_inside_an_index_is_refused(name: str, copy: Path, tmp_path: Path) -> None:
    path = place_of(copy, name)
    before = linked(path, tmp_path / "elsewhere")
    with pytest.raises(InputError) as told:
        Index.open(copy)
    assert str(told.value) == (
        f"{path}: is a symbolic link, and an index has none: what is written to it would be written "
        "elsewhere; put what it points to in its place (cp -rL INDEX COPY does), or remove it"
    )
    assert contents(tmp_path / "elsewhere") == before


def test_add_to_an_index_whose_derived_folder_is_elsewhere(copy: Path, tmp_path: Path, textrip: Run) -> None:
    linked(copy / "derived", tmp_path / "elsewhere")
    photos = tmp_path / "elsewhere" / "precious" / "01-photos"
    photos.mkdir()
    (photos / "p.jpg").write_bytes(b"photo")
    before = contents(tmp_path / "elsewhere")
    (tmp_path / "new.jsonl").write_text('{"id": "new", "text": "rose"}\n', encoding="utf-8")
    for command in (["add", copy, tmp_path / "new.jsonl"], ["delete", copy, "d01"], ["search", copy, "rose"]):
        done = textrip(*command)
        assert (done.code, done.out) == (2, ""), command
        assert done.err.startswith(f"Error: {copy / 'derived'}: is a symbolic link")
        assert done.err.count("\n") == 1
    assert contents(tmp_path / "elsewhere") == before


def write_journal(store: Path, victim: Path) -> None:
    """Write a rollback journal that says it was one of a transaction over several databases.

    SQLite, opening the first of them for writing, removes the file that all of these journals name.
    """
    magic, page, name = bytes.fromhex("d9d505f920a163d7"), 4096, bytes(victim)
    pages = store.stat().st_size // page
    header = (magic + struct.pack(">5I", 0, 1, pages, 512, page)).ljust(512, b"\0")
    last = struct.pack(">I", 2**30 // page + 1) + name + struct.pack(">2I", len(name), sum(name)) + magic
    store.with_name(f"{store.name}-journal").write_bytes(header + last)


def test_a_journal_that_names_another_file_is_refused(copy: Path, tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_text("dear", encoding="utf-8")
    write_journal(copy / "documents.sqlite", letter)
    with pytest.raises(InputError, match=r"documents\.sqlite-journal: is a journal that no index has"):
        Index.open(copy).add([Document("new", "", "rose")])
    with pytest.raises(InputError, match=r"documents\.sqlite-journal: is a journal that no index has"):
        Index.build(DOCUMENTS, StubEncoder(), copy, force=True)
    assert letter.read_text(encoding="utf-8") == "dear"


def test_a_journal_beside_what_a_build_left_is_not_read(tmp_path: Path, stopped: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_text("dear", encoding="utf-8")
    write_journal(stopped / "documents.sqlite", letter)
    Index.build(DOCUMENTS, StubEncoder(), tmp_path / "index", force=True).close()
    assert letter.read_text(encoding="utf-8") == "dear"


def test_what_an_index_did_not_make_is_left_alone(copy: Path) -> None:
    left = [
        "derived/01-photos/p.jpg", "derived/.mine.tmp/precious", "derived/00000001-mine/precious",
        "derived/.00000001-mine.tmp/precious", "derived/00000000-0123ABCD/precious",
    ]  # fmt: skip
    for name in left:
        (copy / name).parent.mkdir()
        (copy / name).write_text("precious", encoding="utf-8")
    own = [copy / "derived" / name for name in
           ("00000000-0123abcd", ".00000000-0123abcd.tmp", ".00000000-0123abcd.89abcdef.tmp")]  # fmt: skip
    for folder in own:
        folder.mkdir()
    with opened(copy) as index:
        index.add([Document("new", "", "rose")])
        assert index.check() == []
    assert all((copy / name).read_text(encoding="utf-8") == "precious" for name in left)
    assert not any(folder.exists() for folder in own)


def test_an_index_folder_may_itself_be_a_link(copy: Path, tmp_path: Path) -> None:
    place = tmp_path / "link"
    place.symlink_to(copy)
    with opened(place) as index:
        index.add([Document("new", "", "rose")])
        assert len(index) == 61
        assert index.check() == []
    assert place.is_symlink()


@pytest.mark.parametrize(
    "name",
    [
        ".index.building",
        ".index.building/derived",
        ".index.building/documents.sqlite",
        ".index.building/quarry-0123abcd.sqlite",
        "index/documents.sqlite",
    ],
)
def test_a_build_follows_no_link(name: str, tmp_path: Path, stopped: Path) -> None:
    """Over an index, and over what a build left that was stopped."""
    assert (stopped / "documents.sqlite").is_file()
    before = linked(tmp_path / name, tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"{re.escape(str(tmp_path / name))}: is a symbolic link"):
        Index.build(DOCUMENTS, StubEncoder(), tmp_path / "index", force=True)
    assert contents(tmp_path / "elsewhere") == before


def test_a_build_over_a_link_takes_its_place(tmp_path: Path) -> None:
    Index.build(DOCUMENTS, StubEncoder(), tmp_path / "index").close()
    before = linked(tmp_path / "index", tmp_path / "elsewhere")
    with Index.build(DOCUMENTS, StubEncoder(), tmp_path / "index", force=True) as index:
        assert len(index) == 20
    assert contents(tmp_path / "elsewhere") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "index"]
