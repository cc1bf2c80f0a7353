"""Conditions over documents' metadata: an SQL expression that can read a document and nothing else.

The columns are doc_id, title, text and every name in the metadata. Values go in as parameters (`?` or
`:name`), never as part of the expression. SQLite's authorizer refuses everything but reading a document
and the functions that compute; an expression that runs for longer than its time is stopped.
"""

import json
import math
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
# Our function beside SQLite's.
_VALUE = "textrip_value"
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
        _require_sound(self.expression, columns)
        self._require_finite(columns)
        own = self._named(columns)
        aliases = "".join(f", {_read(name)} AS {_quoted(name)}" for name in own)
        # On lines of their own, so that a comment in the expression ends before the bracket.
        statement = (
            f"SELECT {_KEY} FROM (SELECT key AS {_KEY}, doc_id, title, text{aliases} FROM documents) "  # noqa: S608
            f"WHERE (\n{self.expression}\n) ORDER BY {_KEY}"
        )
        database.create_function(_VALUE, 2, _value, deterministic=True)
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
        # A quotation mark is written twice inside two of its kind.
        said = "\0".join([said, said.replace('""', '"'), said.replace("``", "`")])
        own = [
            name for name in columns if name.lower() in said and name.lower() not in _OWN and "\0" not in name
        ]
        by_lower: dict[str, list[str]] = {}
        for name in own:
            by_lower.setdefault(name.lower(), []).append(name)
        outside_of_texts = re.sub("'(?:[^']|'')*'", " ", said)
        for lower, names in by_lower.items():
            # One that is but a part of other words is not meant.
            if len(names) > 1 and re.search(rf"(?<!\w){re.escape(lower)}(?!\w)", outside_of_texts):
                reason = f"{names[0]!r} and {names[1]!r} are one name to SQL; rename one of them in the data"
                raise _refused(self.expression, reason, columns)
        return [names[0] for names in by_lower.values() if len(names) == 1]

    def _require_finite(self, columns: Sequence[str]) -> None:
        """Raise InputError for NaN, which is NULL to SQL and matches nothing, and infinity."""
        given = self.parameters
        for name, value in given.items() if isinstance(given, Mapping) else enumerate(given, start=1):
            if isinstance(value, float) and not math.isfinite(value):
                reason = f"parameter {name} is {value}, a finite number was expected"
                raise _refused(self.expression, reason, columns)


def _refused(expression: str, reason: str, columns: Sequence[str]) -> InputError:
    if reason == "interrupted":
        reason = f"took longer than {_SECONDS:.0f} seconds"
    if "prohibited" in reason or "not authorized" in reason:
        reason = "does more than read a document's columns"
    own = (name if name.isprintable() else repr(name) for name in columns if name.lower() not in _OWN)
    known = ", ".join([*_OWN, *own])
    return InputError(f"where {expression!r}: {reason} (columns: {known})")


_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?\*/ | [()]""",
    re.VERBOSE | re.DOTALL,
)


def _require_sound(expression: str, columns: Sequence[str]) -> None:
    """Raise InputError where a bracket closes what was not opened, and for a column that there is not.

    SQLite takes a name in double quotes that it does not know for a text, which equals nothing.
    """
    known = {name.lower() for name in (*_OWN, *columns)}
    depth = 0
    for match in _TOKEN.finditer(expression):
        name = match[0][1:-1].replace('""', '"')
        if match[0].startswith('"') and name.lower() not in known:
            reason = f"no such column: {name} (a text goes in single quotes: {_literal(name)})"
            raise _refused(expression, reason, columns)
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth < 0:
            break
    if depth:
        raise _refused(expression, "a bracket without its other half", columns)


def _read(name: str) -> str:
    """SQL for a column of the metadata.

    How SQLite's JSON paths take a name that JSON writes with an escape is another thing in every few of its
    versions; a quotation mark is lost on the older ones.
    """
    if json.dumps(name, ensure_ascii=False) == f'"{name}"':
        path = f'$."{name}"'
        return f"json_extract(metadata, {_literal(path)})"
    return f"{_VALUE}(metadata, {_literal(name)})"


def _value(metadata: str, name: str) -> Any:
    """What SQLite's json_extract gives for a name."""
    value = json.loads(metadata).get(name)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


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
