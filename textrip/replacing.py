"""Writing so that a bad day costs nothing: beside its place, synced, then renamed.

A reader sees the old file or the new one, and so does whoever comes after a crash.
"""

import contextlib
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from textrip.errors import InputError, StorageError, TextripError, reason_of
from textrip.exchange import exchanged
from textrip.place import named, standing
from textrip.progress import say
from textrip.writable import ASIDE, GONE, refuse_existing

# So often a folder steps aside that others bring back.
_ATTEMPTS = 8
# What was put where nothing was, inside of `taken_back`.
_placed: ContextVar[list[Path] | None] = ContextVar("textrip_placed", default=None)
_RUST_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def replacing(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and rename it, else remove it.

    The block may make a file or a folder there. An existing `path` is refused without `force`, and
    stays as it is until the new one is complete.

    Raises:
        InputError: `path` exists, by now at the latest, and `force` is not set; its parent is not a folder.
        StorageError: the disk refused.
    """
    target = named(path)
    refuse_existing(target, force=force)
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    try:
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if target.exists() and not force:
                raise InputError(
                    f"{target} was written by somebody else meanwhile, and stays; name another place or "
                    "overwrite it with --force"
                )
            move_into_place(temporary, target)
    finally:
        _remove(temporary)


@contextmanager
def taken_back() -> Iterator[None]:
    """Remove, where the block fails, what it put where nothing was: of several outputs all or none.

    A stop between a file's taking its place and the end of its writing counts, too: who calls cannot tell.
    """
    token = _placed.set([])
    try:
        yield
    except BaseException:
        for path in _placed.get() or ():
            _remove(path)
        raise
    finally:
        _placed.reset(token)


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Whatever the disk refuses inside is a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        # Inside a folder that is being removed files have names alone.
        found = error.filename if os.sep in str(error.filename) else target
        # What was to be renamed is gone by the time this is read: its place is named.
        raise StorageError(f"{error.filename2 or found}: {reason_of(error)}") from error
    except Exception as error:
        # safetensors and tokenizers have errors of their own, with Rust's words for the system's.
        refused = _RUST_OS_ERROR.search(str(error))
        if refused is None or isinstance(error, TextripError):
            raise
        raise StorageError(f"{target}: {os.strerror(int(refused[1])).lower()}") from error


def move_into_place(temporary: Path, target: Path) -> None:
    """Sync what was made and rename it; what is at `target` gives way."""
    _sync(temporary)
    placed = _placed.get()
    if placed is not None and not os.path.lexists(target):
        placed.append(target)
    _rename(temporary, target)


def remove_half_written(path: str | Path) -> None:
    """Remove what a killed process left of this output, and of what it had taken the place of.

    For who knows that no other one writes it.
    """
    target = named(path)
    with contextlib.suppress(OSError):  # a folder that cannot be read
        for left in [*_beside(target, ".tmp"), *_beside(target, GONE)]:
            _remove(left)


def restore_replaced(target: Path, *, tidy: bool = False) -> None:
    """Bring back what stood at `target` where a process died between taking it away and its successor.

    Where it died after that, what stood aside is removed by the next one that writes (`tidy`).
    """
    with contextlib.suppress(OSError):  # a folder that cannot be read or written to stays as it is
        asides = sorted(_beside(target, ASIDE), key=_changed)
        if asides and not target.exists():
            asides.pop().rename(target)
        for aside in [*asides, *_beside(target, GONE)] if tidy else ():
            _remove(aside)


def _beside(target: Path, suffix: str) -> list[Path]:
    return list(target.parent.glob(f".{glob.escape(target.name)}.????????{suffix}"))


def _changed(path: Path) -> int:
    return path.stat().st_ctime_ns


def _rename(temporary: Path, target: Path) -> None:
    if temporary.is_dir() and target.exists():
        gone = target.parent / f".{target.name}.{secrets.token_hex(4)}{GONE}"
        with standing():
            if exchanged(temporary, target):
                temporary.rename(gone)
            else:
                _step_aside(temporary, target, gone)
            _remove(gone)
        if os.path.lexists(gone):  # somebody else's, or without the right to remove what it holds
            say(f"{target}: what stood there could not be removed, and lies in {gone.name} beside it")
    else:
        temporary.replace(target)
    _sync_entry(target.parent)


def _step_aside(temporary: Path, target: Path, gone: Path) -> None:
    """Replace a folder in two steps, where one does not do it: the old one steps aside first.

    Who opens it between them brings the old one back (`restore_replaced`): then it steps aside again.
    """
    for attempt in range(_ATTEMPTS):
        aside = target.parent / f".{target.name}.{secrets.token_hex(4)}{ASIDE}"
        target.rename(aside)
        try:
            temporary.rename(target)
        except OSError:
            with contextlib.suppress(FileNotFoundError):  # it was brought back
                aside.rename(target)
            if not target.exists() or attempt == _ATTEMPTS - 1:
                raise
        else:
            aside.rename(gone)  # so that nobody brings back what was replaced
            return


def _sync(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
        _sync_entry(path)
    else:
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


def _sync_entry(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
