"""Documents come and go: the index is the set of those that are there, and answers as one built anew."""

import json
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.retrieval.stub import StubEncoder, text_of
from textrip import progress
from textrip.alone import LOCK, alone
from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.errors import InputError, MismatchError, StorageError
from textrip.records import Document, Hit
from textrip.retrieval import answer, upkeep
from textrip.retrieval import connection as connection_module
from textrip.retrieval import store as store_module
from textrip.retrieval import store_writer as writer_module
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Change, Index
from textrip.retrieval.layout import STORE
from textrip.retrieval.store import DocumentStore
from textrip.retrieval.store_writer import StoreWriter

QUERIES = ["rose tulip", "boat", "violin chord orbit rose"]


def collection(documents: dict[str, str]) -> Collection:
    return Collection.of("c", [Document(doc_id, "", text) for doc_id, text in documents.items()])


def built(documents: dict[str, str], folder: Path, **how: Any) -> Index:
    return Index.build(collection(documents), StubEncoder(), folder, **how)


def answers(index: Index) -> list[list[list[Hit]]]:
    return [index.search_many(QUERIES, k=7, mode=mode) for mode in MODES]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """30 documents, d00 to d29."""
    with built({f"d{n:02d}": text_of(n) for n in range(30)}, tmp_path / "index") as made:
        yield made


def test_what_another_process_added_meanwhile_was_replaced(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textrip.retrieval.change._there", lambda *_: {})  # before the other one
    news = [Document("d00", "", "another text"), Document("new", "", "a text")]
    assert index.add(news) == Change(added=1, replaced=1)


def test_what_was_deleted_is_in_no_file(index: Index, tmp_path: Path) -> None:
    """Not in the log either, which a reader of the same process kept alive."""
    index.add([Document("secret", "", "xylophone " * 9), Document("kept", "", "marimba " * 9)])
    assert (tmp_path / "index" / f"{STORE}-wal").stat().st_size == 0
    index.delete(["secret"])
    held = b"".join(path.read_bytes() for path in (tmp_path / "index").glob(f"{STORE}*"))
    assert b"xylophone" not in held
    assert b"marimba" in held


def test_a_reader_does_not_keep_a_writer_waiting(index: Index) -> None:
    """What the log holds cannot go into the database while somebody reads an earlier state."""
    with index.store.snapshot():
        assert len(index.store) == 30
        began = time.monotonic()
        index.delete(["d01"])
        assert time.monotonic() - began < connection_module.WAIT_SECONDS / 3


def test_a_connection_is_closed_when_python_has_forgotten_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of a program that holds an index: __del__ comes after the module was emptied."""
    connection = sqlite3.connect(":memory:", factory=connection_module.Connection)
    held = connection_module.Held(connection)
    for name in ("sqlite3", "suppress"):
        monkeypatch.setattr(connection_module, name, None)
    held.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


class Changes(RuleBasedStateMachine):
    """Any order of add, replace, delete, rebuild and reopen, beside a dict."""

    IDS = st.sampled_from([f"{n}" for n in range(12)] + ["é", "a b", "../x"])
    TEXTS = st.integers(0, 40).map(text_of)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.held: dict[str, str] = {}

    @initialize(documents=st.dictionaries(IDS, TEXTS, min_size=2, max_size=8))
    def build(self, documents: dict[str, str]) -> None:
        self.held = dict(documents)
        self.index = built(documents, self.folder / "index")
        self.other = Index.open(self.folder / "index", encoder=StubEncoder())

    @rule(documents=st.dictionaries(IDS, TEXTS, min_size=1, max_size=4))
    def add(self, documents: dict[str, str]) -> None:
        again = {doc_id for doc_id in documents if doc_id in self.held}
        same = {doc_id for doc_id in again if self.held[doc_id] == documents[doc_id]}
        change = self.index.add(collection(documents))
        assert change == Change(
            added=len(documents) - len(again), replaced=len(again) - len(same), unchanged=len(same)
        )
        for doc_id in documents.keys() - same:  # what is replaced comes last
            self.held.pop(doc_id, None)
        self.held |= documents

    @rule(doc_ids=st.sets(IDS, min_size=1, max_size=3))
    def delete(self, doc_ids: set[str]) -> None:
        left = {doc_id: text for doc_id, text in self.held.items() if doc_id not in doc_ids}
        if not left:
            with pytest.raises(InputError, match=r"nothing would be left"):
                self.index.delete(sorted(doc_ids))
            return
        change = self.index.delete(sorted(doc_ids))
        assert change.removed == len(self.held) - len(left)
        assert set(change.missing) == doc_ids - self.held.keys()
        self.held = left

    @rule()
    def rebuild(self) -> None:
        assert self.index.rebuild()

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = Index.open(self.folder / "index", encoder=StubEncoder())

    @rule()
    def lose_what_is_derived(self) -> None:
        for path in (self.folder / "index" / "derived").iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    @invariant()
    def is_the_set(self) -> None:
        if not self.held:
            return
        with built(self.held, self.folder / "fresh", force=True) as fresh:
            expected = answers(fresh)
        for index in (self.index, self.other):
            assert len(index) == len(self.held)
            assert set(index.doc_ids) == self.held.keys()
            assert answers(index) == expected

    def teardown(self) -> None:
        self.index.close()
        self.other.close()
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("small", [0, 20_000], ids=["kept pending", "derived at once"])
def test_an_index_is_a_set(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_SMALL", small)
    monkeypatch.setattr(upkeep, "_SHARE_PENDING", 10.0)
    machine: Any = Changes
    machine.TestCase.settings = settings(max_examples=8, stateful_step_count=8, deadline=None)
    machine.TestCase("runTest").runTest()


def test_what_is_there_is_not_encoded_again(index: Index, tmp_path: Path) -> None:
    encoder = StubEncoder()
    with Index.open(index.folder, encoder=encoder) as opened:
        opened.add(collection({"d00": text_of(0), "d01": text_of(1), "new": text_of(1)}))
        assert encoder.texts == 0  # two are there, and a third has the text of one that is
        opened.add(collection({"d00": text_of(99)}))
        assert encoder.texts == 1
    again = StubEncoder()
    documents = {doc_id: text_of(n) for n, doc_id in enumerate(["d00", "d01", "x"])}
    Index.build(collection({**documents, "y": "wholly new"}), again, index.folder, force=True).close()
    assert again.texts == 2  # d00 has another text now, and y is new


def test_a_replaced_text_is_gone_from_every_part(index: Index) -> None:
    index.add(collection({"d03": "zeppelin"}))
    assert [hit.doc_id for hit in index.search("zeppelin", mode="bm25")] == ["d03"]
    index.add(collection({"d03": "tulip"}))
    assert index.search("zeppelin", mode="bm25") == []
    index.delete(["d03"])
    content = b"".join(path.read_bytes() for path in index.folder.rglob("*") if path.suffix == ".npy")
    assert b"zeppelin" not in content
    with pytest.raises(InputError, match=r"has no document 'd03'"):
        index.more_like("d03")


def test_a_failure_inside_a_transaction_leaves_the_former_state(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(index)
    finish = writer_module.Transaction.finish

    def dies(self: Any) -> None:
        finish(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writer_module.Transaction, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            index.add(collection({"d00": "zeppelin", "new": "zeppelin"}))
        with pytest.raises(KeyboardInterrupt):
            index.delete(["d01"])
    assert answers(index) == before
    assert index.check() == []


def test_a_disk_that_fills_up_leaves_the_former_state(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(index)
    connect = StoreWriter._connect

    def small(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 1")  # what is there already is let be
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "_connect", staticmethod(small))
        with pytest.raises(StorageError, match=r"documents\.sqlite: database or disk is full"):
            index.add(collection({f"n{n}": "word " * 4000 for n in range(20)}))
    assert answers(index) == before
    assert index.check() == []


def test_a_second_writer_waits_or_is_told(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "WAIT_SECONDS", 0.2)
    other = sqlite3.connect(index.store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"another process has been writing for 0 seconds; try again"):
        index.add(collection({"new": "rose"}))
    monkeypatch.setattr(connection_module, "WAIT_SECONDS", 30.0)
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    other_index = Index.open(index.folder, encoder=StubEncoder())
    with other_index:
        assert other_index.add(collection({"new": "rose"})).added == 1
    other.close()


def test_readers_go_on_while_another_writes(index: Index) -> None:
    before = answers(index)
    other = sqlite3.connect(index.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM documents WHERE doc_id < 'd20'")
    assert answers(index) == before
    with Index.open(index.folder, encoder=StubEncoder()) as opened:
        assert answers(opened) == before
    other.execute("ROLLBACK")
    other.close()


def test_one_answer_is_of_one_state(index: Index) -> None:
    """A write in the middle of a search is not seen by it."""
    with Index.open(index.folder, encoder=StubEncoder()) as writer, index.store.snapshot():
        before = answers(index)
        writer.add(collection({"new": "rose tulip"}))
        writer.delete(["d00"])
        assert answers(index) == before
        assert "new" not in index.doc_ids
    assert "new" in index.doc_ids
    assert "d00" not in index.doc_ids


def test_two_rebuilds_at_once_are_one(index: Index) -> None:
    with alone(index.folder) as mine:
        assert mine
        assert not index.rebuild()
        assert index.add(collection({"new": "rose"})).added == 1  # the change itself needs no rebuild
        assert "new" in index.doc_ids
    assert index.rebuild()


def test_a_change_is_made_though_what_is_derived_cannot_be(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lock cannot be had nothing is rebuilt."""
    (index.folder / LOCK).unlink()
    (index.folder / LOCK).mkdir()
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        assert index.add(collection({"new": "rose tulip"})).added == 1
    (remark,) = said
    assert remark.startswith(f"{index.folder / LOCK}: is a directory; ")
    assert remark.endswith("the change is made, what is derived from it could not be worked out anew")
    assert "new" in index.doc_ids
    with progress.reporting(bars=False, say=said.append):
        assert index.add(collection({"new": "rose tulip"})).unchanged == 1
    assert said[1].endswith("nothing was to be changed, what is derived from it could not be worked out anew")
    with pytest.raises(StorageError, match=r"\.lock: is a directory"):
        index.rebuild()
    monkeypatch.setattr(upkeep, "_SMALL", 0)
    monkeypatch.setattr(upkeep, "_SHARE_PENDING", 10.0)
    index.delete(["d00"])  # nothing is due and nothing is left over: no lock is asked for
    assert len(said) == 2
    assert "d00" not in index.doc_ids


def test_ids_twice_and_other_records_are_refused(index: Index) -> None:
    with pytest.raises(InputError, match=r"doc_id 'x' occurs twice"):
        index.add([Document("x", "", "a"), Document("x", "", "b")])
    with pytest.raises(InputError, match=r"str given, a Document was expected"):
        index.add([("x", {})])
    with pytest.raises(InputError, match=r"doc_ids is a string, a list of ids was expected"):
        index.delete("d00")
    with pytest.raises(InputError, match=r"doc_id is 7, a string was expected"):
        index.add([Document(7, "", "a")])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"document 'x': text has a lone surrogate '\\ud800'"):
        index.add([Document("x", "", "half \ud800")])
    assert len(index) == 30


def test_a_database_of_another_index_is_refused(index: Index, tmp_path: Path) -> None:
    with built({"a": "rose"}, tmp_path / "other"):
        pass
    index.close()
    shutil.copy(tmp_path / "other" / "documents.sqlite", index.folder / "documents.sqlite")
    with pytest.raises(InputError, match=r"documents\.sqlite: belongs to another index"):
        Index.open(index.folder)


def test_an_index_without_its_encoder_says_so(index: Index) -> None:
    with (
        Index.open(index.folder) as opened,
        pytest.raises(InputError, match=r"carries its encoder as ONNX alone|holds no"),
    ):
        opened.search("rose")


def test_another_encoder_cannot_add(index: Index) -> None:
    encoder = StubEncoder()
    encoder.fingerprint = "0" * 64
    with pytest.raises(MismatchError):
        Index.open(index.folder, encoder=encoder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_copy_made_in_the_middle_of_changes_says_what_to_do(index: Index, tmp_path: Path) -> None:
    with Index.open(index.folder) as other:  # so that the log stays when the writer closes
        other.store.state("generation")
        index.add([Document("new", "", "something new")])
        copy = tmp_path / "copy"
        shutil.copytree(index.folder, copy, ignore=shutil.ignore_patterns("*-shm"))
    assert (copy / f"{STORE}-wal").stat().st_size
    try:
        for path in [*copy.rglob("*"), copy]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        with pytest.raises(InputError, match=r"its last changes lie in documents.sqlite-wal.*writable"):
            Index.open(copy)
    finally:
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    with Index.open(copy, encoder=StubEncoder()) as opened:
        assert "new" in opened.doc_ids


def test_a_read_only_folder_is_searched_and_not_written(index: Index, tmp_path: Path) -> None:
    before = answers(index)
    index.add([Document("n", "", "rose")])
    index.delete(["n"])
    index.close()
    folder = Path(shutil.copytree(index.folder, tmp_path / "copy"))
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with Index.open(folder, encoder=StubEncoder()) as opened:
            assert answers(opened) == before
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_as_many_as_asked_are_like_a_document(index: Index) -> None:
    """It is the nearest to itself, and does not count."""
    like = [hit.doc_id for hit in index.more_like("d03", k=4)]
    assert len(like) == 4
    assert "d03" not in like


def test_hybrid_goes_as_deep_as_is_asked(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "DEPTH", 5)
    assert len(index.search("rose tulip", k=20, mode="hybrid")) == 20


def test_questions_that_are_vectors_already(index: Index) -> None:
    asked = StubEncoder().encode(QUERIES, kind="query")
    assert index.search_vectors(asked, k=7) == index.search_many(QUERIES, k=7)
    (only,) = index.search_vectors(asked[:1], k=7, where="doc_id = 'd03'")
    assert [hit.doc_id for hit in only] == ["d03"]
    for wrong in (asked[0], asked[:, :8], asked * np.nan):
        with pytest.raises(
            InputError, match=r"vectors have shape .*; finite ones of \(queries, 16\) expected"
        ):
            index.search_vectors(wrong)


def test_metadata_comes_back_and_a_change_of_it_is_a_change(index: Index) -> None:
    document, metadata = (
        Document("m", "", "zeppelin"),
        {"year": 2020, "tags": ["a"], "open": True, "none": None},
    )
    assert index.add([(document, metadata)]) == Change(added=1)
    assert index.add([(document, metadata)]) == Change(unchanged=1)
    (hit,) = index.search("zeppelin", mode="bm25", where="year = 2020")
    assert hit.metadata == metadata
    assert index.add([(document, {"year": 2021})]) == Change(replaced=1)


def test_the_store_reads_back_what_was_put(tmp_path: Path) -> None:
    writer = StoreWriter.create(tmp_path / "s.sqlite", index_id="i")
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    stored = store_module.Stored(
        Document("é\0", "t", "x" * 5000), {"a": "ü"}, np.array([[0, 9], [5, 5002]], np.int32), vectors
    )
    with writer.transaction() as transaction:
        transaction.put([stored])
    writer.close()
    store = DocumentStore(tmp_path / "s.sqlite", dimension=3)
    (found,) = store
    assert (found.document, found.metadata) == (stored.document, stored.metadata)
    np.testing.assert_array_equal(found.vectors, vectors)
    np.testing.assert_array_equal(found.spans, stored.spans)
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("rows", [
    [{"text": "alpha rose"}, {"text": "beta boat"}],
    [{"query": "alpha", "positive": "a rose"}, {"query": "beta", "positive": "a boat"}],
])  # fmt: skip
def test_what_has_no_ids_is_not_added(rows: list[dict[str, str]], index: Index, tmp_path: Path) -> None:
    """Counted from 1 they would take the place of what another file had counted."""
    path = tmp_path / "new.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"new.*its documents have no ids.*--id-column"):
        index.add(read(path))
    assert len(index) == 30
    path.write_text("".join(json.dumps({"id": f"n{n}", **row}) + "\n" for n, row in enumerate(rows)))
    if "text" in rows[0]:
        assert index.add(read(path)).added == 2


def test_labelled_texts_of_a_folder_that_have_no_ids_are_not_added(index: Index, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a rose", "label": "garden"}\n')
    with pytest.raises(InputError, match=r"its documents have no ids.*--id-column"):
        index.add(read(tmp_path))
    (tmp_path / "train.jsonl").write_text('{"id": "n", "text": "a rose", "label": "garden"}\n')
    assert index.add(read(tmp_path)).added == 1
