"""A file whose digest held is not read again; one that was touched in any way is."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from textrip import stamps
from textrip.errors import InputError
from textrip.files import sha256


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that were digested."""
    found: list[str] = []

    def counting(path: Path) -> str:
        found.append(path.name)
        return sha256(path)

    monkeypatch.setattr(stamps, "sha256", counting)
    yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    for name in ("a", "b"):
        (place / name).write_bytes(name.encode() * 1000)
    stamps.stamp(place, ["a", "b"])
    return place


def expected(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in ("a", "b")}


def test_what_held_is_not_read_again(folder: Path, read: list[str]) -> None:
    digests = expected(folder)
    stamps.require_digests(folder, digests)
    assert read == ["a", "b"]
    stamps.require_digests(folder, digests)
    assert read == ["a", "b"]
    stamps.require_digests(folder, digests, fully=True)
    assert read == ["a", "b", "a", "b"]
    # Another digest than the one that held is asked of the file itself.
    with pytest.raises(InputError, match=r"a: does not match its digest; mend it"):
        stamps.require_digests(folder, {"a": "0" * 64}, remedy="mend it")


def test_a_byte_is_noticed_though_size_and_time_are_put_back(folder: Path, read: list[str]) -> None:
    digests, before = expected(folder), (folder / "b").stat()
    stamps.require_digests(folder, digests)
    content = (folder / "b").read_bytes()
    with (folder / "b").open("r+b") as stream:
        stream.seek(500)
        stream.write(b"x")
    os.utime(folder / "b", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "b").stat().st_mtime_ns == before.st_mtime_ns
    assert len(content) == (folder / "b").stat().st_size
    with pytest.raises(InputError, match=r"b: does not match its digest"):
        stamps.require_digests(folder, digests)


def test_a_copy_is_read_once(folder: Path, tmp_path: Path, read: list[str]) -> None:
    digests = expected(folder)
    stamps.require_digests(folder, digests)
    shutil.copytree(folder, tmp_path / "copy")
    del read[:]
    stamps.stamp(tmp_path / "copy", ["a", "b"])
    for _ in range(2):
        stamps.require_digests(tmp_path / "copy", digests)
    assert read == ["a", "b"]


def test_a_file_of_this_moment_is_not_stamped(
    folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "_TICK_NS", 60 * 10**9)  # a moment that a busy machine does not outlast
    (folder / "a").write_bytes(b"now")
    digests = {"a": sha256(folder / "a")}
    for _ in range(2):
        stamps.require_digests(folder, digests)
    assert read == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}', b"\xff"])
def test_damaged_stamps_vouch_for_nothing(content: bytes, folder: Path, read: list[str]) -> None:
    digests = expected(folder)
    (folder / stamps.NAME).write_bytes(content)
    stamps.require_digests(folder, digests)
    assert read == ["a", "b"]


def test_a_missing_file_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match=r"c: is missing; the index is damaged, build it again"):
        stamps.require_digests(folder, {"c": "0"})


@pytest.mark.parametrize("name", ["../outside", "/dev/zero"])
def test_a_name_that_leaves_the_folder_is_not_followed(name: str, folder: Path, read: list[str]) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    with pytest.raises(InputError, match=r"names .*, which is no file of it"):
        stamps.require_digests(folder, {name: "0" * 64})
    assert read == []


def test_a_pipe_is_not_read(folder: Path, read: list[str]) -> None:
    os.mkfifo(folder / "c")
    with pytest.raises(InputError, match="c: is no ordinary file"):
        stamps.require_digests(folder, {"c": "0" * 64})
    assert read == []
