"""Words in, places out: what is a hit where a word weighs nothing."""

import numpy as np
import pytest

from textrip.lexical import impact_matrix
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher


def test_a_word_that_weighs_nothing_costs_its_own_queries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took every query of the corpus off the compiled search: up to ten times slower."""
    texts = [f"rose w{number % 7}" if number < 20 else f"tulip w{number % 7}" for number in range(40)]
    searcher = LexicalSearcher.build(texts, analyzer=Analyzer(), order=np.arange(40))
    looked_through: list[list[str]] = []
    matches = impact_matrix.ImpactMatrix.matches

    def noted(self: impact_matrix.ImpactMatrix, query: list[str]) -> np.ndarray:
        looked_through.append(query)
        return matches(self, query)

    monkeypatch.setattr(impact_matrix.ImpactMatrix, "matches", noted)
    queries = ["w1", "rose", "w2 rose", "unknown", ""]
    plain = searcher.search(queries, 40)
    found = searcher.search(queries, 40, weightless=True)
    assert looked_through == [["rose"], ["w2", "rose"]]
    for query in (0, 3, 4):
        np.testing.assert_array_equal(found[query][0], plain[query][0])
    assert plain[1][0].size == 0
    assert found[1][0].tolist() == list(range(20))
    with_w2 = list(range(2, 40, 7))
    assert plain[2][0].tolist() == with_w2
    assert found[2][0].tolist() == [*with_w2, *(place for place in range(20) if place not in with_w2)]
