"""Words of any script, and what counts as the same text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrip.data.near_duplicates import shingles
from textrip.data.split import near_duplicate_key
from textrip.data.words import normalised, without_accents, words


@pytest.mark.parametrize(("text", "found"), [
    ("The cat_9, sat.", ["The", "cat_9", "sat"]),
    ("दिन और दान", ["दिन", "और", "दान"]),
    ("cafe\u0301 nai\u0308ve", ["cafe\u0301", "nai\u0308ve"]),
    ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
    ("\u0301 -", []),
])  # fmt: skip
def test_a_word_keeps_its_marks(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(st.text())
def test_words_are_what_a_plain_loop_finds(text: str) -> None:
    found, word = [], ""
    for sign in f"{text} ":
        letter = sign.isalnum() or sign == "_"
        mark = unicodedata.category(sign).startswith("M") and ord(sign) < 0x1F000
        if letter or (mark and word):
            word += sign
        else:
            found += [word] if word else []
            word = ""
    assert words(text) == found


@pytest.mark.parametrize("other", [
    "ÉCOLE DE  MUSIQUE", "e\u0301cole de musique", "école de ｍｕｓｉｑｕｅ", "école\nde musique",
])  # fmt: skip
def test_forms_of_one_text_are_the_same(other: str) -> None:
    text = "école de musique"
    assert normalised(text) == normalised(other)
    assert near_duplicate_key(text) == near_duplicate_key(other)
    assert shingles(text) == shingles(other)


def test_vowel_signs_tell_queries_apart() -> None:
    assert near_duplicate_key("दिन") != near_duplicate_key("दान")
    assert shingles("दिन") != shingles("दान")


def test_accents_go_and_other_marks_stay() -> None:
    assert without_accents("Ünïcödé й") == "Unicode и"
    assert without_accents("दीन 한국어") == "दीन 한국어"
