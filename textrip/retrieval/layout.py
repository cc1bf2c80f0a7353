"""The files of an index, their format, and that they are its own."""

import contextlib
import os
import shlex
from pathlib import Path

from textrip.errors import InputError

KIND = "textrip-index"
FORMAT = 2
STORE = "documents.sqlite"
# What is in write-ahead mode has none. One of a transaction over several databases names a file that SQLite
# removes when it opens the first of them.
JOURNAL = f"{STORE}-journal"


def rebuilding(folder: Path) -> str:
    """The command that works out anew what is derived, to be copied into a shell."""
    return f"textrip index {shlex.quote(str(folder))} --rebuild"


def is_index(folder: str | Path) -> bool:
    """Whether a folder is an index, or was one before it lost its index.json."""
    return any((Path(folder) / name).is_file() for name in ("index.json", STORE))


def require_inside(folder: Path) -> None:
    """Raise InputError where what is inside leads elsewhere, or is no file; the folder itself may be a link.

    An index is written to and tidied up, and may come from anybody: whoever made it chose where its links
    lead. All of it is looked at, which is a few dozen names.
    """
    if (folder / JOURNAL).exists():
        raise InputError(
            f"{folder / JOURNAL}: is a journal that no index has, and may name any file for SQLite to "
            "remove: this index is not as it was written; remove the journal, or the index"
        )
    folders = [folder]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    refuse_link(Path(entry.path))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    raise InputError(
                        f"{entry.path}: is neither a file nor a folder (a pipe, a socket, a device?), and an "
                        "index has no such thing: it is not as it was written; remove it"
                    )


def refuse_link(path: Path) -> None:
    """Raise InputError where a path is a symbolic link."""
    if path.is_symlink():
        raise InputError(
            f"{path}: is a symbolic link, and an index has none: what is written to it would be written "
            "elsewhere; put what it points to in its place (cp -rL INDEX COPY does), or remove it"
        )
