"""Conditions over documents' metadata: an SQL expression that can read a document and nothing else.

The columns are doc_id, title, text and every name in the metadata. Values go in as parameters (`?` or
`:name`), never as part of the expression. SQLite's authorizer refuses everything but reading a document
and the functions that compute; an expression that runs for longer than its time is stopped.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.errors import InputError

_SECONDS = 30.0
_OWN = ("doc_id", "title", "text")
# Functions that reach out of the database, or only make work.
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "randomblob", "zeroblob"}
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
_INSTRUCTIONS_A_LOOK = 100_000


@dataclass(frozen=True)
class Where:
    """A condition and the values of its parameters.

    Attributes:
        expression: SQL over the columns, for example "year >= :from AND lang = 'en'".
        parameters: By name, or in order for question marks.
    """

    expression: str
    parameters: Mapping[str, Any] | Sequence[Any] = field(default_factory=dict)

    def keys(self, database: sqlite3.Connection, columns: Sequence[str]) -> NDArray[np.int64]:
        """The keys of the documents for which it holds, ascending; `columns` names the metadata."""
        own = [name for name in columns if name.lower() not in {*_OWN, "key"}]
        aliases = "".join(f", metadata ->> {_literal(name)} AS {_quoted(name)}" for name in own)
        # On lines of their own, so that a comment in the expression ends before the bracket.
        statement = (
            f"SELECT key FROM (SELECT key, doc_id, title, text{aliases} FROM documents) "  # noqa: S608
            f"WHERE (\n{self.expression}\n) ORDER BY key"
        )
        started = time.monotonic()
        database.set_authorizer(_authorize)
        database.set_progress_handler(
            lambda: int(time.monotonic() - started > _SECONDS), _INSTRUCTIONS_A_LOOK
        )
        try:
            found = [key for (key,) in database.execute(statement, self.parameters)]
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise self._refused(error, [*_OWN, *own]) from None
        finally:
            database.set_authorizer(None)
            database.set_progress_handler(None, 0)
        return np.asarray(found, dtype=np.int64)

    def _refused(self, error: Exception, columns: Sequence[str]) -> InputError:
        reason = str(error)
        if reason == "interrupted":
            reason = f"took longer than {_SECONDS:.0f} seconds"
        if "prohibited" in reason or "not authorized" in reason:
            reason = "does more than read a document's columns"
        return InputError(f"where {self.expression!r}: {reason} (columns: {', '.join(columns)})")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _authorize(action: int, first: str | None, second: str | None, *_: Any) -> int:
    if action == sqlite3.SQLITE_READ:
        return sqlite3.SQLITE_OK if first in {"documents", ""} else sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if str(second).lower() in _FORBIDDEN else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
