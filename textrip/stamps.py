"""Digests that need not be worked out twice: a file that nothing has written to since is what it was.

A digest of gigabytes takes seconds, and an index is opened in milliseconds. So where a digest held, the
file's size, inode and times of change are noted in a file beside (stamps.json), as git does in its index.
A file that was written, replaced, copied or unpacked has another time of change, which no program can set,
and is digested again. What no note of the file system tells, a disk that loses a bit by itself, is found
by a full check alone.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from textrip.errors import InputError
from textrip.files import sha256

NAME = "stamps.json"
# A file that changes twice within a tick of the file system's clock has one time: such a stamp is not kept.
_TICK_NS = 50_000_000
REMEDY = "the index is damaged, build it again"


def require_digests(
    folder: Path, expected: Mapping[str, str], *, remedy: str = REMEDY, fully: bool = False
) -> None:
    """Raise InputError where a file is missing or is not the one that was digested.

    Args:
        folder: Holds the files, and the stamps.
        expected: SHA-256 by path below the folder.
        remedy: What the message ends with.
        fully: Trust no stamp, and leave none.
    """
    known = {} if fully else _read(folder)
    news: dict[str, list[int | str]] = {}
    for name, digest in expected.items():
        path = folder / name
        # Whoever wrote the names may have meant another file than one of the folder, or a pipe without end.
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{folder}: names {name!r}, which is no file of it; {remedy}")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no ordinary file; {remedy}")
        try:
            now = _stamp(path)
            if known.get(name) == [*now, digest]:
                continue
            same = sha256(path) == digest
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise InputError(f"{path}: is missing; {remedy}") from None
        if not same:
            raise InputError(f"{path}: does not match its digest; {remedy}")
        if _settled(now):
            news[name] = [*now, digest]
    if news and not fully:
        _write(folder, {**_read(folder), **news})


def digested(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 by name of files that were just written; from now on their stamps vouch for them.

    Each is read once. One that is written to meanwhile has another time of change than its stamp.
    """
    names = list(names)
    stamp(folder, names)
    stamps = {name: _stamp(folder / name) for name in names}
    found = {name: sha256(folder / name) for name in names}
    _write(folder, {**_read(folder), **{name: [*stamps[name], found[name]] for name in names}})
    return found


def stamp(folder: Path, names: Iterable[str]) -> None:
    """Wait out the tick of the file system's clock, so that files just written can be stamped."""
    newest = max((_stamp(folder / name)[2] for name in names), default=0)
    wait = newest + _TICK_NS - time.time_ns()
    if 0 < wait <= _TICK_NS:
        time.sleep(wait / 1e9)


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def _settled(found: list[int]) -> bool:
    return time.time_ns() - found[2] - _TICK_NS > 0


def _read(folder: Path) -> dict[str, list[int | str]]:
    try:
        found = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(folder: Path, stamps: dict[str, list[int | str]]) -> None:
    # One name for all, so that what a process that died left is overwritten. Where two write at once, what
    # comes out may be no JSON, and is read as no stamps at all.
    temporary = folder / f".{NAME}.tmp"
    # A folder that cannot be written to is read without: its files are digested every time.
    with contextlib.suppress(OSError):
        try:
            temporary.write_text(json.dumps(stamps), encoding="utf-8")
            os.replace(temporary, folder / NAME)  # noqa: PTH105  # may be a name that is there
        finally:
            temporary.unlink(missing_ok=True)
