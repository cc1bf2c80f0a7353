"""Connections to an index's database that read: one a thread, and where even a lock file cannot be made."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from textrip.errors import InputError, blame_no_file, reason_of
from textrip.forked import watch

# A writer waits so long for another one.
WAIT_SECONDS = 30.0
DAMAGED = "the index is damaged, build it again"


def file_of(path: Path) -> tuple[int, int] | None:
    """Which file a path is now, whatever it was when it was opened; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Held:
    """A thread's connection, closed when the thread ends: by itself it would wait for the cycle collector.

    Another thread may close it, and SQLite's memory is gone then: one that is in use is closed by its user.
    """

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    def begin(self) -> bool:
        """Use it, until `end`; False where it is closed."""
        with self._lock:
            self._users += not self._closed
            return not self._closed

    def end(self) -> None:
        """It is not used any longer."""
        with self._lock:
            self._users -= 1
            self._let_go()

    def close(self) -> None:
        """Let the file go, at once or when nobody uses it."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self, _suppress: Any = suppress, _error: Any = sqlite3.Error) -> None:
        # Also when Python ends, and the names of this module are gone.
        if self._closed and not self._users:
            with _suppress(_error):
                self.connection.close()

    def __del__(self) -> None:
        self.close()


class Connections:
    """A connection for every thread, and in a process that is forked its own.

    SQLite's are of the process that opened them: its locks are, and a child that used one could be shown
    half of a change.

    Args:
        path: The database.
        index_id: The index that it has to belong to; any where None.
    """

    def __init__(self, path: Path, *, index_id: str | None) -> None:
        self._path = path
        self._index_id = index_id
        self._local = threading.local()
        self._held: weakref.WeakSet[Held] = weakref.WeakSet()
        self._inherited: list[Any] = []
        self._closed = False
        watch(self)

    @contextmanager
    def use(self) -> "Iterator[Connection]":
        """The thread's own, which is not closed meanwhile."""
        if not self._closed and not hasattr(self._local, "held"):
            self._local.held = Held(self._connect())
            self._held.add(self._local.held)
        held: Held | None = getattr(self._local, "held", None)
        if self._closed or held is None or not held.begin():
            raise InputError(f"{self._path}: the index is closed; open it again")
        try:
            yield held.connection
        finally:
            held.end()

    def _connect(self) -> "Connection":
        try:
            connection = connect_reading(self._path)
        except sqlite3.Error as error:
            raise unreadable(self._path, error) from None
        if self._index_id is not None and state_of(connection, "index_id") != self._index_id:
            connection.close()
            raise InputError(
                f"{self._path}: belongs to another index than the one that was opened; open it again"
            )
        return connection

    def renew(self) -> None:
        """Give up the thread's own: it is opened anew when it is wanted."""
        del self._local.held

    def close(self) -> None:
        """Close all; where another thread is reading, it ends with an error."""
        self._closed = True
        for held in list(self._held):
            held.close()

    def after_fork(self) -> None:
        """Leave the parent's connections alone: to close one is to use it."""
        self._inherited += [self._local, *self._held]
        self._local, self._held = threading.local(), weakref.WeakSet()


class Connection(sqlite3.Connection):
    """A connection for reading.

    Attributes:
        unchangeable: What the file looked like when it was taken for one that nobody writes to.
    """

    unchangeable: tuple[int, ...] | None = None


def state_on_disk(path: Path) -> tuple[int, ...]:
    """What changes about a database when it is written to."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, int(path.with_name(path.name + "-wal").exists())


def state_of(connection: sqlite3.Connection, name: str) -> str | None:
    """One of the values that hold for a whole store, as its index_id or its generation."""
    found = connection.execute("SELECT value FROM state WHERE name = ?", [name]).fetchone()
    return None if found is None else str(found[0])


def connect_reading(path: Path) -> Connection:
    """A connection that cannot write."""
    uri = path.absolute().as_uri()
    how: dict[str, Any] = {
        "uri": True, "isolation_level": None, "check_same_thread": False, "timeout": WAIT_SECONDS,
        "factory": Connection,
    }  # fmt: skip
    connection: Connection | None = None
    try:
        connection = sqlite3.connect(f"{uri}?mode=ro", **how)
        connection.execute("SELECT 1 FROM state LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        # Write-ahead mode wants a file beside the database; where none can be made and none is there,
        # nobody writes either.
        if connection is not None:
            connection.close()
        log = path.with_name(path.name + "-wal")
        try:
            if log.exists() and log.stat().st_size:
                raise
            state = state_on_disk(path)
        except FileNotFoundError:  # taken away meanwhile
            raise error from None
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", **how)
        connection.unchangeable = state
        connection.execute("SELECT 1 FROM state LIMIT 1").fetchone()
    try:
        require_own_schema(connection, path)
    except InputError:
        connection.close()
        raise
    return connection


def require_own_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Raise InputError for a trigger or a view: textrip makes none, and one does what nobody asked for."""
    asked = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view') LIMIT 1"
    found = connection.execute(asked).fetchone()
    if found is not None:
        raise InputError(
            f"{path}: has a {found[0]} ({found[1]}), which no textrip makes; build the index again"
        )


def unreadable(path: Path, error: sqlite3.Error) -> InputError:
    """What it means that SQLite cannot read a database.

    Raises:
        StorageError: it is the process that may open no more files.
    """
    if "unable to open" in str(error):
        try:
            path.open("rb").close()
        except OSError as refused:  # no right to it, or it was taken away
            blame_no_file(refused, path)
            return InputError(f"{path}: {reason_of(refused)}")
        log, beside = (path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))
        if log.exists() and not beside.exists():
            return InputError(
                f"{path}: its last changes lie in {log.name}, and to read them the folder has to be "
                "writable: copy the index to where it is"
            )
        return InputError(
            f"{path}: is being written to by somebody else, and this user has no right to read "
            "along (the folder has to be writable); try again when that has ended"
        )
    return InputError(f"{path}: {error}; {DAMAGED}")
