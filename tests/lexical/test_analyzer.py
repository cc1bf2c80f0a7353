"""The analyzer: every switch, and the same terms for corpus and query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer


def test_all_switches_on() -> None:
    assert Analyzer()("The Cafés were running") == ["cafe", "were", "run"]


def test_all_switches_off() -> None:
    plain = Analyzer(lowercase=False, fold=False, stop_words=False, stemmer=None)
    assert plain("The Cafés were running") == ["The", "Cafés", "were", "running"]


def test_composed_and_decomposed_are_one_term() -> None:
    assert Analyzer()("café") == Analyzer()("cafe\u0301") == Analyzer()("ｃａｆｅ")


def test_other_languages() -> None:
    assert Analyzer.for_language("german")("Die Katzen liefen") == ["die", "katz", "lief"]
    assert Analyzer.for_language("none")("The cats") == ["cats"]


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"stemmer 'klingon' is no language of Snowball; one of .*german"):
        Analyzer.for_language("klingon")


def test_a_round_trip_keeps_every_switch() -> None:
    analyzer = Analyzer(fold=False, stop_words=False, stemmer="french")
    assert Analyzer.from_dict(analyzer.to_dict()) == analyzer


@given(st.text())
def test_any_text_gives_terms(text: str) -> None:
    assert all(isinstance(term, str) and term for term in Analyzer()(text))
