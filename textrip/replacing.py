"""Writing so that a bad day costs nothing: beside its place, synced, then renamed.

A reader sees the old file or the new one, and so does whoever comes after a crash.
"""

import contextlib
import glob
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textrip.errors import InputError, StorageError, TextripError, reason_of
from textrip.place import named, place_of, require_utf8, standing

# What stands aside while its successor takes its place has a name that nobody else would give.
_ASIDE = ".textrip-old"
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
def storage_errors(target: Path) -> Iterator[None]:
    """Whatever the disk refuses inside is a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        # Inside a folder that is being removed files have names alone.
        named = error.filename if os.sep in str(error.filename) else target
        raise StorageError(f"{named}: {reason_of(error)}") from error
    except Exception as error:
        # safetensors and tokenizers have errors of their own, with Rust's words for the system's.
        refused = _RUST_OS_ERROR.search(str(error))
        if refused is None or isinstance(error, TextripError):
            raise
        raise StorageError(f"{target}: {os.strerror(int(refused[1])).lower()}") from error


def move_into_place(temporary: Path, target: Path) -> None:
    """Sync what was made and rename it; what is at `target` gives way."""
    _sync(temporary)
    _rename(temporary, target)


def refuse_taking_away(
    path: str | Path, *, force: bool, mark: str | None = None, read: Iterable[Any] = ()
) -> None:
    """As `refuse_existing`; nor may `force` replace what textrip did not make, or what it reads.

    Args:
        path: What is to be written.
        force: It may take the place of a file, or of a folder of its kind.
        mark: The JSON file that tells a folder of its kind; None where a file is written.
        read: What is read for it; what is no path is passed over.
    """
    target = named(path)
    if mark is not None or target.suffix == ".parquet":
        require_utf8(place_of(target))
    if mark is None and target.is_dir():
        raise InputError(f"{target}: is a folder, a file was expected")
    if mark is not None and target.exists() and not _is_ours(target, mark):
        raise InputError(
            f"{target} exists and has no {mark} of textrip; --force replaces nothing else: name another place"
        )
    refuse_existing(target, force=force)
    for source in read:
        if isinstance(source, str | Path) and target.exists() and _lies_in(Path(source), target):
            raise InputError(f"{target} would be replaced, and {source} is read; name another place")


def refuse_existing(path: str | Path, *, force: bool) -> None:
    """Raise InputError where `path` could not be written, before any work is spent on it."""
    target = named(path)
    if target.exists() and not force:
        raise InputError(f"{target} exists; name another place or overwrite it with --force")
    parent = next((folder for folder in place_of(target).parents if folder.exists()), None)
    if parent is None or not parent.is_dir():
        raise InputError(f"{target}: {parent} is not a folder")
    longest = f".{target.name}.{'0' * 8}{_ASIDE}"
    if len(os.fsencode(longest)) > _longest_name(parent):
        raise InputError(
            f"{target}: this name is too long, with what textrip adds to it while it writes; name another"
        )
    if not os.access(parent, os.W_OK):
        raise InputError(f"{target}: {parent} is not writable")
    try:  # of another machine's disk, or of what is no disk, the mode does not tell
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        raise InputError(f"{target}: {parent} is not writable ({reason_of(error)})") from error


def _longest_name(folder: Path) -> int:
    """In bytes, where the system tells."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return 255


def _lies_in(path: Path, place: Path) -> bool:
    try:
        return path.exists() and path.resolve().is_relative_to(place.resolve())
    except (OSError, RuntimeError):  # a circle of links, which is no file
        return False


def _is_ours(folder: Path, mark: str) -> bool:
    """Whether a folder is empty, or has a JSON file of ours; one that is damaged may have been."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        found = json.loads((folder / mark).read_bytes())
    except OSError:
        return False
    except (ValueError, RecursionError):
        return True
    return isinstance(found, dict) and str(found.get("kind")).startswith("textrip-")


def remove_half_written(path: str | Path) -> None:
    """Remove what a killed process left of this output; for who knows that no other one writes it."""
    target = named(path)
    for temporary in target.parent.glob(f".{glob.escape(target.name)}.????????.tmp"):
        _remove(temporary)


def restore_replaced(target: Path, *, tidy: bool = False) -> None:
    """Bring back what stood at `target` where a process died between taking it away and its successor.

    Where it died after that, what stood aside is removed by the next one that writes (`tidy`).
    """
    with contextlib.suppress(OSError):  # a folder that cannot be read or written to stays as it is
        asides = sorted(target.parent.glob(f".{glob.escape(target.name)}.????????{_ASIDE}"), key=_changed)
        if asides and not target.exists():
            asides.pop().rename(target)
        for aside in asides if tidy else ():
            _remove(aside)


def _changed(path: Path) -> int:
    return path.stat().st_ctime_ns


def _rename(temporary: Path, target: Path) -> None:
    if temporary.is_dir() and target.exists():
        # A folder cannot replace a folder in one step: the old one steps aside first.
        aside = target.parent / f".{target.name}.{secrets.token_hex(4)}{_ASIDE}"
        with standing():
            target.rename(aside)
            try:
                temporary.rename(target)
            except OSError:
                aside.rename(target)
                raise
            _remove(aside)
    else:
        temporary.replace(target)
    _sync_entry(target.parent)


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
