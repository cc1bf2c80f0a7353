"""Comparisons of a text with a number: SQL answers them, and never as was meant.

To SQLite every text is above every number, and no number equals a text. Data has both without its owner
knowing: JSONL with "year": "1999", or a column of a CSV in which 12345 is a number and 01234 is none.
"""

import math
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# SQLite takes letters of ASCII alone for the same in both cases.
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NAME = r"""(?P<name>"(?:[^"]|"")*"|[^\W\d][\w$]*)"""
_VALUE = r"""(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?\b|'(?:[^']|'')*'|[:@]\w+)"""
_SIGN = r"(?:<=|>=|<>|!=|==?|<|>)"
_COMPARISONS = [
    re.compile(rf"{_NAME}\s*(?:{_SIGN}|\bbetween\b|\bin\s*\()\s*{_VALUE}", re.IGNORECASE),
    re.compile(rf"{_VALUE}\s*{_SIGN}\s*{_NAME}", re.IGNORECASE),
]


def remarks(
    expression: str,
    parameters: Mapping[str, Any] | Sequence[Any],
    names: Mapping[str, str],
    sample: Callable[[str], list[Any]],
) -> Iterator[str]:
    """What is to be said of an expression, a line for each column at most.

    Args:
        expression: SQL.
        parameters: Their values; those without a name are passed over.
        names: The columns of metadata that it may name, by their name in small letters.
        sample: Some values of a column.
    """
    said = set()
    for pattern in _COMPARISONS:
        for match in pattern.finditer(expression):
            name = names.get(match["name"].strip('"').replace('""', '"').translate(LOWER))
            value = _value(match["value"], parameters)
            if name is None or name in said or value is None:
                continue
            remark = _remark(name, value, sample(name))
            if remark is not None:
                said.add(name)
                yield remark


def _value(written: str, parameters: Mapping[str, Any] | Sequence[Any]) -> float | str | None:
    """What a column is compared with; None where that is neither a number nor a text."""
    if written.startswith("'"):
        return written[1:-1].replace("''", "'")
    if written[0] not in ":@":
        return float(written)
    given = parameters.get(written[1:]) if isinstance(parameters, Mapping) else None
    return given if isinstance(given, int | float | str) and not isinstance(given, bool) else None


def _remark(name: str, value: float | str, sample: list[Any]) -> str | None:
    if not isinstance(value, str):
        texts = [found for found in sample if isinstance(found, str) and _is_number(found)]
        if texts:
            return (
                f"where: {name} has texts that are written as numbers ({texts[0]!r}), and to SQL every text "
                f"is above every number: compare CAST({_quoted(name)} AS REAL)"
            )
        return None
    numbers = [found for found in sample if isinstance(found, int | float)]
    if numbers and _is_number(value):
        return (
            f"where: {name} has numbers ({numbers[0]!r}), and to SQL no number equals a text: compare with a "
            f"number, or CAST({_quoted(name)} AS TEXT)"
        )
    return None


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d][\w$]*", name) else '"' + name.replace('"', '""') + '"'


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
