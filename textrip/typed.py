"""What type a value is to have, asked where it is given: deep in a library nobody knows its name."""

import inspect
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from textrip.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

# By what a field says: what fits, and what is made of it.
_PLAIN: Mapping[Any, tuple[Any, Callable[[Any], Any]]] = {
    int: (Integral, int),
    float: (Real, lambda value: value if isinstance(value, int) else float(value)),
    bool: (bool, bool),
    str: (str, str),
    types.NoneType: (types.NoneType, lambda value: value),
}
_IN_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a path",
}


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
            wrong.append(f"{name} is {value!r}, {_in_words(choices)} was expected")
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


def typed_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments of other types than a public function says, before it does anything.

    Of what a protocol wants it is asked whether the methods are there.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        hints = _hints(function)
        given = signature.bind(*args, **kwargs).arguments
        wrong = [
            f"{name} is {_abridged(value)}, {_in_words(hints[name])} was expected"
            for name, value in given.items()
            if name in hints and not any(_fits(choice, value) for choice in hints[name])
        ]
        if wrong:
            raise InputError("; ".join(wrong))
        return function(*args, **kwargs)

    return asked


def _fits(choice: Any, value: Any) -> bool:
    kind = get_origin(choice) or choice
    if kind in _PLAIN:
        return bool(_as(choice, value))
    if kind is Literal:
        return isinstance(value, str)  # whether it is one of them the function says
    if getattr(kind, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(kind) if not name.startswith("_"))
    if isinstance(value, str) and isinstance(kind, type) and not issubclass(kind, str):
        return False  # no list of texts, though its characters are some
    parts = get_args(choice)
    if (
        len(parts) == 1
        and isinstance(value, list | tuple)
        and not all(_fits(parts[0], part) for part in value)
    ):
        return False
    return not isinstance(kind, type) or isinstance(value, kind)


def _in_words(choices: tuple[Any, ...]) -> str:
    words: list[str] = []
    for choice in choices:
        kind, parts = get_origin(choice) or choice, get_args(choice)
        if kind is Literal:
            words += map(str, parts)
        elif kind is str and Path in choices:
            words.append("a name")
        elif kind in _IN_WORDS:
            words.append(_IN_WORDS[kind])
        elif parts and isinstance(parts[0], type):
            words.append(f"a list of {'whole numbers' if parts[0] is int else parts[0].__name__}")
        elif kind is not types.NoneType:
            words.append(getattr(kind, "__name__", str(kind)))
    return " or ".join(words)


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
