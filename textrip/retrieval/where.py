"""Conditions over documents' metadata: an SQL expression that can read a document and nothing else.

The columns are doc_id, title, text and every name in the metadata. Values go in as parameters (`?` or
`:name`), never as part of the expression. SQLite's authorizer refuses everything but reading a document
and the functions that compute; an expression that runs for longer than its time is stopped.
"""

import re
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
# A name that no data has.
_KEY = '"textrip: key"'
# No value may grow larger: printf and replace would fill the memory between two looks at the clock.
_MOST_BYTES = 128 * 2**20
# Functions that reach out of the database, or only make work.
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
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
        _require_balanced(self.expression, columns)
        own = self._named(columns)
        aliases = "".join(f", json_extract(metadata, {_path(name)}) AS {_quoted(name)}" for name in own)
        # On lines of their own, so that a comment in the expression ends before the bracket.
        statement = (
            f"SELECT {_KEY} FROM (SELECT key AS {_KEY}, doc_id, title, text{aliases} FROM documents) "  # noqa: S608
            f"WHERE (\n{self.expression}\n) ORDER BY {_KEY}"
        )
        before = database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
        started = time.monotonic()
        database.set_authorizer(_authorize)
        database.set_progress_handler(
            lambda: int(time.monotonic() - started > _SECONDS), _INSTRUCTIONS_A_LOOK
        )
        try:
            found = [key for (key,) in database.execute(statement, self.parameters)]
        except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError) as error:
            raise _refused(self.expression, str(error), columns) from None
        finally:
            database.set_authorizer(None)
            database.set_progress_handler(None, 0)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
        return np.asarray(found, dtype=np.int64)

    def _named(self, columns: Sequence[str]) -> list[str]:
        """The columns of metadata that the expression may name: what it does not contain it cannot.

        Raises:
            InputError: two of them differ by case alone, which SQL does not see.
        """
        said = self.expression.lower()
        own = [
            name for name in columns if name.lower() in said and name.lower() not in _OWN and "\0" not in name
        ]
        by_lower: dict[str, str] = {}
        for name in own:
            other = by_lower.setdefault(name.lower(), name)
            if other != name:
                reason = f"{other!r} and {name!r} are one name to SQL; rename one of them in the data"
                raise _refused(self.expression, reason, columns)
        return own


def _refused(expression: str, reason: str, columns: Sequence[str]) -> InputError:
    if reason == "interrupted":
        reason = f"took longer than {_SECONDS:.0f} seconds"
    if "prohibited" in reason or "not authorized" in reason:
        reason = "does more than read a document's columns"
    known = ", ".join([*_OWN, *(name for name in columns if name.lower() not in _OWN)])
    return InputError(f"where {expression!r}: {reason} (columns: {known})")


_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?\*/ | [()]""",
    re.VERBOSE | re.DOTALL,
)


def _require_balanced(expression: str, columns: Sequence[str]) -> None:
    """Raise InputError where a bracket closes what the expression did not open."""
    depth = 0
    for match in _TOKEN.finditer(expression):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth < 0:
            break
    if depth:
        raise _refused(expression, "a bracket without its other half", columns)


def _path(name: str) -> str:
    """A name as a JSON path, as an SQL literal; SQLite's paths know no escape for a quotation mark."""
    return _literal(f'$."{name}"')


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
