"""The files of an index, their format, and that they are its own."""

import contextlib
import os
from pathlib import Path

from textrip.errors import InputError

KIND = "textrip-index"
FORMAT = 2
STORE = "documents.sqlite"


def require_no_link(folder: Path) -> None:
    """Raise InputError where something inside is a symbolic link; the folder itself may be one.

    An index is written to and tidied up, and may come from anybody: whoever made it chose where its links
    lead. All of it is looked at, which is a few dozen names.
    """
    folders = [folder]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    refuse_link(Path(entry.path))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))


def refuse_link(path: Path) -> None:
    """Raise InputError where a path is a symbolic link."""
    if path.is_symlink():
        raise InputError(
            f"{path}: is a symbolic link, and an index has none: what is written to it would be written "
            "elsewhere; put what it points to in its place, or remove it"
        )
