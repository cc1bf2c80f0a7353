"""What of Markdown matters here: headings, and the lines that are code or a comment."""

import re
from collections.abc import Iterator, Sequence

_HASHES = re.compile(r"#{1,6}\s+")
# The line below a heading that has no hashes.
_UNDERLINE = re.compile(r"(=+|-{2,})\s*")
# What no such heading begins with: lists, quotations, tables, fences, and what is indented, which is code.
_NO_PARAGRAPH = re.compile(r"[-*+>|`~#]|\d+[.)]\s|\s{4}|\t")
# What follows backticks has none itself, or it is code within a line.
_FENCE = re.compile(r"\s*(?P<fence>`{3,}(?=[^`]*$)|~{3,})(?P<rest>.*)")


def heading_of(line: str) -> str | None:
    """What a heading says, without the hashes before it, and those after it that stand alone.

    None of another line: a #hashtag, or the #! of a program, is no heading.
    """
    line = line.strip()
    if _HASHES.match(line) is None:
        return None
    said = line.lstrip("#").strip()
    bare = said.rstrip("#")
    return bare.rstrip() if not bare or bare[-1].isspace() else said


def first_heading(lines: Sequence[str]) -> tuple[str | None, list[str]]:
    """The heading that a text begins with, and the lines below; None, and all of them, where it has none."""
    place = next((place for place, line in enumerate(lines) if line.strip()), len(lines))
    rest = list(lines[place + 1 :])
    if place < len(lines):
        line = lines[place]
        found = None if line.startswith(("    ", "\t")) else heading_of(line)
        if found is not None:
            return found, rest
        if rest and _UNDERLINE.fullmatch(rest[0]) and not _NO_PARAGRAPH.match(line):
            return line.strip(), rest[1:]
    return None, list(lines[place:])


def outside_code(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Lines with their places that are neither code nor a comment: what is there only looks like a heading.

    As in CommonMark a fence is closed by one of its own kind, at least as long, with nothing behind it, and a
    comment of HTML begins a line of its own.
    """
    opened, comment = "", False
    for place, line in enumerate(lines):
        if comment:
            comment = "-->" not in line
            continue
        match = _FENCE.match(line)
        if match is None:
            if not opened:
                begun = line.lstrip().startswith("<!--")
                comment = begun and "-->" not in line
                if not begun:
                    yield place, line
        elif not opened:
            opened = match["fence"]
        elif match["fence"].startswith(opened) and not match["rest"].strip():
            opened = ""
