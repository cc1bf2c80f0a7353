"""Scores are rank-bm25's, and after any change those of a fresh build, bit by bit."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rank_bm25
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textrip.lexical import word_index
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.word_index import WordCounts, WordIndex

ANALYZER = Analyzer(stemmer=None, stop_words=False)
WORDS = ["rose", "tulip", "sea", "gull", "the", "orbit"]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


def opened(texts: list[str], folder: Path) -> WordCounts:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    WordCounts.write(texts, ANALYZER, folder)
    return WordCounts.open(folder)


def fresh(texts: list[str], folder: Path) -> WordIndex:
    return WordIndex(opened(texts, folder), np.empty(0, np.int64), [])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a dozen documents are several chunks."""
    monkeypatch.setattr(word_index, "TOKENS_A_CHUNK", 7)
    monkeypatch.setattr(word_index, "_CHUNK", 3)


@given(texts=st.lists(TEXT, min_size=1, max_size=12), queries=st.lists(TEXT, min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_equals_rank_bm25(texts: list[str], queries: list[str], tmp_path: Path) -> None:
    index = fresh(texts, tmp_path / "index")
    other = rank_bm25.BM25Okapi([text.split() for text in texts])
    for query in queries:
        np.testing.assert_allclose(index.scores(query.split()), other.get_scores(query.split()), atol=1e-9)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
def test_after_a_change_equals_a_fresh_build_bit_by_bit(data: st.DataObject, tmp_path: Path) -> None:
    texts = data.draw(st.lists(TEXT, min_size=2, max_size=12))
    removed = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), max_size=len(texts) - 1)))
    added = data.draw(st.lists(TEXT, max_size=5))
    base = opened(texts, tmp_path / "base")
    counted = [Counter(ANALYZER(text)) for text in added]
    changed = WordIndex(base, np.asarray(removed, np.int64), counted)
    alive = [row for row in range(changed.size) if row not in removed]
    whole = fresh(
        [text for row, text in enumerate([*texts, *added]) if row not in removed], tmp_path / "fresh"
    )
    for query in [*WORDS, "rose rose sea", "nowhere", " ".join(WORDS)]:
        found = changed.scores(query.split())[alive]
        np.testing.assert_array_equal(found, whole.scores(query.split()))


def test_documents_without_a_word(tmp_path: Path) -> None:
    index = fresh(["", ""], tmp_path / "index")
    assert index.scores(["rose"]).tolist() == [0.0, 0.0]


def test_by_hand(tmp_path: Path) -> None:
    # N = 3, df(rose) = 1, lengths 2, 1, 1, average 4/3; idf = ln(2.5) - ln(1.5) = 0.5108256
    # K = 1.5 (0.25 + 0.75 * 2 / (4/3)) = 2.0625; score = 0.5108256 * 1 * 2.5 / (1 + 2.0625) = 0.4169997
    index = fresh(["rose sea", "gull", "orbit"], tmp_path / "index")
    assert index.scores(["rose"]).tolist() == pytest.approx([0.4169997, 0, 0], abs=1e-6)
