"""What the disk refuses is told in one line, in whatever words a library has for it."""

import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from textrip.errors import InputError, StorageError
from textrip.replacing import (
    remove_half_written,
    replacing,
    restore_replaced,
    storage_errors,
    taken_back,
)
from textrip.writable import refuse_existing, refuse_taking_away


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_the_words_of_rust(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({f"word{number}": number for number in range(5000)}, "word0"))
    (tmp_path / "tokenizer.json").symlink_to("/dev/full")
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert str(caught.value) == f"{tmp_path}: no space left on device"


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="odd"), storage_errors(tmp_path):
        raise ValueError("odd")
    with pytest.raises(InputError, match=r"\(os error 28\)"), storage_errors(tmp_path):
        raise InputError("said already (os error 28)")


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of errors are the system's")
def test_a_file_inside_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        (tmp_path / "nowhere" / "file").write_text("x", encoding="utf-8")
    assert str(caught.value) == f"{tmp_path}/nowhere/file: no such file or directory"


def test_what_is_no_file_lies_in_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train - -o .` reads nothing of the folder that it replaces."""
    (tmp_path / "manifest.json").write_text('{"kind": "textrip-model"}')
    (tmp_path / "data.jsonl").write_text("{}")
    monkeypatch.chdir(tmp_path)
    refuse_taking_away(".", force=True, mark="manifest.json", read=["-", "stdlib", "hub:a/b", None])
    with pytest.raises(InputError, match=r"would be replaced, and data\.jsonl is read"):
        refuse_taking_away(".", force=True, mark="manifest.json", read=["data.jsonl"])


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder that only says that it can be written to")
def test_a_place_that_only_says_that_it_is_writable_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a disk of another machine does to root: its mode allows what it refuses."""
    monkeypatch.setattr(os, "access", lambda *_: True)
    with pytest.raises(InputError, match=r"/proc/model: /proc is not writable \(no such file or directory\)"):
        refuse_existing(Path("/proc/model"), force=False)


@pytest.mark.parametrize("folder", [False, True])
def test_what_somebody_else_wrote_meanwhile_stays(folder: bool, tmp_path: Path) -> None:
    """Two commands with one output: both found the place empty, and the second to end may not replace it."""

    def write(path: Path, words: str) -> None:
        if folder:
            path.mkdir()
        (path / "file" if folder else path).write_text(words)

    target = tmp_path / "out"
    refused = pytest.raises(InputError, match="was written by somebody else meanwhile, and stays")
    with refused, replacing(target) as later:
        write(later, "later")
        with replacing(target) as first:
            write(first, "first")
    assert (target / "file" if folder else target).read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with replacing(target, force=True) as later:
        write(later, "later")
    assert (target / "file" if folder else target).read_text() == "later"


def put(target: Path, words: str) -> None:
    """Write a folder with a file that says something."""
    with replacing(target, force=True) as new:
        new.mkdir()
        (new / "file").write_text(words)


@pytest.fixture
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system lets two folders change places in one step."""
    if not request.param:
        monkeypatch.setattr("textrip.replacing.exchanged", lambda *_: False)
    return bool(request.param)


BOTH = pytest.mark.parametrize(
    "at_once",
    [
        pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="in two steps here")),
        False,
    ],
    indirect=True,
)


@BOTH
def test_others_may_look_while_a_folder_is_replaced(at_once: bool, tmp_path: Path) -> None:
    """Who opened an index between two renames brought the old one back, and the writer failed."""
    target, done, missing = tmp_path / "out", threading.Event(), []
    put(target, "first")

    def look() -> None:
        while not done.is_set():
            restore_replaced(target)
            try:
                (target / "file").read_text()
            except FileNotFoundError:
                missing.append(True)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(150):
            put(target, str(number))
            assert (target / "file").read_text() == str(number)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not (at_once and missing)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@BOTH
def test_what_cannot_be_removed_is_told_and_does_not_come_back(
    at_once: bool, tmp_path: Path, remarks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that another user made is replaced, and its files stay: they stood there again one day."""
    target = tmp_path / "out"
    put(target, "old")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *_args, **_how: None)
        put(target, "new")
    (left,) = (path for path in tmp_path.iterdir() if path != target)
    assert remarks == [f"{target}: what stood there could not be removed, and lies in {left.name} beside it"]
    assert (left / "file").read_text() == "old"
    shutil.rmtree(target)
    restore_replaced(target)
    assert not target.exists()
    restore_replaced(target, tidy=True)
    assert list(tmp_path.iterdir()) == []


def test_a_rename_that_is_refused_names_the_place_and_not_what_was_to_stand_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(StorageError) as caught, replacing(target) as new:
        new.mkdir()
        target.symlink_to("nowhere")
    assert str(caught.value) == f"{target}: not a directory"


def test_a_link_that_leads_nowhere_is_told_before_any_work(tmp_path: Path) -> None:
    """A folder cannot be renamed to it, and that was told at the end of the training."""
    (tmp_path / "out").symlink_to("big/out")
    with pytest.raises(InputError, match=r"out: is a link to big/out, which is not there; name that place"):
        refuse_taking_away(tmp_path / "out", force=False, mark="manifest.json")


@pytest.mark.skipif(not Path("/proc/self/mountinfo").is_file(), reason="nothing says what is mounted")
def test_a_place_where_something_is_mounted_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        InputError, match=r"^/proc: something is mounted there, which stays; name a folder in"
    ):
        refuse_taking_away("/proc", force=True, mark="manifest.json")
    refuse_taking_away(tmp_path, force=True, mark="manifest.json")  # it is empty
    place = str(tmp_path / "a folder").replace(" ", r"\040")
    (tmp_path / "a folder").mkdir()
    monkeypatch.setattr(Path, "read_bytes", lambda _: f"36 35 98:0 / {place} rw - ext4 /dev/a rw\n".encode())
    with pytest.raises(InputError, match="a folder: something is mounted there"):
        refuse_taking_away(tmp_path / "a folder", force=True, mark="manifest.json")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners here")
def test_what_another_user_has_in_a_sticky_folder_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "t.parquet").write_text("")
    refuse_existing(tmp_path / "t.parquet", force=True)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    refuse_existing(tmp_path / "mine.parquet", force=True)
    with pytest.raises(
        InputError, match=r"t\.parquet: belongs to another user, and .* lets none but its owner"
    ):
        refuse_existing(tmp_path / "t.parquet", force=True)


@pytest.mark.parametrize("stops", ["textrip.replacing._sync_entry", "textrip.replacing._sync"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_stop_between_a_files_place_and_the_end_of_its_writing_takes_all_back(
    stops: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first or the second of two files; what was replaced, and what others wrote, stays."""
    calls = []

    def stop(path: Path) -> None:
        calls.append(path)
        if len(calls) == at:
            raise KeyboardInterrupt

    (tmp_path / "old").write_text("old")
    (tmp_path / "theirs").write_text("theirs")
    monkeypatch.setattr(stops, stop)
    with pytest.raises(KeyboardInterrupt), taken_back():
        for name in ("one", "old", "two"):
            with replacing(tmp_path / name, force=True) as temporary:
                temporary.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "theirs"]


def test_what_stood_there_before_a_kill_goes_with_what_is_half_written(tmp_path: Path) -> None:
    """A model's folder that its successor had taken the place of lay there for good, under a hidden name."""
    target = tmp_path / "model"
    for left in (
        ".model.0123abcd.textrip-gone",
        ".model.0123abcd.tmp",
        "model",
        ".model.notes",
        ".other.0123abcd.tmp",
    ):
        (tmp_path / left).mkdir()
        (tmp_path / left / "weights").touch()
    remove_half_written(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".model.notes",
        ".other.0123abcd.tmp",
        "model",
    ]
