"""The documents of an index in SQLite: the truth. Every other file of an index is derived from it.

Texts, metadata and vectors of a change are one transaction in write-ahead mode, so that readers see the
state before it or the one after it, and go on while it is written. Every transaction has a number, the
generation; a document carries the one that it was written in, and what was deleted is noted with its own.
So what is derived from one generation can be brought up to date by what came since.

A row is sealed: what SQLite cannot notice, a byte that turned over in a text or a vector, is told when the
row is read.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import filterfalse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.words import lone_surrogate
from textrip.errors import DamagedError, InputError
from textrip.records import Document
from textrip.retrieval.connection import (
    DAMAGED,
    Connections,
    file_of,
    state_on_disk,
    unreadable,
)
from textrip.retrieval.where import Where
from textrip.seal import seal_of

_COLUMNS = "key, doc_id, title, text, metadata, generation, spans, vectors, seal"
_ROWS_A_CHUNK = 1024
# SQLite takes at most 999 parameters a statement in old builds.
_IDS_A_QUERY = 900
# Sums of seals are taken modulo this.
SEALS = 1 << 128


@dataclass(frozen=True, eq=False)
class Stored:
    """A document as an index holds it.

    Attributes:
        document: Id, title and text.
        metadata: What else a row of the data had.
        spans: (p, 2) int32, where each passage begins and ends in the full text.
        vectors: (p, d) float32, one for each passage.
        key: Its number in the store, never given twice; 0 before it is stored.
        generation: The transaction that wrote it.
    """

    document: Document
    metadata: Mapping[str, Any]
    spans: NDArray[np.int32]
    vectors: NDArray[np.float32]
    key: int = 0
    generation: int = 0
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", text_digest(self.document.full_text))


def text_digest(text: str) -> bytes:
    """16 bytes that stand for a text: what has the same ones need not be encoded again."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


class DocumentStore:
    """Reads the documents of an index; every thread has a connection of its own."""

    def __init__(self, path: Path, *, dimension: int, index_id: str | None = None) -> None:
        self.path = path
        self.dimension = dimension
        self._connections = Connections(path, index_id=index_id)
        if not path.is_file():
            raise InputError(f"{path}: is missing; {DAMAGED}")
        self._file = file_of(path)
        try:
            self.state("generation")  # so that what is no database is told now
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Let the file go; where another thread is reading, it ends with an error."""
        self._connections.close()

    def require_in_place(self) -> None:
        """Raise InputError where another file has taken this one's place since it was opened.

        A connection that holds the file for unchangeable (see `connect_reading`) is given up when it changes.
        """
        now = file_of(self.path)
        if now is None:
            moved = "moved or removed" if self.path.is_absolute() else "moved or removed, or left by a chdir"
            raise InputError(f"{self.path}: is not there any longer ({moved}); open the index again")
        if now != self._file:
            raise InputError(f"{self.path}: the index was built anew since it was opened; open it again")
        with self._connections.use() as database:
            changed = database.unchangeable not in {None, state_on_disk(self.path)}
        if changed:
            self._connections.renew()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one generation, whatever is written meanwhile."""
        with self._connections.use() as database:
            inside = database.in_transaction
        if inside:
            yield
            return
        self.require_in_place()
        with self._connections.use() as database:
            try:
                database.execute("BEGIN")
            except sqlite3.Error as error:
                raise unreadable(self.path, error) from None
            try:
                yield
            finally:
                with suppress(sqlite3.Error):  # an error may have ended it
                    database.execute("COMMIT")

    def state(self, name: str) -> str:
        """One of the values that hold for the whole store."""
        for (value,) in self._select("SELECT value FROM state WHERE name = ?", [name]):
            return str(value)
        raise InputError(f"{self.path}: has no {name!r}; {DAMAGED}")

    @property
    def generation(self) -> int:
        """How many transactions wrote."""
        return int(self.state("generation"))

    def __len__(self) -> int:
        return int(self.state("documents"))

    def columns(self) -> list[str]:
        """The names of the documents' metadata."""
        return [name for (name,) in self._select("SELECT name FROM columns ORDER BY name")]

    def documents(self, keys: Sequence[int]) -> list[Stored]:
        """The documents with these keys, in their order.

        Raises:
            InputError: one is not there, or a row does not match its seal.
        """
        rows = self._among(_COLUMNS, "key", [int(key) for key in keys])
        found = {stored.key: stored for stored, _ in map(self._sealed, rows)}
        missing = next((int(key) for key in keys if int(key) not in found), None)
        if missing is not None:
            raise InputError(f"{self.path}: has no document number {missing}; {DAMAGED}")
        return [found[int(key)] for key in keys]

    def ids_among(self, doc_ids: Sequence[str]) -> set[str]:
        """Those of some ids that are there."""
        texts = list(filterfalse(lone_surrogate, doc_ids))
        return {doc_id for (doc_id,) in self._among("doc_id", "doc_id", texts)}

    def by_id(self, doc_ids: Sequence[str]) -> dict[str, Stored]:
        """The documents with these ids, those that are there."""
        rows = self._among(_COLUMNS, "doc_id", list(filterfalse(lone_surrogate, doc_ids)))
        return {stored.document.doc_id: stored for stored, _ in map(self._sealed, rows)}

    def digests(self) -> dict[str, bytes]:
        """From doc_id to its text's digest, of all."""
        return dict(self._select("SELECT doc_id, digest FROM documents"))

    def by_digest(self, digests: Sequence[bytes]) -> dict[bytes, Stored]:
        """For each text that is there, by its digest, one document that has it."""
        rows = self._among(_COLUMNS, "digest", digests)
        return {stored.digest: stored for stored, _ in map(self._sealed, rows)}

    def written_since(self, generation: int) -> list[Stored]:
        """Documents written after a generation, by key."""
        # Were SQLite asked for the order, it would take all documents by their keys, and look at each.
        statement = f"SELECT {_COLUMNS} FROM documents WHERE generation > ?"  # noqa: S608
        return sorted(self._stored(statement, [generation]), key=lambda stored: stored.key)

    def changes_since(self, generation: int) -> int:
        """How many documents were written, deleted or replaced after a generation."""
        statement = (
            "SELECT (SELECT count(*) FROM documents WHERE generation > ?1) + "
            "(SELECT count(*) FROM removed WHERE generation > ?1)"
        )
        return int(next(self._select(statement, [generation]))[0])

    def removed_since(self, generation: int) -> list[int]:
        """Keys of what was deleted or replaced after a generation, ascending."""
        statement = "SELECT key FROM removed WHERE generation > ? ORDER BY key"
        return [key for (key,) in self._select(statement, [generation])]

    def keys_where(self, where: Where) -> NDArray[np.int64]:
        """The keys of the documents for which a condition holds, ascending.

        Raises:
            InputError: it is no SQL expression, names no column, or does more than read a document.
        """
        columns = self.columns()
        with self._connections.use() as database:
            try:
                return where.keys(database, columns)
            except InputError as error:
                invalid = "SELECT 1 FROM documents WHERE NOT json_valid(metadata) LIMIT 1"
                if "malformed JSON" in str(error) and database.execute(invalid).fetchone():
                    raise InputError(f"{self.path}: a document's metadata is no JSON; {DAMAGED}") from None
                raise

    def __iter__(self) -> Iterator[Stored]:
        """Every document, by key, read in chunks."""
        last = 0
        statement = f"SELECT {_COLUMNS} FROM documents WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608
        while chunk := list(self._stored(statement, [last, _ROWS_A_CHUNK])):
            yield from chunk
            last = chunk[-1].key

    def check(self) -> list[str]:
        """What is wrong with the file, in words: every page, every row and their number are looked at."""
        with self.snapshot():
            return self._problems()

    def _problems(self) -> list[str]:
        found = [str(line) for (line,) in self._select("PRAGMA integrity_check(20)") if line != "ok"]
        if found:
            return found
        try:
            seals = [self._sealed(values)[1] for values in self._select(f"SELECT {_COLUMNS} FROM documents")]  # noqa: S608
        except InputError as error:
            return [str(error).removeprefix(f"{self.path}: ")]
        if len(seals) != len(self):
            return [f"has {len(seals)} documents, {len(self)} were written"]
        if _sum(seals) != int(self.state("seals"), 16):
            return ["the documents are not the ones that were written last"]
        return []

    def _among(self, columns: str, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Some columns of the rows whose column `name` has one of the values."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(values), _IDS_A_QUERY):
            part = values[start : start + _IDS_A_QUERY]
            marks = ", ".join("?" * len(part))
            found += self._select(f"SELECT {columns} FROM documents WHERE {name} IN ({marks})", part)  # noqa: S608
        return found

    def _stored(self, statement: str, parameters: Sequence[Any]) -> Iterator[Stored]:
        for values in self._select(statement, parameters):
            yield self._sealed(values)[0]

    def _sealed(self, values: tuple[Any, ...]) -> tuple[Stored, bytes]:
        key, doc_id, title, text, metadata, generation, spans, vectors, seal = values
        if seal_of(key, doc_id, title, text, metadata, generation, spans, vectors) != seal:
            raise DamagedError(f"{self.path}: document {doc_id!r} does not match its seal; {DAMAGED}")
        matrix = np.frombuffer(vectors, dtype="<f4").reshape(-1, self.dimension)
        places = np.frombuffer(spans, dtype="<i4").reshape(-1, 2)
        held = Stored(Document(doc_id, title, text), json.loads(metadata), places, matrix, key, generation)
        return held, seal

    def _select(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with self._connections.use() as database:
            try:
                yield from database.execute(statement, parameters)
            except sqlite3.Error as error:
                raise unreadable(self.path, error) from None


def _sum(seals: Iterable[bytes]) -> int:
    total: int = sum(int.from_bytes(seal, "big") for seal in seals)
    return total % SEALS


def whole(text_length: int) -> NDArray[np.int32]:
    """The spans (1, 2) of a document that is one passage."""
    return np.array([[0, text_length]], dtype=np.int32)
