"""Values of a row, checked: texts, ids and judgments."""

from typing import Any

from textrip.data.rows import Row
from textrip.data.words import lone_surrogate
from textrip.errors import InputError
from textrip.records import HIGHEST_GRADE, Document


def text_value(row: Row, column: str, source: str, line: int, *, optional: bool = False) -> str:
    """A row's value that must be text; null counts as missing.

    Raises:
        InputError: missing (unless optional, then ""), not text, or with a lone surrogate.
    """
    value = row.get(column)
    if value is None:
        if optional:
            return ""
        raise missing(row, column, source, line)
    if not isinstance(value, str):
        raise InputError.at(source, line, f"{column!r} is {_kind(value)}, text was expected")
    return _encodable(value, column, source, line)


def missing(row: Row, column: str, source: str, line: int, remark: str = "") -> InputError:
    """The error of a row that lacks a column."""
    if column in row:
        return InputError.at(source, line, f"{column!r} is null{remark}, a value was expected")
    found = ", ".join(map(repr, row)) or "nothing"
    return InputError.at(source, line, f"has no {column!r}{remark} (found: {found})")


def id_value(row: Row, column: str, source: str, line: int, *, what: str = "an id") -> str:
    """A row's id, or `what` it is: text that is not blank, or a whole number."""
    value = row.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        raise InputError.at(source, line, f"{column!r} is {value!r}, a text or a whole number was expected")
    value = text_value(row, column, source, line)
    if not value.strip():
        raise InputError.at(source, line, f"{column!r} is blank, {what} was expected")
    return value


def require_text(name: str, value: Any) -> None:
    """Raise InputError for what is no text, or has half a character, which no file holds."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}, a string was expected")
    found = lone_surrogate(value)
    if found is not None:
        raise InputError(f"{name} has a lone surrogate '{found}', no character")


def require_document(document: Document) -> None:
    """Raise InputError for a blank id, a part that is no text, or half a character, which no file holds."""
    for name in ("doc_id", "title", "text"):
        require_text(f"document {document.doc_id!r}: {name}", getattr(document, name))
    if not document.doc_id.strip():
        raise InputError(f"a document's id is {document.doc_id!r}, which is blank; give it one")


def relevance_value(value: Any, source: str, line: int) -> int:
    """A judgment: a whole number, 0 and below for judged and not relevant."""
    try:
        if isinstance(value, str) and "_" in value:  # Python's own way to write 1000
            raise ValueError
        number = float(value)
        if number == int(number) and number <= HIGHEST_GRADE:
            return int(number)
        high = number > HIGHEST_GRADE
    except (TypeError, ValueError, OverflowError):
        high = False
    if high:
        reason = f"relevance is {value!r}, a grade of at most {HIGHEST_GRADE:,} was expected"
        raise InputError.at(source, line, reason)
    reason = f"relevance is {value!r}, a whole number was expected (0 is not relevant); round it"
    raise InputError.at(source, line, reason)


def _encodable(value: str, column: str, source: str, line: int) -> str:
    found = lone_surrogate(value)
    if found is not None:
        reason = (
            f"{column!r} has a lone surrogate {found}, which is no character; mend the program that wrote it"
        )
        raise InputError.at(source, line, reason)
    return value


def _kind(value: Any) -> str:
    return {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}.get(
        type(value), f"a {type(value).__name__}"
    )
