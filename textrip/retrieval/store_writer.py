"""Writing to an index's store: each transaction is one generation, there in whole or not at all."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from textrip.errors import InputError, StorageError
from textrip.retrieval import connection as connections
from textrip.retrieval.connection import DAMAGED, connect_reading, state_of
from textrip.retrieval.store import SEALS, Stored
from textrip.seal import seal_of

TABLES = """
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    doc_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    generation INTEGER NOT NULL,
    digest BLOB NOT NULL,
    spans BLOB NOT NULL,
    vectors BLOB NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX documents_by_generation ON documents (generation);
CREATE INDEX documents_by_digest ON documents (digest);
CREATE TABLE removed (key INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE columns (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


class StoreWriter:
    """Writes documents; each `transaction` is one generation, there in whole or not at all."""

    def __init__(self, path: Path, connection: sqlite3.Connection, index_id: str | None = None) -> None:
        self.path = path
        self._database = connection
        self._index_id = index_id

    @classmethod
    def create(cls, path: Path, *, index_id: str) -> "StoreWriter":
        """A new, empty store.

        Raises:
            StorageError: the disk refused.
        """
        writer = cls(path, cls._connect(path))
        state = {"index_id": index_id, "generation": "0", "documents": "0", "seals": "0", "known_since": "0"}
        with writer._errors():
            # One transaction: a store that is killed while it is made has no table at all.
            writer._database.executescript(f"BEGIN IMMEDIATE; {TABLES}")
            writer._database.executemany("INSERT INTO state VALUES (?, ?)", state.items())
            writer._database.execute("COMMIT")
        return writer

    @classmethod
    def open(cls, path: Path, *, index_id: str | None = None) -> "StoreWriter":
        """Write to a store that is there; of the index of this id, where one is given.

        Raises:
            InputError: there is none.
            StorageError: it cannot be written to.
        """
        if not path.is_file():
            raise InputError(f"{path}: is missing; {DAMAGED}")
        return cls(path, cls._connect(path), index_id)

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=connections.WAIT_SECONDS)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is not left in the file
            connections.require_own_schema(connection, path)
        except sqlite3.Error as error:
            raise StorageError(f"{path}: {error}") from error
        return connection

    def close(self) -> None:
        """Let the file go; what the log holds goes into the database, where nobody reads it just now.

        SQLite does so by itself when the last connection closes, and a reader's cannot: the text of what was
        deleted would stay in the log, and a copy of the database without it would lack the last changes.
        """
        with suppress(sqlite3.Error):  # what was committed is safe in the log, too
            self._database.execute("PRAGMA busy_timeout = 0")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """One generation: what is put and deleted inside becomes visible at once, at the end.

        Raises:
            StorageError: another process has been writing for half a minute, or the disk refused.
        """
        with self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._require_in_place()
                transaction = Transaction(self._database)
                yield transaction
                transaction.finish()
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes inside; what is remembered there is, where nothing fails.

        Raises:
            InputError: the index was built anew meanwhile.
        """
        with self._errors():
            self._database.execute("BEGIN IMMEDIATE")
        try:
            self._require_in_place()
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        with self._errors():
            self._database.execute("COMMIT")

    def remember(self, name: str, value: str) -> None:
        """Keep a text with the documents, inside `locked()`: no change of theirs."""
        with self._errors():
            self._database.execute(
                "INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [name, value],
            )

    def _require_in_place(self) -> None:
        """Raise InputError where this file is no longer the index's: what is written to it would be lost."""
        if self._index_id is None:
            return
        with suppress(sqlite3.Error), closing(connect_reading(self.path)) as there:
            if state_of(there, "index_id") == self._index_id == state_of(self._database, "index_id"):
                return
        raise InputError(
            f"{self.path}: the index was built anew meanwhile; nothing was written, open it again"
        )

    def forget_removed(self, generation: int) -> None:
        """What was removed up to a generation need not be known any longer: everything derived is newer."""
        with self.locked(), self._errors():
            self._database.execute("DELETE FROM removed WHERE generation <= ?", [generation])
            self._database.execute(
                "UPDATE state SET value = ? WHERE name = 'known_since' AND CAST(value AS INTEGER) < ?",
                [str(generation), generation],
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise StorageError(
                    f"{self.path}: another process has been writing for "
                    f"{connections.WAIT_SECONDS:.0f} seconds; try again when it has ended"
                ) from error
            raise StorageError(f"{self.path}: {error}") from error
        except sqlite3.Error as error:
            raise StorageError(f"{self.path}: {error}") from error


class Transaction:
    """What is written in one generation."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.generation = int(self._state("generation")) + 1
        self.documents = int(self._state("documents"))
        self._seals = int(self._state("seals"), 16)
        last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'").fetchone()
        self._last_key: int = last[0] if last else 0

    def _state(self, name: str) -> str:
        found = self._database.execute("SELECT value FROM state WHERE name = ?", [name]).fetchone()
        if found is None:
            raise sqlite3.DatabaseError(f"has no {name!r}")
        return str(found[0])

    def put(self, documents: Iterable[Stored]) -> int:
        """Add documents; one whose id is there takes its place: how many of these there are."""
        replaced = 0
        for stored in documents:
            replaced += self._remove(stored.document.doc_id)
            self._insert(stored)
        return replaced

    def delete(self, doc_ids: Iterable[str]) -> list[str]:
        """Remove documents; the ids that were not there are returned."""
        return [doc_id for doc_id in doc_ids if not self._remove(doc_id)]

    def _remove(self, doc_id: str) -> bool:
        found = self._database.execute(
            "SELECT key, seal FROM documents WHERE doc_id = ?", [doc_id]
        ).fetchone()
        if found is None:
            return False
        key, seal = found
        self._database.execute("DELETE FROM documents WHERE key = ?", [key])
        self._database.execute("INSERT INTO removed VALUES (?, ?)", [key, self.generation])
        self.documents -= 1
        self._seals = (self._seals - int.from_bytes(seal, "big")) % SEALS
        return True

    def _insert(self, stored: Stored) -> None:
        document, metadata = stored.document, _json(stored)
        spans = np.ascontiguousarray(stored.spans, dtype="<i4").tobytes()
        vectors = np.ascontiguousarray(stored.vectors, dtype="<f4").tobytes()
        values = (document.doc_id, document.title, document.text, metadata, self.generation)
        self._last_key += 1
        seal = seal_of(self._last_key, *values, spans, vectors)
        self._database.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self._last_key, *values, stored.digest, spans, vectors, seal],
        )
        self._database.executemany(
            "INSERT OR IGNORE INTO columns VALUES (?)", [(name,) for name in stored.metadata]
        )
        self.documents += 1
        self._seals = (self._seals + int.from_bytes(seal, "big")) % SEALS

    def finish(self) -> None:
        """Note the generation, the number of documents and the sum of their seals."""
        state = {
            "generation": str(self.generation),
            "documents": str(self.documents),
            "seals": f"{self._seals:x}",
        }
        self._database.executemany(
            "UPDATE state SET value = ? WHERE name = ?", [(value, name) for name, value in state.items()]
        )


def _json(stored: Stored) -> str:
    try:
        return json.dumps(dict(stored.metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"document {stored.document.doc_id!r}: metadata cannot be kept: {error}") from None
