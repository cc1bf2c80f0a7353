"""What went wrong once in a review of the index, each as it was made to happen."""

import contextlib
import itertools
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.stub import StubEncoder, text_of
from textrip import processes
from textrip.alone import alone
from textrip.data.collection import Collection
from textrip.errors import InputError, StorageError
from textrip.files import write_sealed_json
from textrip.pipeline.cluster import cluster
from textrip.records import Document
from textrip.retrieval import build as build_module
from textrip.retrieval import encoded as encoded_module
from textrip.retrieval import staging as staging_module
from textrip.retrieval.about import restore_about
from textrip.retrieval.answer import Mode
from textrip.retrieval.index import Index
from textrip.retrieval.passages import Cutting
from textrip.retrieval.snapshot import Snapshot
from textrip.retrieval.store_writer import StoreWriter


def collection(numbers: Any) -> Collection:
    return Collection.of("c", [Document(f"d{n:03d}", "", text_of(n)) for n in numbers])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.build(collection(range(30)), StubEncoder(), tmp_path / "index") as made:
        yield made


# Building


def test_a_build_that_dies_in_its_last_step_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(staging_module, "move_into_place", dies)
        with pytest.raises(KeyboardInterrupt):
            Index.build(collection(range(9)), StubEncoder(), tmp_path / "index")
    encoder = StubEncoder()
    with Index.build(collection(range(9)), encoder, tmp_path / "index") as index:
        assert index.check() == []
    assert encoder.texts == 0


@pytest.mark.parametrize("left", ["tables", "nothing", "garbage"])
def test_a_build_that_died_before_its_first_document(left: str, tmp_path: Path) -> None:
    encoder = StubEncoder()
    staging = tmp_path / ".index.building"
    staging.mkdir()
    identity = {
        "kind": "textrip-index", "format": 2, "encoder": encoder.fingerprint, "precision": "float32",
        "cutting": vars(Cutting()),
    }  # fmt: skip
    write_sealed_json(staging / "building.json", identity)
    store = staging / "documents.sqlite"
    if left == "tables":
        StoreWriter.create(store, index_id="x").close()
    else:
        store.write_bytes(b"" if left == "nothing" else b"garbage" * 2000)
    with Index.build(collection(range(9)), encoder, tmp_path / "index") as index:
        assert len(index) == 9
        assert index.check() == []


def test_a_second_builder_is_refused_and_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    encoded = encoded_module.encoded

    def meanwhile(*given: Any, **how: Any) -> Any:
        for _ in range(2):
            with pytest.raises(StorageError, match=r"another process is building this index") as caught:
                Index.build(collection(range(3)), StubEncoder(), tmp_path / "index", force=True)
            refused.append(str(caught.value))
        return encoded(*given, **how)

    monkeypatch.setattr(build_module, "encoded", meanwhile)
    with Index.build(collection(range(9)), StubEncoder(), tmp_path / "index") as index:
        assert len(index) == 9
    assert len(refused) == 2


def test_a_damaged_document_is_mended_by_adding_it_again(index: Index, remarks: list[str]) -> None:
    index.close()
    with contextlib.closing(sqlite3.connect(index.store.path)) as database, database:
        database.execute("UPDATE documents SET text = 'other' WHERE doc_id = 'd007'")
    with Index.open(index.folder, encoder=StubEncoder()) as opened:
        change = opened.add([Document("new", "", "zeppelin")])
        assert change.added == 1  # it is made, whatever else is damaged
        assert any("d007" in said and "the change is made" in said for said in remarks), remarks
        assert opened.search("zeppelin", mode="bm25")[0].doc_id == "new"
        assert opened.add([Document("d007", "", text_of(7))]).replaced == 1
        assert opened.check() == []
        assert opened.store.by_id(["d007"])["d007"].document.text == text_of(7)


def test_what_stands_beside_an_index_is_nobody_elses_to_remove(index: Index) -> None:
    backup = index.folder.with_name(f".{index.folder.name}.20251126.old")
    backup.mkdir()
    index.close()
    Index.open(index.folder, encoder=StubEncoder()).close()
    Index.build(collection(range(9)), StubEncoder(), index.folder, force=True).close()
    assert backup.is_dir()


def test_clusters_are_of_one_state_whoever_writes(index: Index) -> None:
    stop = threading.Event()

    def write() -> None:
        with Index.open(index.folder, encoder=StubEncoder()) as writer:
            while not stop.is_set():
                writer.add([Document(f"new{number}", "", text_of(number)) for number in range(5)])
                writer.delete([f"new{number}" for number in range(5)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(40):
            assert sum(found.size for found in cluster(index, k=3)) in {30, 35}
    finally:
        stop.set()
        thread.join()


def test_a_folder_is_locked_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, link = tmp_path / "real" / "index", tmp_path / "link"
    folder.mkdir(parents=True)
    link.symlink_to(tmp_path / "real")
    with alone(folder) as first, alone(link / "index") as second, alone(link / ".." / "real/index") as third:
        assert (first, second, third) == (True, False, False)
        other = "import sys; from pathlib import Path; from textrip.alone import alone\n"
        other += "with alone(Path(sys.argv[1])) as mine: print(mine)"
        elsewhere = {**os.environ, "TMPDIR": str(tmp_path)}
        said = subprocess.run(
            [sys.executable, "-c", other, str(link / "index")], env=elsewhere, capture_output=True, check=True
        )
        assert said.stdout.strip() == b"False"
    with alone(link / "index") as again:
        assert again


@pytest.mark.parametrize("damage", ["row", "file"])
def test_force_mends_a_damaged_index(damage: str, index: Index, remarks: list[str]) -> None:
    index.close()
    if damage == "row":
        with contextlib.closing(sqlite3.connect(index.store.path)) as database, database:
            database.execute("UPDATE documents SET text = 'other' WHERE doc_id = 'd007'")
    else:
        index.store.path.write_bytes(b"no database" * 1000)
    with Index.build(collection(range(30)), StubEncoder(), index.folder, force=True) as mended:
        assert mended.check() == []
        assert [stored.document.text for stored in mended.store][7] == text_of(7)
    assert damage == "file" or any("its vectors are made again" in remark for remark in remarks)


def test_what_was_encoded_for_other_data_is_used_after_any_number_of_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "_PASSAGES_A_CHUNK", 10)
    real = StubEncoder._encode_window
    counted, limit = [0], [0]

    def dies_at_the_limit(self: StubEncoder, texts: list[str], *rest: Any) -> Any:
        if counted[0] + len(texts) > limit[0]:
            raise KeyboardInterrupt
        counted[0] += len(texts)
        return real(self, texts, *rest)

    monkeypatch.setattr(StubEncoder, "_encode_window", dies_at_the_limit)
    for most, numbers in ((25, range(40)), (35, range(100, 140)), (45, range(100, 140))):
        limit[0] = most
        with pytest.raises(KeyboardInterrupt):
            Index.build(collection(numbers), StubEncoder(), tmp_path / "index")
    limit[0] = 10**6
    before = counted[0]
    # 20 of the first data and 20 of the second were committed; the third data has them all.
    Index.build(collection([*range(20), *range(100, 120), 999]), StubEncoder(), tmp_path / "index").close()
    assert counted[0] - before == 1
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_force_takes_away_nothing_but_an_index(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"mine exists and has no index.json of textrip; --force replaces nothing else"
    ):
        Index.build(collection(range(3)), StubEncoder(), tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "years of work"


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that a process stands in")
@pytest.mark.parametrize("named", [".", "../index", "../index/."])
def test_the_index_that_the_process_stands_in_is_replaced(
    named: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.close()
    monkeypatch.chdir(index.folder)
    new = Collection.of("n", [Document("n", "", "rose")])
    with Index.build(new, StubEncoder(), named, force=True) as built:
        assert [hit.doc_id for hit in built.search("rose")] == ["n"]
    assert Path.cwd() == index.folder
    assert [path.name for path in index.folder.parent.iterdir()] == ["index"]


def test_what_goes_with_an_index_that_is_replaced_is_said(index: Index, remarks: list[str]) -> None:
    index.add([Document("new", "", "zeppelin")])
    index.close()
    Index.build(collection(range(30)), StubEncoder(), index.folder, force=True).close()
    said = [remark for remark in remarks if "gone with it" in remark]
    what = "the index that is replaced holds 1 document that the data lacks (new): gone with it"
    way = f"textrip index {index.folder} -o OTHER makes one of all that it holds"
    assert said == [f"{index.folder}: {what} ({way})"]


@pytest.mark.parametrize("change", [
    lambda held: held.add([Document("new", "", "zeppelin")]),
    lambda held: held.delete(["d003"]),
], ids=["add", "delete"])  # fmt: skip
def test_what_is_changed_while_a_successor_is_built_is_not_lost(
    change: Any, index: Index, remarks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor was built of other data, and took its place without a word."""
    data = collection(range(40))
    export = build_module._carry_onnx

    def meanwhile(*given: Any, **how: Any) -> Any:
        if not done:
            done.append(change(index))
        return export(*given, **how)

    done: list[Any] = []
    monkeypatch.setattr(build_module, "_carry_onnx", meanwhile)
    with pytest.raises(StorageError, match=r"was changed while its successor was built, and stays as it is;"):
        Index.build(data, StubEncoder(), index.folder, force=True)
    with Index.open(index.folder, encoder=StubEncoder()) as opened:
        assert ("new" in opened.doc_ids) == bool(done[0].added)
        assert ("d003" in opened.doc_ids) != bool(done[0].removed)
        opened.note(seen="by a person")  # which changes no document
    with Index.build(data, StubEncoder(), index.folder, force=True) as built:
        assert built.doc_ids == data.doc_ids
    assert any(remark.startswith("going on after 40 of 40 documents") for remark in remarks)


def test_what_came_while_an_index_was_built_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = build_module._carry_onnx

    def meanwhile(*given: Any, **how: Any) -> Any:
        (tmp_path / "index").mkdir()
        return export(*given, **how)

    monkeypatch.setattr(build_module, "_carry_onnx", meanwhile)
    with pytest.raises(InputError, match=r"index exists; name another place or overwrite it with --force"):
        Index.build(collection(range(3)), StubEncoder(), tmp_path / "index")
    assert not list((tmp_path / "index").iterdir())


def test_a_link_that_gives_way_takes_nothing_with_it(index: Index, remarks: list[str]) -> None:
    index.add([Document("new", "", "zeppelin")])
    link = index.folder.with_name("link")
    link.symlink_to(index.folder)
    Index.build(collection(range(30)), StubEncoder(), link, force=True).close()
    told = [remark for remark in remarks if "gone with it" in remark or "gives way" in remark]
    assert told == [f"{link}: this link gives way, and the index that it leads to stays as it is"]
    assert "new" in index.doc_ids
    assert not link.is_symlink()


def test_an_index_between_two_renames_is_brought_back(index: Index) -> None:
    expected = index.search("rose")
    index.close()
    index.folder.rename(index.folder.with_name(".index.0123abcd.textrip-old"))
    with Index.open(index.folder, encoder=StubEncoder()) as opened:
        assert opened.search("rose") == expected


# A folder that is replaced while it is open


class Other(StubEncoder):
    fingerprint = "f" * 64


def test_an_index_that_was_built_anew_is_neither_searched_nor_written(index: Index) -> None:
    index.search("rose")
    Index.build(collection(range(50, 80)), Other(), index.folder, force=True).close()
    for act in (
        lambda: index.search("rose"),
        lambda: index.search("rose", mode="bm25"),
        lambda: index.add([Document("new", "", "zeppelin")]),
        lambda: index.delete(["d050"]),
        index.rebuild,
    ):
        with pytest.raises(InputError, match=r"open it again"):
            act()
    caught: list[BaseException] = []

    def in_a_new_thread() -> None:
        try:
            index.search("rose", mode="bm25")
        except InputError as error:
            caught.append(error)

    thread = threading.Thread(target=in_a_new_thread)
    thread.start()
    thread.join()
    assert len(caught) == 1
    with Index.open(index.folder, encoder=Other()) as opened:
        assert len(opened) == 30
        assert opened.check() == []


def test_a_write_begun_before_the_index_was_built_anew_is_refused(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer has the old file open when the new one takes its place."""
    from textrip.retrieval import change

    encoded = encoded_module.encoded

    def meanwhile(*given: Any, **how: Any) -> Any:
        Index.build(collection(range(5)), StubEncoder(), index.folder, force=True).close()
        return encoded(*given, **how)

    monkeypatch.setattr(change, "encoded", meanwhile)
    with pytest.raises(InputError, match=r"the index was built anew meanwhile; nothing was written"):
        index.add([Document("new", "", "zeppelin")])
    with Index.open(index.folder, encoder=StubEncoder()) as opened:
        assert len(opened) == 5


def test_a_reader_without_the_right_to_write_sees_what_the_owner_writes(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file can be made beside the database, it is one that nobody writes to, until it changes."""
    index.close()
    connect = sqlite3.connect

    def denied(name: Any, *given: Any, **how: Any) -> Any:
        if str(name).endswith("?mode=ro"):
            raise sqlite3.OperationalError("unable to open database file")
        return connect(name, *given, **how)

    monkeypatch.setattr(sqlite3, "connect", denied)
    for left in index.folder.glob("documents.sqlite-*"):
        left.unlink()
    with Index.open(index.folder, encoder=StubEncoder()) as reader:
        assert len(reader.search("rose", k=50)) == 30
        writer = StoreWriter.open(index.store.path)
        with contextlib.closing(writer), writer.transaction() as transaction:
            transaction.delete([f"d{n:03d}" for n in range(10)])
        assert len(reader.search("rose", k=50)) == 20
        assert len(reader) == 20


# Several threads, and files that go away


def test_a_thread_that_began_earlier_sees_its_own_state(index: Index) -> None:
    before = index.search("rose", k=40)
    with index.store.snapshot():
        assert index.store.generation == 1
        with Index.open(index.folder, encoder=StubEncoder()) as writer:
            writer.add([Document("new", "", "rose rose rose")])
        newer: list[int] = []
        thread = threading.Thread(target=lambda: newer.append(len(index.search("rose", k=40))))
        thread.start()
        thread.join()
        assert newer == [31]
        with pytest.raises(InputError, match=r"search again"):  # its state is no longer derived
            index.search("rose", k=40)
    assert len(index.search("rose", k=40)) == 31
    assert len(before) == 30


def test_a_graph_that_was_taken_away_before_it_was_read(tmp_path: Path) -> None:
    with (
        Index.build(collection(range(60)), StubEncoder(), tmp_path / "index", nearest="hnsw") as writer,
        Index.open(tmp_path / "index", encoder=StubEncoder()) as reader,
    ):
        assert len(reader.doc_ids) == 60  # everything but the graph is open
        assert writer.rebuild()
        assert reader.search("rose") == writer.search("rose")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
def test_a_thread_that_ends_leaves_no_file_open(index: Index) -> None:
    def search() -> None:
        assert index.search("rose", mode="bm25")

    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    search()
    before = opened()
    for _ in range(20):
        thread = threading.Thread(target=search)
        thread.start()
        thread.join()
    assert opened() <= before + 3


def test_check_beside_a_writer(index: Index) -> None:
    done = threading.Event()

    def write() -> None:
        with Index.open(index.folder, encoder=StubEncoder()) as writer:
            number = 0
            while not done.is_set():
                number += 1
                writer.add([Document(f"n{number}", "", text_of(number))])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(15):
            assert index.store.check() == []
    finally:
        done.set()
        thread.join()


# Answers


def test_a_word_that_half_of_the_documents_have_finds_them(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", "", "rose" if n % 2 else "boat") for n in range(10)]
    with Index.build(Collection.of("c", documents), StubEncoder(), tmp_path / "half") as index:
        assert [hit.doc_id for hit in index.search("rose", mode="bm25")] == ["d1", "d3", "d5", "d7", "d9"]
    with Index.build(Collection.of("c", documents[:1]), StubEncoder(), tmp_path / "one") as index:
        assert [hit.doc_id for hit in index.search("boat", mode="bm25")] == ["d0"]
        assert index.search("rose", mode="bm25") == []


def test_recall_does_not_count_the_document_itself(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds nothing but the document itself, and five wrong ones, has recall 0."""

    def dense(_: Snapshot, asked: Any, k: int, *, exact: bool = False, **__: Any) -> Any:
        assert k == 6
        own = [int(row) for row in np.argmax(asked @ index.vectors.T, axis=1)]
        others = [[row for row in range(30) if row != mine] for mine in own]
        found = [
            ([mine] + (rest[:5] if exact else rest[5:10])) for mine, rest in zip(own, others, strict=True)
        ]
        return [(np.array(rows), np.ones(6), np.zeros(6)) for rows in found]

    assert index.recall(k=5) == 1.0
    monkeypatch.setattr(Snapshot, "dense", dense)
    assert index.recall(k=5) == 0.0


def test_few_allowed_documents_are_ranked_as_among_all(tmp_path: Path) -> None:
    for cutting in (Cutting(), Cutting(tokens=8, overlap=2)):
        folder = tmp_path / str(cutting.tokens)
        with Index.build(collection(range(60)), StubEncoder(), folder, cutting=cutting) as index:
            every = {hit.doc_id: hit.score for hit in index.search("rose tulip", k=60)}
            few = index.search("rose tulip", k=60, where="doc_id < 'd010'")
            assert [hit.doc_id for hit in few] == [doc_id for doc_id in every if doc_id < "d010"]
            assert [hit.score for hit in few] == [every[hit.doc_id] for hit in few]


# Odd input


def test_ids_that_are_no_text(index: Index) -> None:
    with pytest.raises(InputError, match=r"has no document '\\udcff'"):
        index.more_like("\udcff")
    assert index.delete(["\udcff"]).missing == ("\udcff",)


def test_a_sealed_index_json_that_lacks_a_field(index: Index, tmp_path: Path) -> None:
    index.close()
    write_sealed_json(index.folder / "index.json", {"kind": "textrip-index", "format": 2})
    with pytest.raises(InputError, match=r"index\.json: has no 'index_id', .*: textrip index .* --rebuild"):
        Index.open(index.folder)
    assert restore_about(index.folder)
    Index.open(index.folder).close()


def test_a_full_disk_while_a_large_corpus_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal
    import tempfile

    from textrip.data import spill
    from textrip.data.formats import read

    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setattr(spill, "MOST_BYTES", 1000)
    monkeypatch.setattr(spill, "ROWS_A_BATCH", 50)
    path = tmp_path / "c.jsonl"
    path.write_text(
        "".join(f'{{"_id": "{n}", "text": "{"word " * 100}"}}\n' for n in range(2000)), encoding="utf-8"
    )
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"t: .*(file too large|file size)"):
            read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list((tmp_path / "t").iterdir()) == []


def test_threads_by_level(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:

    for asked, wanted in (("2,1", 2), ("", 0), ("4", 4), ("many", 0)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert processes.threads_wanted() == wanted


def test_a_copy_of_an_index_is_an_index_of_its_own(index: Index, tmp_path: Path) -> None:
    index.close()
    copy = Path(shutil.copytree(index.folder, tmp_path / "copy"))
    with Index.open(copy, encoder=StubEncoder()) as opened:
        opened.delete(["d000"])
        assert len(opened) == 29
    with Index.open(index.folder, encoder=StubEncoder()) as opened:
        assert len(opened) == 30


@contextlib.contextmanager
def open_files(more: int) -> Iterator[None]:
    """Inside, the process may open so many files more."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    now = sorted(int(path.name) for path in Path("/proc/self/fd").iterdir() if path.exists())
    free = (number for number in itertools.count() if number not in now)
    lowest = next(itertools.islice(free, more, None))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux tells how many files are open")
@pytest.mark.parametrize("mode", ["dense", "bm25"])
def test_a_library_that_may_open_no_file_is_no_damage(mode: Mode, tmp_path: Path) -> None:
    """FAISS and SQLite say of it what they say of a file that is damaged or not theirs to read."""
    documents = [Document(f"d{number:03d}", "", text_of(number)) for number in range(30)]
    said: list[str] = []

    def search() -> None:
        try:
            said.append(opened.search(text_of(3), mode=mode)[0].doc_id)
        except StorageError as error:
            said.append(str(error).partition(": ")[2].partition(";")[0])

    folder = tmp_path / "index"
    with Index.build(Collection.of("c", documents), StubEncoder(), folder, nearest="hnsw") as opened:
        opened.search(text_of(3), mode="bm25")
        for more in range(8):
            with open_files(more):
                if mode == "dense":  # FAISS' file is all that is not open yet
                    search()
                else:
                    thread = threading.Thread(target=search)  # which has no connection to SQLite's yet
                    thread.start()
                    thread.join()
        (best,) = opened.search(text_of(3), mode=mode, k=1)
    told = said.count("too many open files in this process")
    assert said == ["too many open files in this process"] * told + [best.doc_id] * (8 - told)
    assert 0 < told < 8


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux tells how many files are open")
def test_too_many_open_files_are_no_damage(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    index.close()
    seen = set()
    with Index.open(index.folder, encoder=StubEncoder()) as opened:  # what is read once in a process is
        wanted = opened.search(text_of(3), mode="bm25")
    for more in range(30):
        try:
            with open_files(more), Index.open(index.folder, encoder=StubEncoder()) as opened:
                assert opened.search(text_of(3), mode="bm25") == wanted
            seen.add("found")
        except StorageError as error:
            assert "too many open files in this process; close what" in str(error)
            seen.add("told")
    assert seen == {"found", "told"}
    assert "nothing derived" not in capsys.readouterr().err
