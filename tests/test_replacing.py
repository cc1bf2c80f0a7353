"""What the disk refuses is told in one line, in whatever words a library has for it."""

import os
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from textrip.errors import InputError, StorageError
from textrip.replacing import refuse_existing, refuse_taking_away, replacing, storage_errors


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
