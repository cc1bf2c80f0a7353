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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.words import lone_surrogate
from textrip.errors import InputError
from textrip.interrupt import raise_if_asked
from textrip.progress import say
from textrip.retrieval.where_types import LOWER, remarks
from textrip.typed import require_type

_SECONDS = 30.0
# What SQLite says where its progress handler stopped it.
_INTERRUPTED = "interrupted"
_OWN = ("doc_id", "title", "text")
# Names that it knows without anybody's column; here they would be NULL.
_OF_SQLITE = ("rowid", "oid", "_rowid_")
# A name that no data has.
_KEY = '"textrip: key"'
# Our function beside SQLite's.
_VALUE = "textrip_value"
# No value may grow larger: printf and replace would fill the memory between two looks at the clock.
_MOST_BYTES = 128 * 2**20
# So many documents are looked at for what a column holds.
_LOOKED_AT = 1000
# So many columns an error names, and so much of a name.
_COLUMNS_SHOWN = 20
_MOST_OF_A_NAME = 60
# So much of an expression, and of what SQLite says of it.
_MOST_SHOWN = 500
# Functions that reach out of the database, or only make work.
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
# A document is a dozen of them and more, and may be long; a look at the clock costs less than one of them.
_INSTRUCTIONS_A_LOOK = 20
# A longer pattern can keep a single comparison at work for minutes, between two looks at the clock.
_MOST_OF_A_PATTERN = 1000


@dataclass(frozen=True)
class Where:
    """A condition and the values of its parameters.

    Attributes:
        expression: SQL over the columns, for example "year >= :from AND lang = 'en'".
        parameters: By name, or in order for question marks: None, bool, int, float or str, or NumPy's.
    """

    expression: str
    parameters: Mapping[str, Any] | Sequence[Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no condition, where it is made.

        Raises:
            InputError: an expression that is no text, parameters that are neither named nor in order, or a
                value of a type that no metadata has.
        """
        require_type("where", self.expression, str, "an SQL expression")
        if lone_surrogate(self.expression) is not None:
            raise InputError("where has bytes that are no text (a lone surrogate); UTF-8 was expected")
        if isinstance(self.parameters, str | bytes | bytearray):
            raise InputError("the parameters of where are one text, a list or a mapping was expected")
        require_type("what is given for where", self.parameters, (Mapping, Sequence), "a list or a mapping")
        given = self.parameters
        bound: dict[Any, Any] | list[Any]
        if isinstance(given, Mapping):
            bound = {name: _bound(name, value) for name, value in given.items()}
        else:
            bound = [_bound(place, value) for place, value in enumerate(given, start=1)]
        object.__setattr__(self, "parameters", bound)

    def keys(self, database: sqlite3.Connection, columns: Sequence[str]) -> NDArray[np.int64]:
        """The keys of the documents for which it holds, ascending; `columns` names the metadata."""
        _require_sound(self.expression, columns)
        self._require_finite(columns)
        self._require_used(columns)
        own = self._named(columns)
        aliases = "".join(f", {_read(name)} AS {_quoted(name)}" for name in own)
        # On lines of their own, so that a comment in the expression ends before the bracket.
        statement = (
            f"SELECT {_KEY} FROM (SELECT key AS {_KEY}, doc_id, title, text{aliases} FROM documents) "  # noqa: S608
            f"WHERE (\n{self.expression}\n) ORDER BY {_KEY}"
        )
        database.create_function(_VALUE, 2, _value, deterministic=True)
        limits = {
            sqlite3.SQLITE_LIMIT_LENGTH: _MOST_BYTES,
            sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: _MOST_OF_A_PATTERN,
        }
        before = {limit: database.setlimit(limit, value) for limit, value in limits.items()}
        started = time.monotonic()
        late: list[bool] = []

        def look() -> int:
            if time.monotonic() - started > _SECONDS:
                late.append(True)
            return len(late)

        database.set_authorizer(_authorize)
        database.set_progress_handler(look, _INSTRUCTIONS_A_LOOK)
        try:
            found = [key for (key,) in database.execute(statement, self.parameters)]
            self._remark(database, own)
            return np.asarray(found, dtype=np.int64)
        except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError) as error:
            raise_if_asked()
            if str(error) == _INTERRUPTED and not late:  # Ctrl-C in `look`, of which SQLite makes this
                raise KeyboardInterrupt from None
            raise _refused(self.expression, str(error), columns) from None
        finally:
            database.set_authorizer(None)
            database.set_progress_handler(None, 0)
            for limit, value in before.items():
                database.setlimit(limit, value)

    def _named(self, columns: Sequence[str]) -> list[str]:
        """The columns of metadata that the expression may name: what it does not contain it cannot.

        Raises:
            InputError: two of them differ by case alone, which SQL does not see, or one is a document's own.
        """
        said = self.expression.translate(LOWER)
        # A quotation mark is written twice inside two of its kind.
        said = "\0".join([said, said.replace('""', '"'), said.replace("``", "`")])
        by_lower: dict[str, list[str]] = {}
        for name in columns:
            lower = name.translate(LOWER)
            if lower in said and "\0" not in name:
                by_lower.setdefault(lower, []).append(name)
        meant = _meant(self.expression.translate(LOWER))
        for lower, names in by_lower.items():
            own = lower in _OWN
            if (own or len(names) > 1) and meant(lower):
                other = f"every document's own {lower!r}" if own else f"{names[1]!r}"
                remedy = f"rename {'it' if own else 'one of them'} in the data"
                reason = f"the data's column {names[0]!r} and {other} are one name to SQL; {remedy}"
                raise _refused(self.expression, reason, columns)
        return [names[0] for lower, names in by_lower.items() if len(names) == 1 and lower not in _OWN]

    def _remark(self, database: sqlite3.Connection, own: Sequence[str]) -> None:
        """Say where a text is compared with a number, by the first documents."""

        def sample(name: str) -> list[Any]:
            some = f"SELECT metadata FROM documents LIMIT {_LOOKED_AT}"  # noqa: S608
            return [value for (value,) in database.execute(f"SELECT {_read(name)} FROM ({some})")]  # noqa: S608

        names = {name.translate(LOWER): name for name in own}
        for remark in remarks(self.expression, self.parameters, names, sample):
            say(remark)

    def _require_finite(self, columns: Sequence[str]) -> None:
        """Raise InputError for NaN, which is NULL to SQL and matches nothing, and infinity."""
        given = self.parameters
        for name, value in given.items() if isinstance(given, Mapping) else enumerate(given, start=1):
            if isinstance(value, float) and not math.isfinite(value):
                reason = f"parameter {name} is {value}, a finite number was expected"
                raise _refused(self.expression, reason, columns)

    def _require_used(self, columns: Sequence[str]) -> None:
        """Raise InputError for a parameter that the expression does not name: one of the two is a slip."""
        if not isinstance(self.parameters, Mapping):
            return
        tokens = (match[0] for match in _TOKEN.finditer(self.expression))
        named = {token[1:] for token in tokens if token[0] in ":@"}
        idle = [name for name in self.parameters if name not in named]
        if idle:
            reason = f"does not name parameter {idle[0]} (:{idle[0]}), for which a value is given"
            raise _refused(self.expression, reason, columns)


def _bound(name: str | int, value: Any) -> Any:
    """A parameter's value as SQLite is to get it.

    It takes NumPy's numbers, as all that has a buffer, for bytes, which are above every number and text.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    raise InputError(
        f"where: parameter {name} is {value!r}, a text, a number, true or false or None was expected (a date "
        "is kept as a text: give one)"
    )


def _meant(expression: str) -> Callable[[str], bool]:
    """Tells of a name whether the expression means it: in quotes, or as a word outside of texts."""
    quoted = set()

    def without(match: re.Match[str]) -> str:
        if match[1]:
            mark = match[1][-1]
            quoted.add(match[1][1:-1].replace(mark * 2, mark) if mark != "]" else match[1][1:-1])
        return " "

    rest = _NO_WORD.sub(without, expression)
    return lambda name: (
        name in quoted or re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", rest) is not None
    )


def _refused(expression: str, reason: str, columns: Sequence[str]) -> InputError:
    if reason == _INTERRUPTED:
        reason = f"took longer than {_SECONDS:.0f} seconds"
    if "prohibited" in reason or "not authorized" in reason:
        reason = "does more than read a document's columns"
    own = [name for name in columns if name.translate(LOWER) not in _OWN]
    known = ", ".join([*_OWN, *map(_shown, own[:_COLUMNS_SHOWN])])
    more = f" and {len(own) - _COLUMNS_SHOWN:,} more" if len(own) > _COLUMNS_SHOWN else ""
    return InputError(f"where {_cut(expression)!r}: {_cut(reason)} (columns: {known}{more})")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _shown(name: str) -> str:
    cut = name if len(name) <= _MOST_OF_A_NAME else f"{name[:_MOST_OF_A_NAME]}..."
    return cut if cut.isprintable() else repr(cut)


_QUOTED_NAME = r""""(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]"""
_TEXT_OR_COMMENT = r"""'(?:[^']|'')*' | --[^\n]* | /\*.*?\*/"""
# What SQLite takes into the name of a parameter. One of $ : @ # may go on in brackets, with anything in them.
_PARAMETER = r"""[$:@\#] (?: [A-Za-z0-9_$] | [^\x00-\x7f] | :: )* \(?"""
_TOKEN = re.compile(rf"{_TEXT_OR_COMMENT} | {_QUOTED_NAME} | {_PARAMETER} | [()]", re.VERBOSE | re.DOTALL)
# What is in none of these is words.
_NO_WORD = re.compile(rf"{_TEXT_OR_COMMENT} | ({_QUOTED_NAME}) | {_PARAMETER}", re.VERBOSE | re.DOTALL)


def _require_sound(expression: str, columns: Sequence[str]) -> None:
    """Raise InputError where a bracket closes what was not opened, and for a column that there is not.

    A parameter whose name holds brackets would hide others from this.

    SQLite takes a name in double quotes that it does not know for a text, which equals nothing.
    """
    known = {name.translate(LOWER) for name in (*_OWN, *columns)}
    meant = _meant(expression.translate(LOWER))
    for name in _OF_SQLITE:
        if name not in known and meant(name):
            raise _refused(expression, f"no such column: {name}", columns)
    depth = 0
    for match in _TOKEN.finditer(expression):
        name = match[0][1:-1].replace('""', '"')
        if match[0].startswith('"') and name.translate(LOWER) not in known:
            reason = f"no such column: {name} (a text goes in single quotes: {_literal(name)})"
            raise _refused(expression, reason, columns)
        if match[0][0] in "$:@#" and (match[0][0] in "$#" or match[0].endswith("(")):
            reason = f"{match[0]!r} (a parameter is :name or ?, an odd column goes in double quotes)"
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
        # A text ends for it where a NUL is.
        return (
            f"CASE WHEN instr(metadata, '\\u0000') THEN {_VALUE}(metadata, {_literal(name)}) "
            f"ELSE json_extract(metadata, {_literal(path)}) END"
        )
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
