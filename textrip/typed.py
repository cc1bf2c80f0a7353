"""What type a value is to have, asked where it is given: deep in a library nobody knows its name."""

import reprlib
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from textrip.errors import InputError

# By what a field says: what fits, and what is made of it.
_PLAIN: Mapping[Any, tuple[Any, Callable[[Any], Any]]] = {
    int: (Integral, int),
    float: (Real, lambda value: value if isinstance(value, int) else float(value)),
    bool: (bool, bool),
    str: (str, str),
    types.NoneType: (types.NoneType, lambda value: value),
}
_IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def require_types(record: Any) -> None:
    """Give a frozen dataclass the plain types that its fields say (NumPy's numbers are none).

    Names that a Literal lists are for the record itself to check, save that they are texts.

    Raises:
        InputError: a value of another type, each by its name.
    """
    wrong = []
    for name, choices in _hints(record.__class__).items():
        value = getattr(record, name)
        found = [plain for choice in choices for plain in _as(choice, value)]
        if isinstance(value, str) and all(get_origin(choice) is Literal for choice in choices):
            continue  # a name
        if found:
            object.__setattr__(record, name, found[0])
        else:
            wrong.append(f"{name} is {value!r}, {_wanted(choices)} was expected")
    if wrong:
        raise InputError("; ".join(wrong))


def require_whole(name: str, value: Any, *, least: int | None = None) -> None:
    """Raise InputError for what is no whole number, or too small a one."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} is {value!r}, a whole number was expected")
    if least is not None and value < least:
        raise InputError(f"{name} is {value}, at least {least} was expected")


def require_type(name: str, value: Any, wanted: type | tuple[type, ...], words: str) -> None:
    """Raise InputError where a value is of none of these types; `words` say what was wanted."""
    if not isinstance(value, wanted):
        raise InputError(f"{name} is {_abridged(value)}, {words} was expected")


def _abridged(value: Any) -> str:
    """A value as an error shows it: by its type where it is more than a name or a number."""
    if isinstance(value, str | bytes | int | float | types.NoneType):
        return reprlib.repr(value)
    return f"of type {type(value).__name__}"


@cache
def _hints(record: Any) -> dict[str, tuple[Any, ...]]:
    hints = get_type_hints(record)
    return {name: _choices(hint) for name, hint in hints.items()}


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in {Union, types.UnionType}:
        return tuple(choice for part in get_args(hint) for choice in _choices(part))
    return (hint,)


def _as(choice: Any, value: Any) -> list[Any]:
    """The value as a choice has it, alone in a list; an empty one where it is of another type."""
    if get_origin(choice) is Literal:
        return [value] if isinstance(value, str) and value in get_args(choice) else []
    if get_origin(choice) is tuple:
        if isinstance(value, str) or not isinstance(value, Iterable):
            return []
        parts = [_as(get_args(choice)[0], part) for part in value]
        return [tuple(part[0] for part in parts)] if all(parts) else []
    kind, plain = _PLAIN[choice]
    fits = isinstance(value, kind) and (choice is bool or not isinstance(value, bool))
    return [plain(value)] if fits else []


def _wanted(choices: tuple[Any, ...]) -> str:
    words = []
    for choice in choices:
        if get_origin(choice) is Literal:
            words += [str(name) for name in get_args(choice)]
        elif get_origin(choice) is tuple:
            words.append("a list of whole numbers")
        elif choice is not type(None):
            words.append(_IN_WORDS[choice])
    return " or ".join(words)
