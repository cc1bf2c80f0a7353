"""Places that cannot be written to, told before any work is spent on what would be written there."""

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textrip.errors import InputError, reason_of
from textrip.place import named, place_of, require_utf8

# What stands aside while its successor takes its place, and what its successor has taken it from: names that
# nobody else would give. The first is brought back where a process died in between.
ASIDE = ".textrip-old"
GONE = ".textrip-gone"


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
    if mark is not None:
        _refuse_unmovable(target)
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
    longest = f".{target.name}.{'0' * 8}{GONE}"
    if len(os.fsencode(longest)) > _longest_name(parent):
        raise InputError(
            f"{target}: this name is too long, with what textrip adds to it while it writes; name another"
        )
    if not os.access(parent, os.W_OK):
        raise InputError(f"{target}: {parent} is not writable")
    _refuse_sticky(target, parent)
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


def _refuse_unmovable(folder: Path) -> None:
    """Raise InputError where no other folder could take the place of one, however it may be written to."""
    if folder.is_symlink() and not folder.exists():
        raise InputError(
            f"{folder}: is a link to {folder.readlink()}, which is not there; name that place itself, or "
            "remove the link"
        )
    if folder.is_dir() and _is_mounted(folder):
        raise InputError(f"{folder}: something is mounted there, which stays; name a folder in it")


def _is_mounted(folder: Path) -> bool:
    if folder.is_symlink():
        return False
    place = place_of(folder)
    try:  # a part of the same disk may be mounted, as containers do it, and looks like any folder
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return os.path.ismount(place)
    points = (line.split(b" ")[4] for line in lines if line.count(b" ") > 4)
    return os.fsencode(place) in {re.sub(rb"\\([0-7]{3})", _octal, point) for point in points}


def _octal(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)])


def _refuse_sticky(target: Path, parent: Path) -> None:
    """Raise InputError in a folder like /tmp, where nobody replaces what is another user's."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0 or not os.path.lexists(target):
        return
    folder = parent.stat()
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in {folder.st_uid, target.lstat().st_uid}:
        raise InputError(
            f"{target}: belongs to another user, and {parent} lets none but its owner replace it (sticky); "
            "name another place"
        )
