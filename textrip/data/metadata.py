"""What a row of documents has besides id, title and text: kept with them, for conditions in a search."""

import json
import math
import reprlib
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from textrip.data.rows import Row
from textrip.data.words import lone_surrogate
from textrip.errors import InputError

# BEIR's own name for an object of them.
_NESTED = "metadata"
# So deep may one value be in another: what is read back at the depth of any caller, in any program.
_MOST_NESTED = 100
_TOO_DEEP = f"it is nested more than {_MOST_NESTED} levels deep"


def metadata_value(row: Row, taken: Collection[str], source: str, line: int, *, typed: bool) -> str:
    """The columns that have no role, as a JSON object.

    Args:
        row: All of it.
        taken: The columns that have a role.
        source: For errors.
        line: For errors.
        typed: Whether the format has numbers; where not (CSV, TSV) what is written as one is one.

    Raises:
        InputError: a value that is no text JSON could hold.
    """
    found = {name: value for name, value in row.items() if name is not None and name not in taken}
    nested = found.pop(_NESTED, None)
    if isinstance(nested, dict):
        both = sorted(found.keys() & nested.keys())
        if both:
            reason = f"{both[0]!r} is a column, and in {_NESTED!r}, too: one of them would be lost; rename it"
            raise InputError.at(source, line, reason)
        found = {**nested, **found}
    elif nested is not None:
        found[_NESTED] = nested
    try:
        values = {name: _plain(value, typed=typed) for name, value in found.items()}
        text = json.dumps(values, ensure_ascii=False, allow_nan=False, default=str)
        text.encode("utf-8")
    except (ValueError, RecursionError) as error:
        columns = ", ".join(map(repr, found))
        raise InputError.at(source, line, f"metadata ({columns}) cannot be kept: {error}") from None
    return text


def as_kept(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """Metadata as it comes back from where it is kept: JSON has no tuples, and names are strings.

    Raises:
        InputError: JSON could not hold it.
    """
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, default=_of_numpy)
        kept: dict[str, Any] = json.loads(text)
        for value in kept.values():
            _plain(value, typed=True)
    except RecursionError:
        raise InputError(f"metadata cannot be kept: {_TOO_DEEP}") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata cannot be kept: {_culprit(metadata) or error}") from None
    found = lone_surrogate(text)
    if found is not None:
        raise InputError(f"metadata cannot be kept: it has a lone surrogate '{found}', no character")
    return kept


def _culprit(metadata: Mapping[Any, Any]) -> str | None:
    """The first value that JSON has no word for, in words; None where something else is wrong."""
    for name, value in metadata.items():
        try:
            json.dumps(value, default=_of_numpy)
        except TypeError:
            return (
                f"{name!r} is {reprlib.repr(value)}; text, a number, true or false, None, or a list or "
                "dictionary of them was expected"
            )
        except (ValueError, RecursionError):
            continue
    return None


def _of_numpy(value: Any) -> Any:
    """NumPy's numbers as Python's, as a condition's values are (see `Where`)."""
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    raise TypeError


def is_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two are kept as the same: to Python 1, 1.0 and True are equal, in JSON they are not."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def _plain(value: Any, *, typed: bool, depth: int = 1) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if isinstance(value, Decimal):
        return _of_decimal(value)
    if isinstance(value, list | tuple | dict) and depth > _MOST_NESTED:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, list | tuple):  # the latter of a map of Parquet's
        return [_plain(item, typed=True, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item, typed=True, depth=depth + 1) for name, item in value.items()}
    if typed or not isinstance(value, str):
        return value
    return as_number(value) if value else None  # an empty cell holds nothing, and no text above all numbers


def _of_decimal(value: Decimal) -> Any:
    """A number, as JSON and SQL know them; of more digits than such a one has, the text."""
    if not value.is_finite():
        return None
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def as_number(value: str) -> Any:
    """What a text is written as: a number only where it reads back the same; "007" and "1e3" are names."""
    for number in (int, float):
        try:
            made = number(value)
        except ValueError:
            continue
        return made if str(made) == value and math.isfinite(made) else value
    return value
