"""Words of a text in any script, and the form in which texts count as the same."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

_ASCII_WORD = re.compile(r"\w+", re.ASCII)
# Marks (vowel signs, accents, tones) lie below this; those above it select an emoji's form.
_MARKS_UP_TO = 0x1F000
# Scripts without blanks between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0e4f\u0e80-\u0eff\u1000-\u103f\u1780-\u17d3\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_ANY_UNSPACED = re.compile(f"[{_UNSPACED}]")


@cache
def _marks() -> str:
    """The marks of all scripts, as ranges of a pattern."""
    marks = [
        code for code in range(0x300, _MARKS_UP_TO) if unicodedata.category(chr(code)) in {"Mn", "Mc", "Me"}
    ]
    ranges, first = [], marks[0]
    for code, following in zip(marks, [*marks[1:], -1], strict=True):
        if following != code + 1:
            ranges.append(f"{chr(first)}-{chr(code)}")
            first = following
    return "".join(ranges)


@cache
def _any_word() -> re.Pattern[str]:
    r"""Words with their marks: `\w` alone would cut Devanagari, Thai or decomposed letters at every sign."""
    return re.compile(rf"\w[\w{_marks()}]*")


@cache
def _parts_of_unspaced() -> re.Pattern[str]:
    """A letter of an unspaced script with its marks, or a run of anything else."""
    letter = rf"(?![{_marks()}])[{_UNSPACED}]"
    return re.compile(rf"{letter}[{_marks()}]*|(?:(?!{letter}).)+", re.DOTALL)


def word_pattern(text: str) -> re.Pattern[str]:
    """What a word of this text is: letters, digits and underscores, with their marks."""
    return _ASCII_WORD if text.isascii() else _any_word()


def is_unspaced(text: str) -> bool:
    """Whether any of it is of a script without blanks between words."""
    return not text.isascii() and _ANY_UNSPACED.search(text) is not None


def words(text: str) -> list[str]:
    """The words of a text, in order.

    Where a script has no blanks between words (Chinese, Japanese, Thai), these are its pairs of letters, as
    search engines have them without a dictionary: a clause as one word would be found by itself alone.
    """
    found = word_pattern(text).findall(text)
    if not is_unspaced(text):
        return found
    return [part for word in found for part in _pairs_of_letters(word)]


def _pairs_of_letters(word: str) -> Iterator[str]:
    if not _ANY_UNSPACED.search(word):
        yield word
        return
    run: list[str] = []
    for part in [*_parts_of_unspaced().findall(word), ""]:
        if part and _ANY_UNSPACED.match(part):
            run.append(part)
            continue
        yield from map("".join, pairwise(run)) if len(run) > 1 else run
        run = []
        if part:
            yield part


def splits_a_word(text: str, place: int) -> bool:
    """Whether a cut before this character has parts of one word on both sides."""
    if not 0 < place < len(text):
        return False
    between = text[place - 1 : place + 1]
    if _ANY_UNSPACED.search(between) and not unicodedata.category(between[1]).startswith("M"):
        return False  # beside a letter of a script without blanks any place is as good, but before its marks
    # A mark begins no word, and may go on with one: a letter goes before both.
    return word_pattern(text).fullmatch(f"a{between}") is not None


_INVISIBLE = "\u00ad\u2060\ufeff"


def lone_surrogate(text: str) -> str | None:
    r"""The first half of a character, as \ud800, which is no text: no file and no database holds it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"\\u{ord(text[error.start]):04x}"
    return None


def folded(text: str) -> str:
    """A text in one case and one Unicode form (NFKC): full-width, decomposed and usual letters are one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", without_invisible(text)).casefold()


def without_invisible(text: str) -> str:
    """A text without the signs that only say where a line may or may not end: soft hyphen, word joiner, BOM.

    HTML and PDF have them inside of words. What is between words of Thai or Khmer stays, and so do joiners
    that choose the form of a letter.
    """
    for sign in _INVISIBLE:
        text = text.replace(sign, "")
    return text


def without_accents(text: str) -> str:
    """A text without the marks that a searcher may leave out: accents, Hebrew points, Arabic vowels.

    The marks of other scripts stay: without its vowel signs a word of Hindi is another word.
    """
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    for mark in filter(_is_accent, set(decomposed)):  # a text has few of them, many times
        decomposed = decomposed.replace(mark, "")
    return unicodedata.normalize("NFKC", decomposed)


def _is_accent(sign: str) -> bool:
    """By its combining class: 10 to 35 are points of Hebrew, Arabic and Syriac, from 200 accents."""
    place = unicodedata.combining(sign)
    return place >= 200 or 10 <= place <= 35


def normalised(text: str) -> str:
    """A text as it counts for being the same: case, blanks and Unicode's forms do not matter."""
    return " ".join(folded(text).split())
