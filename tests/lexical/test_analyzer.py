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


def test_vowel_signs_are_no_accents() -> None:
    """Hindi for day, gift and poor: without their vowel signs they were one and the same."""
    for analyzer in (Analyzer.for_language("hindi"), Analyzer.for_language("none")):
        found = [tuple(analyzer(word)) for word in ("दिन", "दान", "दीन")]
        assert len(set(found)) == 3
        assert all(len(terms) == 1 for terms in found)
    assert Analyzer.for_language("none")("が") != Analyzer.for_language("none")("か")


def test_a_term_does_not_depend_on_the_text_around_it() -> None:
    """Stems of Turkish have letters that their words lack: folded only beside others of the kind."""
    turkish = Analyzer.for_language("turkish")
    assert turkish("ilaca") == turkish("ilaç") == turkish("ilaca ü")[:1]
    assert turkish("KIRMIZI İSTANBUL") == turkish("kırmızı istanbul")


@pytest.mark.parametrize(("document", "question"), [
    ("机器学习是人工智能的一个分支，它研究计算机", "什么是机器学习"),
    ("今日は天気がいいです。東京へ行きます", "東京の天気"),
    ("ภาษาไทยเป็นภาษาราชการของประเทศไทย", "ภาษาไทย"),
])  # fmt: skip
def test_without_blanks_a_part_of_a_clause_is_found(document: str, question: str) -> None:
    for language in ("english", "none"):
        analyzer = Analyzer.for_language(language)
        assert len(set(analyzer(document)) & set(analyzer(question))) >= 2


def test_points_and_accents_may_be_left_out() -> None:
    plain = Analyzer.for_language("none")
    assert plain("שָׁלוֹם") == plain("שלום")
    assert plain("مُحَمَّد") == plain("محمد")
    assert plain("Ἀθῆναι") == plain("αθηναι")


def test_a_stemmer_sees_the_letters_of_its_language() -> None:
    russian = Analyzer.for_language("russian")
    assert russian("красивый") == russian("красивая") == ["красив"]
    french = Analyzer.for_language("french")
    assert french("Élevés") == french("e\u0301leve\u0301s") == ["elev"]


def test_other_languages() -> None:
    assert Analyzer.for_language("german")("Die Katzen liefen") == ["die", "katz", "lief"]
    # It is for languages without a stemmer, to which English words may be any: "to" is Polish for "it".
    assert Analyzer.for_language("none")("The cats") == ["the", "cats"]


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"stemmer 'klingon' is no language of Snowball; one of .*german"):
        Analyzer.for_language("klingon")


def test_a_round_trip_keeps_every_switch() -> None:
    analyzer = Analyzer(fold=False, stop_words=False, stemmer="french")
    assert Analyzer.from_dict(analyzer.to_dict()) == analyzer


@given(st.text())
def test_any_text_gives_terms(text: str) -> None:
    assert all(isinstance(term, str) and term for term in Analyzer()(text))
