"""Snippets: the window that says most, and marks that are where the query's words are."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textrip.data.words import word_pattern
from textrip.lexical.analyzer import Analyzer
from textrip.retrieval.snippet import Snippet, snippet

ANALYZER = Analyzer()
ANALYZERS = [Analyzer(), Analyzer(fold=False, lowercase=False), Analyzer(stemmer=None, stop_words=False)]
WORDS = st.lists(st.sampled_from(["rose", "tulip", "boat", "x1", "x2", "x3"]), min_size=1, max_size=30)


def marked(found: Snippet) -> list[str]:
    return [found.text[start:end] for start, end in found.marks]


def core(found: Snippet) -> str:
    return found.text.removeprefix("… ").removesuffix(" …")


def most_distinct(words: list[str], wanted: set[str], size: int) -> int:
    """The most distinct wanted words of any window, by trying every one."""
    starts = range(max(1, len(words) - size + 1))
    return max(len(wanted.intersection(words[start : start + size])) for start in starts)


def test_the_window_with_most_distinct_terms_wins() -> None:
    filler = "x " * 50
    text = f"{filler}rose rose rose {filler}rose and tulip and boat {filler}rose tulip {filler}"
    found = snippet(text, "rose tulip boat", ANALYZER, words=10)
    assert marked(found) == ["rose", "tulip", "boat"]
    # Three words lead up to the first match.
    assert found.text == "… x x x rose and tulip and boat x x …"


def test_the_first_of_equal_windows_wins() -> None:
    found = snippet("rose one two three four five rose six seven", "rose", ANALYZER, words=3)
    assert found == Snippet("rose one two …", ((0, 4),))


@given(WORDS, st.integers(1, 8))
@example(["x1", "x1", "x1", "x1", "rose", "x2", "boat", "x3"], 3)
def test_no_window_of_the_size_has_more_distinct_terms(words: list[str], size: int) -> None:
    wanted = {"rose", "tulip", "boat"}
    found = snippet(" ".join(words), "rose tulip boat", ANALYZER, words=size)
    assert len(set(marked(found))) == most_distinct(words, wanted, size)


def test_marks_are_the_words_that_bm25_would_match() -> None:
    found = snippet("Running boats, a ROSE; the café — and caf\u00c9s too.", "run boat cafe roses", ANALYZER)
    assert found.text == "Running boats, a ROSE; the café — and cafÉs too."
    assert marked(found) == ["Running", "boats", "ROSE", "café", "cafÉs"]
    exact = Analyzer(stemmer=None, fold=False, lowercase=False)
    assert marked(snippet(found.text, "run boats café ROSE", exact)) == ["boats", "ROSE", "café"]


def test_decomposed_letters_match_as_they_do_in_bm25() -> None:
    decomposed = "a re\u0301sume\u0301 here"
    assert set(ANALYZER(decomposed)) & set(ANALYZER("résumé")) == {"resum"}
    found = snippet(decomposed, "résumé", ANALYZER)
    assert [ANALYZER.normalise(word) for word in marked(found)] == ["resume"]


def test_stop_words_of_the_query_mark_nothing() -> None:
    assert marked(snippet("the rose is the rose", "is the rose", ANALYZER)) == ["rose", "rose"]
    assert snippet("the rose", "the", ANALYZER) == Snippet("the rose", ())


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("(rose) a b!", 3, "(rose) a b!"),
        ("(rose) a b c", 3, "(rose) a b …"),
        ("a b c d e rose f g!", 5, "… c d e rose f …"),
        ("a b c d (rose)", 4, "… b c d (rose)"),
        ("rose\n\n\ta   b", 36, "rose a b"),
    ],
)
def test_an_ellipsis_stands_where_words_were_left_out(text: str, words: int, expected: str) -> None:
    found = snippet(text, "rose", ANALYZER, words=words)
    assert found.text == expected
    assert marked(found) == ["rose"]


def test_without_a_match_the_beginning_is_shown() -> None:
    assert snippet("one two three four", "rose", ANALYZER, words=2) == Snippet("one two …", ())
    assert snippet("one two", "", ANALYZER, words=2) == Snippet("one two", ())


@pytest.mark.parametrize("text", ["", "  \n", "!!! … ???", "\u0301"])
def test_a_text_without_words_is_shown_as_it_is(text: str) -> None:
    assert snippet(text, "rose", ANALYZER) == Snippet(text.strip(), ())
    assert snippet("!" * 1000, "rose", ANALYZER) == Snippet("!" * 200, ())


def test_a_very_long_text_gives_a_window_of_the_size() -> None:
    text = "filler " * 20_000 + "rose tulip " + "filler " * 200_000
    found = snippet(text, "rose tulip", ANALYZER)
    assert marked(found) == ["rose", "tulip"]
    assert len(found.text.split()) == 36 + len(["…", "…"])
    beyond = snippet("filler " * 100_000 + "rose", "rose", ANALYZER)
    assert beyond.text == "filler " * 36 + "…"
    assert beyond.marks == ()


def test_an_ellipsis_stands_where_a_very_long_text_was_cut() -> None:
    text = "x " * 99_990 + "rose x x x x x x x x x x x x"  # the cut at 200,000 characters falls in the x's
    assert snippet(text, "rose", ANALYZER).text.endswith(" …")


@given(
    st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab rose\n"))),
    st.text(max_size=12),
    st.integers(1, 8),
    st.sampled_from(ANALYZERS),
)
@example("İstanbul ½ ﬃ ㎏ ROSE", "istanbul 1 ffi kg", 3, Analyzer())
@example("0\u03000", "", 1, Analyzer())  # one word: a mark is a part of it
@example("\ud800 rose", "\ud800 rose", 2, Analyzer())
def test_spans_are_words_of_the_query_inside_the_text(
    text: str, query: str, words: int, analyzer: Analyzer
) -> None:
    found = snippet(text, query, analyzer, words=words)
    wanted = set(analyzer(query))
    assert core(found) in " ".join(text.split())
    assert len(word_pattern(text).findall(core(found))) <= words
    end_before = 0
    for start, end in found.marks:
        assert end_before <= start < end <= len(found.text)
        assert wanted.intersection(analyzer(found.text[start:end]))
        end_before = end


def test_a_word_as_long_as_a_book_is_cut() -> None:
    text = f"{'a' * 5000} {'b' * 300_000}"
    found = snippet(text, "b" * 300_000, Analyzer())
    assert len(found.text) < 900
    near = snippet(f"{'a' * 5000} rose {'b' * 5000}", "rose", Analyzer())
    assert len(near.text) < 900
    assert [near.text[start:end] for start, end in near.marks] == ["rose"]
