"""A lock by name that the operating system takes back when a process dies: SQLite's own, on an empty file.

It lies among the temporary files and stays there: a lock file that is taken away could be held twice.
"""

import contextlib
import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from textrip.errors import StorageError


@contextlib.contextmanager
def alone(place: Path, purpose: str) -> Iterator[bool]:
    """Whether this process is the only one on this machine that does this to a place.

    Args:
        place: A file or folder; it need not be there.
        purpose: What is done to it.

    Raises:
        StorageError: the folder for temporary files cannot be written to.
    """
    name = hashlib.sha256(f"{purpose} {place.absolute()}".encode()).hexdigest()[:24]
    lock = Path(tempfile.gettempdir()) / f"textrip-{name}.lock"
    try:
        connection = sqlite3.connect(lock, isolation_level=None, timeout=0)
    except sqlite3.Error as error:
        raise StorageError(f"{lock}: {error}") from error
    with contextlib.closing(connection):
        yield _held(connection, lock)


def _held(connection: sqlite3.Connection, lock: Path) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise StorageError(f"{lock}: {error}") from error
    except sqlite3.DatabaseError as error:  # somebody wrote to it
        raise StorageError(f"{lock}: {error}; remove this file") from error
    return True
