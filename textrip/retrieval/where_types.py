"""Comparisons of a text with a number: SQL answers them, and never as was meant.

To SQLite every text is above every number, and no number equals a text. Data has both without its owner
knowing: JSONL with "year": "1999", or a column of a CSV in which 12345 is a number and 01234 is none.
"""

import math
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# SQLite takes letters of ASCII alone for the same in both cases.
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^']|'')*') | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?) | (?P<parameter>[:@]\w+|\?)
    | (?P<word>[^\W\d][\w$]*) | (?P<sign><=|>=|<>|!=|==|\|\||[^\w\s])
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMPARING = {"<=", ">=", "<>", "!=", "==", "=", "<", ">", "is"}
# What is next to one of these is a part of something that is compared.
_OF_SUMS = {"+", "-", "*", "/", "%"}
_OF_MORE = _OF_SUMS | {"||", "|", "&", "~", "."}
_ABOVE = "and to SQL every text is above every number"
_TRUTHS = {"true", "false"}

Value = float | str
Parameters = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True)
class _Token:
    """A word of the expression: a column's name, a value, or anything else as it is written."""

    written: str
    name: str | None = None
    value: Value | None = None


def remarks(
    expression: str,
    parameters: Parameters,
    names: Mapping[str, str],
    sample: Callable[[str], list[Any]],
) -> Iterator[str]:
    """What is to be said of an expression, a line for each column at most.

    Args:
        expression: SQL that SQLite took.
        parameters: Their values.
        names: The columns of metadata that it may name, by their name in small letters.
        sample: Some values of a column.
    """
    tokens = list(_tokens(expression, parameters, names))
    if any(token.written == "typeof" for token in tokens):  # whoever asks knows
        return
    said = set()
    for name, values in _comparisons(tokens):
        remark = None if name in said else _remark(name, values, sample(name))
        if remark is not None:
            said.add(name)
            yield remark


def _tokens(expression: str, parameters: Parameters, names: Mapping[str, str]) -> Iterator[_Token]:
    marks = 0
    for match in _TOKEN.finditer(expression):
        written = match[0]
        match match.lastgroup:
            case "comment":
                continue
            case "text":
                yield _Token(written, value=written[1:-1].replace("''", "'"))
            case "number":
                yield _Token(written, value=float(written))
            case "parameter":
                yield _Token(written, value=_given(parameters, written[1:] or marks))
                marks += written == "?"
            case "quoted":
                mark = written[-1]
                name = written[1:-1] if mark == "]" else written[1:-1].replace(mark * 2, mark)
                yield _Token(written, name=names.get(name.translate(LOWER)))
            case _:
                word = written.translate(LOWER)
                if word != "not":  # NOT IN and NOT BETWEEN compare alike
                    yield _Token(word, name=names.get(word))


def _given(parameters: Parameters, which: str | int) -> Value | None:
    try:
        found = parameters[which]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return None
    return found if isinstance(found, int | float | str) and not isinstance(found, bool) else None


def _comparisons(tokens: Sequence[_Token]) -> Iterator[tuple[str, list[Value]]]:
    """Each column that is compared as it is, and what with."""
    nothing = _Token("")
    padded = [nothing, *tokens, nothing, nothing]
    for place in range(1, len(padded) - 2):
        before, left, sign, right = padded[place - 1 : place + 3]
        if left.name is not None and before.written not in _OF_MORE:
            values = _values(padded, place + 1)
            if values:
                yield left.name, values
        elif left.value is not None and right.name is not None and sign.written in _COMPARING:
            after = padded[place + 3] if place + 3 < len(padded) else nothing
            if before.written not in _OF_MORE and after.written not in _OF_MORE:
                yield right.name, [left.value]


def _values(tokens: Sequence[_Token], place: int) -> list[Value]:
    """What stands after a column, where that is a comparison with a value or a list of them."""
    sign = tokens[place].written
    if sign == "in" and tokens[place + 1].written == "(":
        listed: list[Value] = []
        for token in tokens[place + 2 :]:
            if token.written == ")":
                return listed
            if token.value is not None:
                listed.append(token.value)
            elif token.written not in {",", "-"}:
                break
        return []
    if sign not in {*_COMPARING, "between"}:
        return []
    negative = tokens[place + 1].written == "-"
    place += 1 + negative
    value = tokens[place].value
    after = place + 1
    if isinstance(value, int | float):  # of numbers alone, as 2027-01-01 is where it stands without quotes
        while tokens[after].written in _OF_SUMS and isinstance(tokens[after + 1].value, int | float):
            after += 2
    if value is None or tokens[after].written in _OF_MORE:
        return []
    return [value]


def _remark(name: str, values: Sequence[Value], sample: Sequence[Any]) -> str | None:
    numbers = [found for found in sample if isinstance(found, int | float)]
    if not any(isinstance(value, str) for value in values):
        texts = [found for found in sample if isinstance(found, str)]
        written = [text for text in texts if _is_number(text)]
        if written:
            return (
                f"where: {name} has texts that are written as numbers ({written[0]!r}), {_ABOVE}: compare "
                f"CAST({_quoted(name)} AS REAL)"
            )
        if texts and not numbers:
            return f"where: {name} has texts ({texts[0]!r}), {_ABOVE}: compare with a text, in quotes"
    elif numbers and all(isinstance(value, str) and _is_number(value) for value in values):
        return (
            f"where: {name} has numbers ({numbers[0]!r}), and to SQL no number equals a text: compare "
            f"with a number, or CAST({_quoted(name)} AS TEXT)"
        )
    elif numbers and {*numbers} <= {0, 1} and {str(value).lower() for value in values} <= _TRUTHS:
        return f"where: {name} has {numbers[0]!r}; true and false are 1 and 0 to SQL: compare with these"
    return None


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d][\w$]*", name) else '"' + name.replace('"', '""') + '"'


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
