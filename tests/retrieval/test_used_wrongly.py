"""An index in a program: closed beside a search, moved, built anew meanwhile, handed what it cannot hold."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.stub import StubEncoder, text_of
from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.errors import InputError
from textrip.records import Document
from textrip.retrieval.about import note_about
from textrip.retrieval.index import Index
from textrip.retrieval.store_writer import StoreWriter

FUSION = {"weight": 0.5, "tuned_on": "dev", "queries": 3}


def collection(count: int) -> Collection:
    return Collection.of("c", [Document(f"d{n:02d}", "", text_of(n)) for n in range(count)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Index.build(collection(30), StubEncoder(), tmp_path / "index").close()
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    with Index.open(folder, encoder=StubEncoder()) as opened:
        yield opened


def test_closed_beside_searches_it_says_so(folder: Path) -> None:
    """SQLite's memory was freed under a thread that read: the process died, or told of damage."""
    said: set[str] = set()
    for _ in range(15):
        opened = Index.open(folder, encoder=StubEncoder())
        started, stop = threading.Event(), threading.Event()

        def search(opened: Index = opened, started: threading.Event = started, stop: Any = stop) -> None:
            while not stop.is_set():
                try:
                    opened.search("rose tulip", k=3, mode="bm25")
                    started.set()
                except InputError as error:
                    said.add(str(error))
                    return

        threads = [threading.Thread(target=search) for _ in range(6)]
        for thread in threads:
            thread.start()
        started.wait(30)
        opened.close()
        for thread in threads:
            thread.join(30)
        stop.set()
    assert {message.rpartition(": ")[2] for message in said} == {"the index is closed; open it again"}


def test_a_connection_in_use_is_closed_by_its_user(index: Index) -> None:
    with index.store.snapshot():
        (held,) = list(index.store._held)
        other = threading.Thread(target=index.close)
        other.start()
        other.join()
        assert held.connection.in_transaction  # it is there, and nothing more is read
        with pytest.raises(InputError, match="the index is closed"):
            len(index)
    with pytest.raises(Exception, match="closed database"):
        held.connection.execute("SELECT 1")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Document("d1100", "", 5), "text is 5, a string was expected"),  # type: ignore[arg-type]
        (Document("new7", "", "again"), "'new7' occurs twice"),
        ("a text", "str given, a Document was expected"),
    ],
)
def test_a_list_is_looked_through_before_any_of_it_is_written(index: Index, bad: Any, reason: str) -> None:
    """A thousand documents are a transaction: the first of them were in when the mistake was met."""
    news = [*(Document(f"new{n}", "", "hello there") for n in range(1100)), bad]
    with pytest.raises(InputError, match=reason):
        index.add(news)
    assert len(index) == 30


def test_of_what_comes_one_by_one_it_is_said_how_much_is_in(index: Index, remarks: list[str]) -> None:
    def coming() -> Iterator[Document]:
        yield from (Document(f"new{n}", "", "hello there") for n in range(1100))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(coming())
    assert len(index) == 30 + 1024
    assert any(remark.startswith("1,024 documents were written before that, and stay") for remark in remarks)


def test_a_label_that_another_column_denies_is_told_before_anything_is_made(
    index: Index, tmp_path: Path
) -> None:
    rows = [{"id": f"L{n}", "text": "hello there", "tag": "x", "label": "x"} for n in range(1100)]
    rows[1050]["label"] = "y"
    data = tmp_path / "labelled.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = read(data, columns=Columns(label="tag"))
    for make in (lambda: index.add(given), lambda: Index.build(given, StubEncoder(), tmp_path / "other")):
        with pytest.raises(InputError, match="document 'L1050': its label is 'x', and a column 'label'"):
            make()
    assert len(index) == 30
    assert not (tmp_path / ".other.building").exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "x"}, "kind is what the index was built with"),
        ({"nearest": "hnsw"}, "nearest is what the index was built with"),
        (
            {"fusion": {"weight": "0.5"}},
            "weight is '0.5', float or int or NoneType was expected; nothing",
        ),
        ({"fusion": {**FUSION, "x": 1}}, "fusion is"),
    ],
)
def test_what_no_index_could_be_opened_with_is_not_noted(
    index: Index, folder: Path, values: dict[str, Any], reason: str
) -> None:
    """index.json and its copy had it, and no command opened the index, nor mended it."""
    before = (folder / "index.json").read_bytes()
    with pytest.raises(InputError, match=reason):
        index.note(**values)
    assert (folder / "index.json").read_bytes() == before
    assert index.check() == []
    index.note(fusion=FUSION, mine="kept")
    with Index.open(folder, encoder=StubEncoder()) as opened:
        assert (opened.fusion.weight, opened.about["mine"]) == (0.5, "kept")


def test_an_index_that_was_built_anew_is_not_noted_on(index: Index, folder: Path) -> None:
    with contextlib.closing(StoreWriter.open(index.store.path, index_id=index.about["index_id"])) as writer:
        Index.build(collection(20), StubEncoder(), folder, force=True).close()
        before = (folder / "index.json").read_bytes()
        with pytest.raises(InputError, match="the index was built anew since it was opened"):
            index.note(fusion=FUSION)
        # Between the look and the lock it was, too.
        with pytest.raises(InputError, match="the index was built anew meanwhile"):
            note_about(folder, writer, {"fusion": FUSION})
    assert (folder / "index.json").read_bytes() == before


@pytest.mark.parametrize("how", ["moved", "left"])
def test_an_index_that_is_not_there_any_longer_is_not_damaged(
    folder: Path, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told to be damaged, and to be built again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with Index.open("index", encoder=StubEncoder()) as opened:
        if how == "moved":
            folder.rename(tmp_path / "elsewhere" / "index")
        else:
            os.chdir(tmp_path / "elsewhere")
        for use in (
            lambda: opened.search("rose"),
            lambda: opened.add([Document("x", "", "x")]),
            lambda: opened.delete(["d01"]),
            lambda: opened.note(mine=1),
            opened.rebuild,
        ):
            with pytest.raises(InputError, match=r"is not there any longer \(moved or removed, or left by"):
                use()


@pytest.mark.parametrize("ids", [[5], [None], [[]], ["d01", 7]])
def test_ids_to_delete_are_texts(index: Index, ids: list[Any]) -> None:
    with pytest.raises(InputError, match=r"doc_id is .*, a string was expected"):
        index.delete(ids)
    assert len(index) == 30
