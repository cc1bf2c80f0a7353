"""Data on stdout, talk on stderr, and nothing in a document that could drive a terminal."""

import contextlib
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textrip.retrieval.snippet import Snippet

# Marks that turn the direction of a line around: U+200E, U+200F, U+061C, U+202A to U+202E, U+2066 to U+2069.
_BIDI = {0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}

# What a byte of a file's name is in Python where it is not UTF-8.
_BYTE = re.compile("[\udc80-\udcff]")

# What JSON leaves as it is.
_OBEYED = re.compile("[\x7f-\x9f" + "".join(map(chr, sorted(_BIDI))) + "]")


def printable(text: str) -> str:
    r"""A text without control characters: escape sequences and direction marks are taken out.

    A byte of a file's name that is not UTF-8, which no terminal shows, is \xe9 and the like.
    """
    spaced = text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
    if not spaced.isascii():
        spaced = _BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", spaced)
    return "".join(
        character
        for character in spaced
        if unicodedata.category(character) not in {"Cc", "Cs"} and ord(character) not in _BIDI
    )


def say(remark: str) -> None:
    """One line of talk on stderr."""
    with contextlib.suppress(OSError):
        print(printable(remark), file=sys.stderr, flush=True)


def emit(lines: str = "", *, styled: bool = False) -> None:
    """Lines of data on stdout, made printable; what is `styled` was, and has marks of its own.

    What is to be one line, whatever is in it, goes through `printable` before.
    """
    print(lines if styled else "\n".join(map(printable, lines.split("\n"))), flush=False)


def heard_or_not() -> contextlib.AbstractContextManager[None]:
    """Inside, a reader who has left is no end: the exit code is a verdict, and is still to come."""
    return contextlib.suppress(BrokenPipeError)


def emit_json(value: Any) -> None:
    """One JSON value on one line; escaped where stdout cannot carry a character, or a terminal obeys it."""
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") not in {"utf8", "utf8sig"}
    line = json.dumps(value, ensure_ascii=plain)
    if _BYTE.search(line):  # of a file's name: no text, and escaped it can be read
        line = json.dumps(value)
    emit(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line), styled=True)


def emit_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A plain table on stdout, numbers to the right; the same on a terminal and in a file."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *cells]) for column in range(len(header))]
    left = [all(not _is_number(row[column]) for row in cells) for column in range(len(header))]
    for line in [list(header), ["-" * width for width in widths], *cells]:
        padded = (
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, left, strict=True)
        )
        emit("  ".join(padded).rstrip())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def marked(snippet: "Snippet") -> str:
    """A snippet with its matches in bold on a terminal (not under NO_COLOR), plain elsewhere."""
    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    before, after = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    parts, place = [], 0
    for start, end in snippet.marks:
        parts += [printable(snippet.text[place:start]), before, printable(snippet.text[start:end]), after]
        place = end
    return "".join([*parts, printable(snippet.text[place:])])
