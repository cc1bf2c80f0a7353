"""An index in a program: closed beside a search, moved, built anew meanwhile, handed what it cannot hold."""

import contextlib
import json
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.retrieval.stub import StubEncoder, text_of
from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.errors import InputError
from textrip.mining.triples import Triples
from textrip.records import Document
from textrip.retrieval.about import note_about, restore_about
from textrip.retrieval.connection import Connections, unreadable
from textrip.retrieval.index import Index
from textrip.retrieval.store_writer import StoreWriter
from textrip.retrieval.where import Where

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


@pytest.mark.parametrize("inside", ["link", "pipe"])
def test_another_folder_is_told_before_it_is_looked_through(inside: str, tmp_path: Path) -> None:
    """Who named the wrong folder was told to remove a link in it."""
    (tmp_path / "sub").mkdir()
    if inside == "link":
        (tmp_path / "sub" / "link").symlink_to("/etc/hostname")
    elif hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "sub" / "pipe")
    told = r"is no index \(it has no index\.json\); textrip index"
    for ask in (Index.open, restore_about):
        with pytest.raises(InputError, match=told):
            ask(tmp_path)


def test_documents_that_may_not_be_read_are_told_as_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were "being written to by somebody else"."""
    opened = Path.open

    def refuse(self: Path, *given: Any, **how: Any) -> Any:
        if self.name == "documents.sqlite":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *given, **how)

    monkeypatch.setattr(Path, "open", refuse)
    told = unreadable(folder / "documents.sqlite", sqlite3.OperationalError("unable to open database file"))
    assert str(told) == f"{folder / 'documents.sqlite'}: permission denied"
    gone = Connections(folder / "gone.sqlite", index_id=None)
    with pytest.raises(InputError, match=r"gone\.sqlite: no such file or directory"), gone.use():
        pass


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -0.1, 1.5])
def test_a_weight_that_is_no_share_is_not_noted(weight: float, index: Index) -> None:
    before = (index.folder / "index.json").read_bytes()
    with pytest.raises(InputError, match=r"; nothing was noted"):
        index.note(fusion={**FUSION, "weight": weight})
    for value in (float("nan"), object()):
        with pytest.raises(InputError, match=r"; nothing was noted"):
            index.note(seen=value)
    assert (index.folder / "index.json").read_bytes() == before
    assert index.search("rose", mode="hybrid")


def built(place: Any, **how: Any) -> Index:
    return Index.build(collection(3), StubEncoder(), place, **how)


@pytest.mark.parametrize(("call", "told"), [
    (lambda _, at: Index.open(None), "a path is None, a text or a Path was expected"),  # type: ignore[arg-type]
    (lambda _, at: Index.open(at, encoder="x"), "encoder is 'x', an encoder"),  # type: ignore[arg-type]
    (lambda _, at: built(5), "a path is 5"),
    (lambda _, at: built(at / "i", analyzer="german"), "analyzer is 'german', an An"),
    (lambda _, at: built(at / "i", model="tiny/model"), "model is 'tiny/model', an Enc"),
    (lambda _, at: built(at / "i", seed=-1), "seed is -1, at least 0 was"),
    (lambda index, _: index.delete(None), "doc_ids is None, a list of ids"),
    (lambda index, _: index.recall(seed=-1), "seed is -1, at least 0"),
    (lambda index, _: index.encoder.encode(None), "texts is None, a list of texts"),
    (lambda *_: Triples([]).write(5), "a path is 5"),  # type: ignore[arg-type]
])  # fmt: skip
def test_what_is_of_another_type_is_told_before_anything_is_done(call: Any, told: str, index: Index) -> None:
    before = sorted(index.folder.iterdir())
    with pytest.raises(InputError, match=re.escape(told)):
        call(index, index.folder)
    assert sorted(index.folder.iterdir()) == before


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
        (held,) = list(index.store._connections._held)
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


NONSENSE: dict[str, tuple[Callable[[Any], object], str]] = {
    "a number for a question": (lambda to: to.search(5), r"a query is 5, a text was expected"),
    "nothing for a question": (lambda to: to.search(None), r"a query is None, a text was expected"),
    "bytes for a question": (lambda to: to.search(b"rose"), r"a query is b'rose', a text was expected"),
    "a number for questions": (lambda to: to.search_many(5), r"queries is 5, a list of questions"),
    "a number for an id": (lambda to: to.more_like(5), r"doc_id is 5, a text was expected"),
    "rows of two lengths": (lambda to: to.search_vectors([[1.0], [1.0, 0.0]]), r"no array of numbers"),
    "words for vectors": (lambda to: to.search_vectors("rose"), r"no array of numbers"),
    "complex vectors": (
        lambda to: to.search_vectors(np.ones((1, 64)) * 1j),
        r"numbers: they are complex",
    ),
    "a tensor in training": (
        lambda to: to.search_vectors(torch.ones(1, 64, requires_grad=True)),
        r"of numbers: Can't call",
    ),
    "a name for a scorer": (lambda to: to.search("rose", rerank="m"), r"rerank is 'm', a scorer was"),
    "half a depth": (lambda to: to.search("rose", rerank=to, rerank_depth=10.5), r"10.5, a whole number"),
    "a number for a condition": (lambda to: to.search("rose", where=5), r"where is 5, an SQL expression"),
    "no parameters": (lambda to: to.search("rose", where=where(None)), r"given for where is None, a list or"),
    "a text for parameters": (lambda to: to.search("rose", where=where("19")), r"are one text, a list or a"),
    "half a character": (lambda to: to.search("rose", where="title = '\udce9'"), r"where has bytes that"),
    "a path for documents": (lambda to: to.add(Path("x")), r"documents is of type \w+, a Collection, or"),
    "a document for a list": (lambda to: to.add(Document("a", "", "b")), r"documents is of type Document"),
    "a name for documents": (lambda to: to.add("corpus.jsonl"), r"textrip.read\(PATH\) reads one"),
    "a blank id": (lambda to: to.add([Document(" ", "", "rose")]), r"id is ' ', which is blank"),
    "a blank id in memory": (lambda to: of(Document("", "", "rose")), r"id is '', which is blank"),
    "half a character in memory": (lambda to: of(Document("a", "", "\ud800")), r"text has a lone surrogate"),
    "ids alone": (lambda to: of("a"), r"a document is 'a', a Document was expected"),
    "a path in memory": (lambda to: Collection.of("c", Path("x")), r"documents is of type \w+, a list of"),  # type: ignore[arg-type]
    "half a question": (
        lambda to: Collection.of("c", [], {"q": "\ud800"}),
        r"query 'q' has a lone surrogate",
    ),
    "a name for an encoder": (lambda to: build(to, "MiniLM"), r"encoder is 'MiniLM', an encoder \(Enc"),
    "a number for a cutting": (lambda to: build(to, cutting=16), r"cutting is 16, a Cutting was expected"),
    "a list for vectors": (lambda to: build(to, vectors=[[1.0]]), r"vectors is of type list, an array"),
}


def where(parameters: Any) -> Where:
    return Where("year = ?", parameters)


def of(document: Any) -> Collection:
    return Collection.of("c", [document])


def build(beside: Index, encoder: Any = None, **how: Any) -> Index:
    return Index.build(collection(3), encoder or StubEncoder(), beside.folder.parent / "n", **how)


@pytest.mark.parametrize("case", NONSENSE)
def test_what_a_function_cannot_take_is_one_line(case: str, index: Index) -> None:
    use, message = NONSENSE[case]
    with pytest.raises(InputError, match=message) as refused:
        use(index)
    assert "\n" not in str(refused.value)
    assert len(index) == 30
    assert not (index.folder.parent / "n").exists()


def test_a_long_condition_is_shown_by_its_beginning(index: Index) -> None:
    with pytest.raises(InputError, match=r"where \"title = .*\.\.\.\": a bracket") as refused:
        index.search("rose", where="title = '" + "x" * 30_000 + "' AND (")
    assert len(str(refused.value)) < 2_000


def test_a_closed_index_can_be_shown(index: Index) -> None:
    assert "30 documents" in repr(index)
    index.close()
    assert "closed" in repr(index)
