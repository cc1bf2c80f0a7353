"""Keywords equal class-based TF-IDF as plain loops, and as arithmetic by hand."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from textrip.clustering.keywords import keywords

WORDS = st.sampled_from(["rose", "Tulip", "boat", "the", "42", "3d", "x", "wave", "reef", "gull"])
TEXTS = st.lists(st.lists(WORDS, max_size=8).map(" ".join), min_size=1, max_size=8)


def words_of(text: str) -> list[str]:
    found = re.findall(r"\w+", text.lower())
    return [word for word in found if len(word) > 1 and word[0].isalpha() and word not in ENGLISH_STOP_WORDS]


def weights(texts: Sequence[str], labels: Sequence[int], clusters: int) -> list[dict[str, float]]:
    """W(t, c) = (tf(t, c) / |c| - tf(t, rest) / |rest|) log(1 + A / f(t)), by cluster and word."""
    counts: list[Counter[str]] = [Counter() for _ in range(clusters)]
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(words_of(text))
    average = sum(sum(count.values()) for count in counts) / clusters
    found: list[dict[str, float]] = []
    for count in counts:
        rest = sum((other for other in counts if other is not count), Counter())
        found.append({})
        for word, tf in count.items():
            share = Fraction(tf, count.total()) - Fraction(rest[word], max(1, rest.total()))
            if share > 0:
                found[-1][word] = float(share) * math.log(1 + average / (tf + rest[word]))
    return found


@given(TEXTS, st.integers(1, 4), st.data())
def test_equals_plain_loops(texts: list[str], clusters: int, data: st.DataObject) -> None:
    size = len(texts)
    labels = data.draw(st.lists(st.integers(0, clusters - 1), min_size=size, max_size=size))
    found = keywords(texts, np.asarray(labels), clusters=clusters, count=4)
    assert len(found) == clusters
    for names, weight in zip(found, weights(texts, labels, clusters), strict=True):
        assert len(names) == len(set(names)) == min(4, len(weight))
        assert [weight[name] for name in names] == pytest.approx(
            sorted(weight.values(), reverse=True)[:4], abs=1e-9
        )


def test_by_hand() -> None:
    # Clusters of 3 and 2 words: A = 2.5. Counts in all: rose 3, tulip 1, boat 1.
    # 0: tulip (1/3 - 0) log(1 + 2.5/1) = 0.4176, rose (2/3 - 1/2) log(1 + 2.5/3) = 0.1010
    # 1: boat  (1/2 - 0) log(1 + 2.5/1) = 0.6264, rose (1/2 - 2/3) is less than nothing
    texts = ["Rose rose", "boat rose", "tulip"]
    assert keywords(texts, np.asarray([0, 1, 0]), clusters=2) == [["tulip", "rose"], ["boat"]]
    assert keywords(texts, np.asarray([0, 1, 0]), clusters=2, count=1) == [["tulip"], ["boat"]]


def test_equal_words_stand_in_order_of_the_alphabet() -> None:
    found = keywords(["wave reef gull", "tulip rose"], np.asarray([0, 1]), clusters=2)
    assert found == [["gull", "reef", "wave"], ["rose", "tulip"]]


@given(st.permutations(range(4)))
def test_the_order_of_the_texts_changes_nothing(order: list[int]) -> None:
    texts, labels = ["wave reef", "rose tulip rose", "gull", "rose boat"], np.asarray([0, 1, 0, 1])
    shuffled = keywords([texts[place] for place in order], labels[order], clusters=2)
    assert shuffled == keywords(texts, labels, clusters=2)


def test_numbers_single_letters_and_stop_words_name_nothing() -> None:
    assert keywords(["the 42 3d x _y rose2 ÉTÉ"], np.asarray([0]), clusters=1) == [["rose2", "été"]]


def test_what_every_cluster_has_names_none() -> None:
    """No list has the stop words of all languages: they were the keywords of every German cluster."""
    texts = ["die Rose und die Tulpe und der Garten", "die Welle und die Brandung und der Wind"]
    names = keywords(texts, np.asarray([0, 1]), clusters=2)
    assert names == [["garten", "rose", "tulpe"], ["brandung", "welle", "wind"]]


@pytest.mark.parametrize(("text", "names"), [
    ("नमस्ते दुनिया", ["दुनिया", "नमस्ते"]),  # cut at its vowel signs there were three pieces of one letter
    ("搜索引擎", ["引擎", "搜索", "索引"]),  # no clause as one word
    ("ÜBERGRÖSSE Straße ﬁn", ["fin", "straße", "übergrösse"]),
])  # fmt: skip
def test_words_of_other_scripts(text: str, names: list[str]) -> None:
    assert keywords([text], np.asarray([0]), clusters=1) == [names]


def test_a_cluster_has_at_most_the_wanted_words() -> None:
    text = " ".join(f"word{number}" for number in range(20))
    assert len(keywords([text], np.asarray([0]), clusters=1)[0]) == 8


@pytest.mark.parametrize("texts", [["", ""], ["the of", "42 !"], ["\n", "x"]])
def test_texts_without_words_have_no_keywords(texts: list[str]) -> None:
    assert keywords(texts, np.asarray([0, 1]), clusters=2) == [[], []]


def test_a_cluster_without_words_has_none_beside_one_that_has() -> None:
    assert keywords(["", "rose"], np.asarray([0, 1]), clusters=2) == [[], ["rose"]]
    assert keywords(["rose", "boat"], np.asarray([0, 2]), clusters=3) == [["rose"], [], ["boat"]]


def test_the_texts_may_be_a_generator() -> None:
    assert keywords((text for text in ["rose"]), np.asarray([0]), clusters=1) == [["rose"]]


def test_halves_of_contractions_are_no_words() -> None:
    texts = [
        "it doesn't float, we've a boat and the boat's sail isn’t there",
        "I don't know what they'll say",
    ]
    found = keywords(texts, np.array([0, 1]), clusters=2)
    assert set(found[0]) == {"float", "boat", "sail"}
    assert set(found[1]) == {"know", "say"}
