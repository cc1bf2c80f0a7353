"""A file of text or Markdown as a document: its title, its text, and what its front matter says."""

from pathlib import Path
from typing import Any

from textrip.data.front_matter import UnreadableError, front_matter
from textrip.data.markdown import first_heading
from textrip.data.metadata import metadata_value
from textrip.files import COMPRESSIONS, numbered_lines, uncompressed_suffix

SUFFIXES = (".txt", ".md", ".markdown")


def read_text_file(path: Path) -> tuple[dict[str, str], bool]:
    """Title, text and metadata (JSON) of a file, and whether all of it was read as what it is.

    The title is that of a Markdown file's front matter, else its first line where that is a heading, else the
    file's name. What else the front matter says is metadata, and no part of the text; where it cannot be read
    it is text, and that is what the second value is for. Title and text are empty where there is no text.

    Raises:
        InputError: the file is not UTF-8 (with file and line).
    """
    # Old Macs' lines end with a carriage return alone.
    lines = [part for _, line in numbered_lines(path) for part in line.split("\r")]
    said: dict[str, Any] = {}
    heading, readable = None, True
    suffix = uncompressed_suffix(path)
    if suffix != ".txt":
        try:
            said, lines = front_matter(lines)
        except UnreadableError:
            readable = False
        heading, below = first_heading(lines)
        title = str(said.pop("title", None) or "").strip()
        if title:
            # A heading that says something else is told by no title, and stays in the text.
            lines, heading = (below if title == heading else lines), title
        elif heading is not None:
            lines = below
    text = "\n".join(lines).strip()
    document = {
        "title": heading if heading is not None else _name(path, suffix) if text else "",
        "text": text,
        "metadata": metadata_value(said, (), str(path), 1, typed=True) if said else "{}",
    }
    return document, readable


def _name(path: Path, suffix: str) -> str:
    packed = len(path.suffix) if path.suffix.lower() in COMPRESSIONS else 0
    name = path.name[: len(path.name) - packed - len(suffix)]
    return name.replace("_", " ").replace("-", " ")
