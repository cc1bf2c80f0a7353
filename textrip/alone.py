"""A lock on a folder that the operating system takes back when a process dies: filelock, on a file in it.

In the folder, so that whoever comes by another path, as another user or with temporary files elsewhere finds
the same one. It stays there: a lock file that is taken away could be held twice.
"""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from textrip.errors import StorageError, reason_of
from textrip.progress import say

LOCK = ".lock"
# What a network's disk says that has no locks: better to go on than to refuse all work there.
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether this thread is the only one, of all processes, that works on an existing folder.

    Where the disk knows no locks it is taken to be, and that is said.

    Raises:
        StorageError: the folder cannot be written to.
    """
    from filelock import FileLock, Timeout  # a search, which locks nothing, does not wait for it

    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise StorageError(f"{folder / LOCK}: {reason_of(error)}") from error
        say(f"{folder}: its disk knows no locks ({reason_of(error)}): see that no other process works there")
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def holding(folder: Path, refusal: str) -> Iterator[None]:
    """Keep others out of an existing folder until the block ends.

    Raises:
        StorageError: `refusal`, where somebody else holds it; or it cannot be written to.
    """
    with alone(folder) as mine:
        if not mine:
            raise StorageError(f"{folder}: {refusal}")
        yield


def refuse_held(folder: Path, refusal: str) -> None:
    """Raise StorageError where somebody else holds a folder now; leaves nothing in one that nobody held."""
    if (folder / LOCK).is_file():
        with holding(folder, refusal):
            pass
