"""Front matter: what a Markdown file says of itself between two fences, in YAML or (Hugo's) TOML.

A value means what a table's cell does (see `metadata_value`): a plain one that is written as a number is one
where it reads back the same, so that "007", "1.10" and "12:30" are what they look like.
"""

import datetime
import json
import tomllib
from typing import Any

from textrip.data.metadata import as_number

# What ends a block by what begins it.
_FENCES = {"---": ("---", "..."), "+++": ("+++",)}
# A text between two rules may be a book, and is not looked through for what it might say of itself.
_MOST_CHARACTERS = 2**16
_PLAIN: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


class UnreadableError(ValueError):
    """It looks like front matter, and cannot be read as that."""


def front_matter(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    """What is said between the fences that a file begins with, and the lines below; no fences, and nothing.

    A text between two rules is none.

    Raises:
        UnreadableError: it is neither YAML nor TOML, or says more than JSON can hold: a key twice, an alias.
    """
    fence = lines[0].rstrip() if lines else ""
    ends = _FENCES.get(fence, ())
    end = next((place for place, line in enumerate(lines[1:], start=1) if line.rstrip() in ends), None)
    if end is None:
        return {}, lines
    block = "\n".join(lines[1:end])
    if len(block) > _MOST_CHARACTERS:
        return {}, lines
    try:
        said = _of_toml(block) if fence == "+++" else _of_yaml(block)
    except RecursionError:
        raise UnreadableError from None
    if said is None:
        return {}, lines
    if not said and any(map(str.strip, lines[1:end])):
        # Comments to YAML; of Markdown they are headings, and one of nothing else may be either.
        return {}, [*lines[1:end], *lines[end + 1 :]] if _all_comments(lines[1:end]) else lines[end + 1 :]
    try:
        json.dumps(said, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError):  # half a character; a number of more digits than Python writes
        raise UnreadableError from None
    return said, lines[end + 1 :]


def _all_comments(lines: list[str]) -> bool:
    return all(line.lstrip().startswith("#") for line in lines if line.strip())


def _of_toml(block: str) -> dict[str, Any]:
    try:
        said = tomllib.loads(block)
    except ValueError:  # its own error is one, and so is that of a number with too many digits
        raise UnreadableError from None
    title = said.get("title")
    if "title" in said:
        said["title"] = title if isinstance(title, str) else _scalar_text(title)
    return said


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | datetime.date | datetime.time):
        raise UnreadableError
    return str(value)


def _of_yaml(block: str) -> dict[str, Any] | None:
    """A mapping; None where it is a text, and an empty one where it says nothing."""
    import yaml

    try:
        node = yaml.compose(block, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError):
        raise UnreadableError from None
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        return None
    said = _mapping(node, set())
    # A title is what is written: "No" is no falsehood.
    written = next((value.value for key, value in node.value if key.value == "title"), None)
    if said.get("title") is not None:
        if not isinstance(written, str):
            raise UnreadableError
        said["title"] = written
    return said


def _mapping(node: Any, seen: set[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key.value, str) or key.value in found:
            raise UnreadableError
        found[key.value] = _value(value, seen)
    return found


def _value(node: Any, seen: set[int]) -> Any:
    if id(node) in seen:  # an alias: a few lines of them can stand for more than fits into memory
        raise UnreadableError
    seen.add(id(node))
    if isinstance(node.value, str):
        return _scalar(node)
    if node.id == "mapping":
        return _mapping(node, seen)
    return [_value(item, seen) for item in node.value]


def _scalar(node: Any) -> Any:
    if node.style is not None:  # in quotation marks, or a block of text
        return node.value
    lowered = node.value.lower()
    return _PLAIN[lowered] if lowered in _PLAIN else as_number(node.value)
