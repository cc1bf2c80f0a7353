"""Rows into an Arrow table: in memory while they are few, in a memory-mapped file once they are many.

A corpus larger than memory is read like any other: the operating system brings in what is looked at. The
file has no name left when the table is handed out, so that nothing has to be removed, even after a kill.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from textrip.errors import StorageError, reason_of

ROWS_A_BATCH = 10_000
# Beyond so many bytes the rows go to a file in the folder for temporary ones ($TMPDIR).
MOST_BYTES = 512 * 2**20


class _Rows:
    """Batches in memory, then in a file."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0
        self._path: Path | None = None
        self._writer: Any = None

    def add(self, rows: list[dict[str, Any]]) -> None:
        """One batch more."""
        batch = pa.RecordBatch.from_pylist(rows, schema=self.schema)
        self._bytes += batch.nbytes
        if self._writer is None and self._bytes <= MOST_BYTES:
            self._batches.append(batch)
            return
        if self._writer is None:
            handle, name = tempfile.mkstemp(prefix="textrip-", suffix=".arrow")
            os.close(handle)
            self._path = Path(name)
            self._writer = pa.ipc.new_file(name, self.schema)
            for earlier in self._batches:
                self._writer.write_batch(earlier)
            self._batches = []
        self._writer.write_batch(batch)

    def table(self) -> pa.Table:
        """All of them."""
        if self._writer is None:
            return pa.Table.from_batches(self._batches, schema=self.schema)
        self._writer.close()
        return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def close(self) -> None:
        """The file loses its name; what is mapped stays."""
        if self._path is None:
            return
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError:
            pass  # a full disk, which the write told already
        finally:
            self._path.unlink(missing_ok=True)


def table_of(records: Iterable[Mapping[str, Any]], types: Mapping[str, pa.DataType]) -> pa.Table | None:
    """A table of records with the first one's columns, text where `types` says nothing; None of none.

    Raises:
        StorageError: the folder for temporary files is full.
    """
    pending: list[dict[str, Any]] = []
    rows: _Rows | None = None
    try:
        for record in records:
            if rows is None:
                fields = [(name, types.get(name, pa.large_string())) for name in record]
                rows = _Rows(pa.schema(fields))
            pending.append(dict(record))
            if len(pending) == ROWS_A_BATCH:
                rows.add(pending)
                pending = []
        if rows is None:
            return None
        if pending:
            rows.add(pending)
        return rows.table()
    except OSError as error:
        raise StorageError(f"{tempfile.gettempdir()}: {reason_of(error)}") from error
    finally:
        if rows is not None:
            rows.close()
