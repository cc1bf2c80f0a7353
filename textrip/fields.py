"""What a file of ours must say before it is believed: its fields, and what may stand in each.

A seal tells that a file is as somebody wrote it, not that textrip did.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from textrip.errors import DamagedError

# A field that holds texts by name: digests, prompts.
TEXTS: Final = "texts by name"


class Exactly(dict[str, Any]):
    """Fields beside which there may be no other."""


def require_fields(found: Any, wanted: Mapping[str, Any], path: Path) -> None:
    """Check the fields of an object; others than these may be there, too.

    Args:
        found: What was read.
        wanted: By name a type, a tuple of types or of the values that may be, a range of whole numbers,
            TEXTS, or the fields of an object inside.
        path: For the message.

    Raises:
        DamagedError: one is missing, or is something else.
    """
    for name, kind in wanted.items():
        if name not in found:
            raise DamagedError(f"{path}: has no {name!r}, or it was made by something else than textrip")
        value = found[name]
        if isinstance(kind, dict):
            if isinstance(value, dict) and not (isinstance(kind, Exactly) and value.keys() - kind.keys()):
                require_fields(value, kind, path)
                continue
            fits = False
        else:
            fits = _fits(value, kind)
        if not fits:
            raise DamagedError(f"{path}: {name} is {_short(value)}, {_in_words(kind)} was expected")


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, range):
        return type(value) is int and value in kind  # True is a number, too
    if kind is TEXTS:
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    if isinstance(kind, tuple) and not isinstance(kind[0], type):
        return isinstance(value, str) and value in kind
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:60]}..."


def _in_words(kind: Any) -> str:
    if isinstance(kind, range):
        return f"a whole number from {kind.start} to {kind.stop - 1}"
    if isinstance(kind, dict):
        return f"an object of {', '.join(kind)}"
    if kind is dict:
        return "an object"
    if isinstance(kind, tuple) and not isinstance(kind[0], type):
        return f"one of {', '.join(kind)}"
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return kind if isinstance(kind, str) else " or ".join(one.__name__ for one in kinds)
