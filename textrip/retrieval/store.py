"""The documents of an index in SQLite: ids, texts and vectors in one file, written in one transaction."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.errors import InputError, StorageError
from textrip.records import Document

_TABLE = """
CREATE TABLE documents (
    row INTEGER PRIMARY KEY,
    doc_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    vector BLOB NOT NULL
) STRICT
"""
_ROWS_A_CHUNK = 4096
# SQLite takes at most 999 parameters a statement in old builds.
_IDS_A_QUERY = 900


def write_documents(path: Path, collection: Collection, windows: Iterator[NDArray[np.float32]]) -> int:
    """Write every document with its vector; vectors come in windows, in the order of the corpus.

    Raises:
        StorageError: the disk refused.
    """
    try:
        return _write(path, collection, windows)
    except sqlite3.Error as error:  # a full disk, an I/O error
        raise StorageError(f"{path}: {error}") from error


def _write(path: Path, collection: Collection, windows: Iterator[NDArray[np.float32]]) -> int:
    written = 0
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_TABLE)
        for window in windows:
            rows = collection.corpus[written : written + len(window)]
            database.executemany(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?)",
                zip(
                    range(written, written + len(window)), rows["doc_id"], rows["title"], rows["text"],
                    (np.ascontiguousarray(vector, dtype="<f4").tobytes() for vector in window),
                    strict=True,
                ),
            )  # fmt: skip
            written += len(window)
    assert written == len(collection.corpus)
    return written


class DocumentStore:
    """Reads the documents of an index; never writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"{path}: is missing; the index is damaged, build it again")
        try:
            # The search of a server answers from its own threads; nothing here is shared between calls.
            self._database = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )
            self._database.execute("PRAGMA schema_version").fetchone()
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    def doc_ids(self) -> list[str]:
        """Every doc_id, by row."""
        return [doc_id for (doc_id,) in self._select("SELECT doc_id FROM documents ORDER BY row")]

    def vectors(self, dimension: int) -> NDArray[np.float32]:
        """Every vector, by row: (n, dimension) float32."""
        parts = [vector for (vector,) in self._select("SELECT vector FROM documents ORDER BY row")]
        if any(len(part) != 4 * dimension for part in parts):
            raise InputError(
                f"{self.path}: has vectors of another length than {dimension}; build the index again"
            )
        return np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(parts), dimension)

    def documents(self, rows: Sequence[int]) -> list[Document]:
        """The documents at some rows, in their order."""
        found: dict[int, Document] = {}
        for start in range(0, len(rows), _IDS_A_QUERY):
            part = [int(row) for row in rows[start : start + _IDS_A_QUERY]]
            marks = ", ".join("?" * len(part))
            statement = f"SELECT row, doc_id, title, text FROM documents WHERE row IN ({marks})"  # noqa: S608
            found |= {row: Document(*values) for row, *values in self._select(statement, part)}
        return [found[int(row)] for row in rows]

    def __iter__(self) -> Iterator[Document]:
        for values in self._select("SELECT doc_id, title, text FROM documents ORDER BY row"):
            yield Document(*values)

    def _select(self, statement: str, parameters: Sequence[int] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._database.execute(statement, parameters)
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def _damaged(self, error: sqlite3.Error) -> InputError:
        return InputError(f"{self.path}: {error}; the index is damaged, build it again")
