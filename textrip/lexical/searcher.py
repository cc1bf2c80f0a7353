"""An analyzer and its BM25: texts in, ranks out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from textrip import ranking
from textrip.files import read_json, write_sealed_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.blocks import Analyzed
from textrip.lexical.bm25 import BM25Okapi

KIND = "textrip-analyzer"
FORMAT = 1


class LexicalSearcher:
    """BM25 over texts, with one analyzer for corpus and queries."""

    def __init__(self, bm25: BM25Okapi, analyzer: Analyzer, order: NDArray[np.int64] | None = None) -> None:
        self.bm25 = bm25
        self.analyzer = analyzer
        self.order = order

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        *,
        analyzer: Analyzer | None = None,
        order: NDArray[np.int64] | None = None,
        k1: float = 1.5,
        b: float = 0.75,
    ) -> Self:
        """Count the texts; `order` breaks ties (see ranking.id_order)."""
        analyzer = analyzer or Analyzer()
        return cls(BM25Okapi(Analyzed(texts, analyzer), k1=k1, b=b), analyzer, order)

    def search(
        self, queries: Sequence[str], k: int, *, weightless: bool = False
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """For every query the places and scores of at most k documents, best first.

        A document without a term of the query is no hit: its score is 0 and it is left out. So is one whose
        terms weigh nothing or less, as those do that half of a tiny corpus has, save where `weightless` asks
        for it as a search does (word_index.py).
        """
        terms = [self.analyzer(query) for query in queries]
        places, scores = self.bm25.top_k(terms, k, self.order)
        hits = [(row[best > 0], best[best > 0]) for row, best in zip(places, scores, strict=True)]
        if weightless:
            for row, query in enumerate(terms):
                if self.bm25.has_weightless(query):
                    hits[row] = self._all_hits(query, k)
        return hits

    def _all_hits(self, terms: Sequence[str], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        hit = self.bm25.matches(terms)
        order = hit if self.order is None else self.order[hit]
        places, best = ranking.top_k(self.bm25.get_scores(terms)[hit][None, :], k, order)
        return hit[places[0]], best[0]

    def places(self, query: str, rows: Sequence[int]) -> list[tuple[int, float]]:
        """Rank and score of single documents for a query, among all of them; (0, 0.0) for what is no hit."""
        scores = self.bm25.get_scores(self.analyzer(query))
        order = np.arange(len(scores)) if self.order is None else self.order
        found = []
        for row in rows:
            score = float(scores[row])
            before = (scores > score) | ((scores == score) & (order < order[row]))
            found.append((int(before.sum()) + 1, score) if score > 0 else (0, 0.0))
        return found

    def save(self, folder: Path) -> None:
        """Write BM25 and the analyzer into a new folder."""
        self.bm25.save(folder)
        about = {"kind": KIND, "format": FORMAT, "analyzer": self.analyzer.to_dict()}
        write_sealed_json(folder / "analyzer.json", about)

    @classmethod
    def open(cls, folder: Path, order: NDArray[np.int64] | None = None) -> Self:
        """Open what `save` wrote."""
        saved = read_json(folder / "analyzer.json", kind=KIND, version=FORMAT, sealed=True)
        return cls(BM25Okapi.open(folder), Analyzer.from_dict(saved["analyzer"]), order)
