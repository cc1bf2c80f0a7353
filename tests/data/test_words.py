"""Words of any script, and what counts as the same text."""

import re
import unicodedata
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrip.data.near_duplicates import shingles
from textrip.data.together import near_duplicate_key
from textrip.data.words import normalised, splits_a_word, without_accents, words


@pytest.mark.parametrize(("text", "found"), [
    ("The cat_9, sat.", ["The", "cat_9", "sat"]),
    ("दिन और दान", ["दिन", "और", "दान"]),
    ("cafe\u0301 nai\u0308ve", ["cafe\u0301", "nai\u0308ve"]),
    ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
    ("\u0301 -", []),
    ("机器学习，是AI的一个", ["机器", "器学", "学习", "是", "AI", "的一", "一个"]),
    ("東京へ行く tokyo", ["東京", "京へ", "へ行", "行く", "tokyo"]),
    ("ที่นี่ ดี", ["ที่นี่", "ดี"]),
    ("한국어 문장", ["한국어", "문장"]),
])  # fmt: skip
def test_a_word_keeps_its_marks(text: str, found: list[str]) -> None:
    assert words(text) == found


def plain(sign: str) -> bool:
    """Of no script that may be without blanks: by blocks of Unicode, wider than what is cut into pairs."""
    blocks = "\u0e00-\u0eff\u1000-\u17ff\u3005-\u30ff\u31f0-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    return not re.match(f"[{blocks}]", sign)


@given(st.text(st.characters().filter(plain)))
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


@given(st.text(st.sampled_from("机器学习ーのabＡ_ .กำที่́दि")))
def test_pairs_of_letters_are_what_a_plain_loop_finds(text: str) -> None:
    """Han, kana, Thai and their marks beside others."""
    units: list[str] = []  # a letter with its marks; or blank
    for sign in text:
        if unicodedata.category(sign).startswith("M"):
            if units and units[-1] != " ":
                units[-1] += sign
        else:
            units.append(sign if sign.isalnum() or sign == "_" else " ")
    found: list[str] = []
    for _, run in groupby(units, key=lambda unit: " " if unit == " " else plain(unit[0])):
        held = list(run)
        if held[0] == " ":
            continue
        if plain(held[0][0]):
            found.append("".join(held))
        else:
            found += ["".join(pair) for pair in pairwise(held)] if len(held) > 1 else held
    assert words(text) == found


def test_a_cut_beside_an_unspaced_letter_splits_no_word() -> None:
    text = "机器ab学 ที่ดี"
    cuts = [text[:place] for place in range(1, len(text)) if not splits_a_word(text, place)]
    assert cuts == ["机", "机器", "机器ab", "机器ab学", "机器ab学 ", "机器ab学 ที่"]


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
