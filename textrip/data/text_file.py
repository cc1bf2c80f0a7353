"""A file of text or Markdown as a document: its title, its text, and what its front matter says."""

import datetime
import re
import tomllib
from pathlib import Path
from typing import Any

from textrip.data.metadata import metadata_value
from textrip.files import COMPRESSIONS, numbered_lines, uncompressed_suffix

SUFFIXES = (".txt", ".md", ".markdown")

# A #hashtag, or the #! of a program, is none; hashes that close it are no part of it.
_HEADING = re.compile(r"#{1,6}\s+(.*?)(?:\s+#+)?")
# The line below a heading that has no hashes.
_UNDERLINE = re.compile(r"(=+|-{2,})\s*")
# What ends a block of front matter by what begins it: YAML's, and TOML's of Hugo.
_FENCES = {"---": ("---", "..."), "+++": ("+++",)}


def read_text_file(path: Path) -> dict[str, str]:
    """Title, text and metadata (JSON) of a file; title and text are empty where it has no text.

    The title is that of a Markdown file's front matter, else its first line where that is a heading, else the
    file's name. What else the front matter says is metadata, and no part of the text.

    Raises:
        InputError: the file is not UTF-8 (with file and line).
    """
    lines = [line for _, line in numbered_lines(path)]
    said: dict[str, Any] = {}
    heading, suffix = None, uncompressed_suffix(path)
    if suffix != ".txt":
        said, lines = _front_matter(lines)
        heading, below = _heading(lines)
        title = said.pop("title", None)
        if isinstance(title, str | int | float) and str(title).strip():
            # A heading that says something else is told by no title, and stays in the text.
            lines, heading = (below if str(title).strip() == heading else lines), str(title).strip()
        elif heading is not None:
            lines = below
    text = "\n".join(lines).strip()
    title = heading if heading is not None else _name(path, suffix) if text else ""
    return {
        "title": title,
        "text": text,
        "metadata": metadata_value(said, (), str(path), 1, typed=True) if said else "{}",
    }


def _heading(lines: list[str]) -> tuple[str | None, list[str]]:
    """The heading that a Markdown text begins with, and the rest; None where it begins with another line."""
    place = next((place for place, line in enumerate(lines) if line.strip()), None)
    if place is None:
        return None, []
    line, rest = lines[place].strip(), lines[place + 1 :]
    found = _HEADING.fullmatch(line)
    if found is not None:
        return found[1], rest
    if rest and _UNDERLINE.fullmatch(rest[0]) and not _UNDERLINE.fullmatch(line):
        return line, rest[1:]
    return None, lines[place:]


def _name(path: Path, suffix: str) -> str:
    packed = len(path.suffix) if path.suffix.lower() in COMPRESSIONS else 0
    name = path.name[: len(path.name) - packed - len(suffix)]
    return name.replace("_", " ").replace("-", " ")


def _front_matter(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    """What stands between the fences that a file begins with, and the lines below; no fences, and nothing.

    What is neither a mapping of YAML nor a table of TOML is text between two rules, and stays.
    """
    fence = lines[0].rstrip() if lines else ""
    ends = _FENCES.get(fence, ())
    end = next((place for place, line in enumerate(lines[1:], start=1) if line.rstrip() in ends), None)
    if end is None:
        return {}, lines
    block = "\n".join(lines[1:end])
    said = _of_toml(block) if fence == "+++" else _of_yaml(block)
    if said is None or not _is_plain(said):
        return {}, lines
    return {str(name): value for name, value in said.items()}, lines[end + 1 :]


def _of_toml(block: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(block)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _of_yaml(block: str) -> dict[Any, Any] | None:
    import yaml

    try:
        # A few lines of aliases can stand for more than fits into memory.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(block, Loader=yaml.SafeLoader)):
            return None
        said = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError):  # a date of the 31st of February
        return None
    return said if isinstance(said, dict) else None


def _is_plain(value: Any) -> bool:
    """Whether JSON has a word for it, or it is a time."""
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(
        value, str | int | float | datetime.date | datetime.datetime | datetime.time
    )
