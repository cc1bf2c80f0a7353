"""Evaluation over the whole corpus: BM25, encoders and their fusion on the judged queries of a split."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.data.formats import collection_of
from textrip.data.own import check_own, judged_without_own, own_row
from textrip.encoding.nearest import dense_top_k
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import InputError
from textrip.eval.held import heed_what_it_holds
from textrip.eval.measures import MEASURES, mean, per_query
from textrip.eval.significance import paired_difference
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.scoring import Reranker
from textrip.progress import say
from textrip.provenance import provenance
from textrip.records import Run
from textrip.retrieval.answer import MODES, Mode
from textrip.retrieval.fusion import DEPTH, reciprocal_rank_fusion
from textrip.retrieval.index import RERANK_DEPTH, Index
from textrip.typed import typed_arguments

Rows = list[NDArray[np.int64]]
# So many hits are what a person looks at, and nDCG@10 and RR@10.
_FIRST = 10


@dataclass(frozen=True)
class SystemResult:
    """One system's measures, as means and by query, and the seconds that its rankings took."""

    system: str
    values: dict[str, dict[str, float]]
    seconds: float

    def __getitem__(self, measure: str) -> float:
        return mean(self.by_query(measure))

    def __repr__(self) -> str:
        """Without the values of every query, which a notebook would show by the thousand."""
        measured = ", ".join(f"{measure} {self[measure]:.4f}" for measure in self.values)
        return f"SystemResult({self.system!r}, {measured}, {self.seconds:.1f} s)"

    def by_query(self, measure: str) -> dict[str, float]:
        """A measure of every query, by its query_id.

        Raises:
            InputError: it is none of those that are measured.
        """
        if measure not in self.values:
            raise InputError(f"{measure!r} is no measure; one of {', '.join(self.values)} was expected")
        return self.values[measure]

    def to_dict(self) -> dict[str, Any]:
        """The row of a report."""
        measured = {measure: round(self[measure], 4) for measure in MEASURES}
        return {"system": self.system, **measured, "seconds": round(self.seconds, 2)}


@dataclass(frozen=True)
class Evaluation:
    """Several systems on one split."""

    collection: str
    split: str
    queries: int
    results: list[SystemResult]
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, system: str) -> SystemResult:
        for result in self.results:
            if result.system == system:
                return result
        there = ", ".join(result.system for result in self.results) or "none"
        raise InputError(f"{system!r} was not measured; what was: {there}")

    def differences(self, measure: str = "nDCG@10") -> list[dict[str, Any]]:
        """Every system against each one before it, query by query (see paired_difference).

        Each p is of its own comparison: of many some are small by chance.
        """
        return [
            {
                "system": later.system,
                "against": earlier.system,
                "measure": measure,
                **asdict(paired_difference(earlier.by_query(measure), later.by_query(measure))),
            }
            for place, later in enumerate(self.results)
            for earlier in self.results[:place]
        ]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "collection": self.collection,
            "split": self.split,
            "queries": self.queries,
            "rows": [result.to_dict() for result in self.results],
            "provenance": self.provenance,
        }


class Evaluator:
    """Ranks the whole corpus for one split's queries, and measures.

    A system's seconds are those from texts to rankings: counting or encoding the corpus takes part.

    Args:
        collection: With judgments for the split.
        split: Which queries.
        analyzer: BM25's.
        searcher: A BM25 of this collection that is already built.
        searcher_seconds: How long that took.
        identify: Keep which encoders were measured, for the report: each is a hash of all weights.
        without_own_id: A document whose doc_id is the query's query_id is no answer and is left out, where
            queries are documents of the corpus (ArguAna, Quora); said in the report. `heed_own_documents`
            tells whether that means anything.
    """

    def __init__(
        self,
        collection: Collection,
        split: str,
        *,
        analyzer: Analyzer | None = None,
        searcher: LexicalSearcher | None = None,
        searcher_seconds: float = 0.0,
        identify: bool = True,
        without_own_id: bool = False,
    ) -> None:
        self.collection = collection
        self.split = split
        self._judged = judged_without_own(collection, split) if without_own_id else collection.judged(split)
        texts = collection.queries_of(split)
        self.queries = {query_id: texts[query_id] for query_id in self._judged}
        collection.require_relevant(split)
        self.results: list[SystemResult] = []
        self._analyzer = analyzer
        self._searcher = searcher
        self._searcher_seconds = searcher_seconds
        self._bm25: tuple[Rows, float] | None = None
        self._identify = identify
        self._own = (
            [collection.doc_row.get(query_id) for query_id in self.queries] if without_own_id else None
        )
        self._identities: dict[str, Any] = {}

    def say_what_counts_nothing(self) -> None:
        """Say how many queries no ranking can answer: they lower every mean."""
        judged = self._judged
        without = sum(not self.collection.count_relevant(grades) for grades in judged.values())
        if 0 < without < len(judged):
            one, several = (
                f"of {len(judged):,} queries of {self.split} {verb}" for verb in ("counts", "count")
            )
            say(f"{many(without, one, several)} 0 in every mean: no relevant document is in the corpus")

    def bm25(self) -> SystemResult:
        """Measure BM25."""
        return self._measure("bm25", *self._bm25_rows())

    def encoder(
        self, encoder: TextEncoder, *, name: str | None = None, hybrid: str | None = None
    ) -> SystemResult:
        """Measure an encoder, and its fusion with BM25 under the name `hybrid` where one is given."""
        started = time.perf_counter()
        documents = encoder.encode(self.collection.texts, progress="encoding documents")
        return self.vectors(encoder, documents, name=name, hybrid=hybrid, started=started)

    def vectors(
        self,
        encoder: TextEncoder,
        documents: NDArray[np.float32],
        *,
        name: str | None = None,
        hybrid: str | None = None,
        started: float | None = None,
    ) -> SystemResult:
        """Measure an encoder whose document vectors (n, d) are there already."""
        started = time.perf_counter() if started is None else started
        queries = encoder.encode(list(self.queries.values()), kind="query")
        found, _ = dense_top_k(queries, documents, self._depth, self.collection.doc_order)
        rows = self._answers(found)
        name = name or encoder.name
        result = self._measure(name, rows, time.perf_counter() - started)
        if self._identify:
            self._identities[name] = {
                "fingerprint": encoder.fingerprint,
                "max_length_tokens": encoder.max_length_tokens,
                "precision": encoder.precision,
            }
        if hybrid is not None:
            lexical, seconds = self._bm25_rows()
            fused = [
                reciprocal_rank_fusion([dense, words], DEPTH, self.collection.doc_order)[0]
                for dense, words in zip(rows, lexical, strict=True)
            ]
            self._measure(hybrid, fused, result.seconds + seconds)
        return result

    def index(
        self, index: Index, *, name: str | None = None, rerank: Reranker | None = None
    ) -> list[SystemResult]:
        """Measure an index as it is searched: dense, bm25, hybrid by its own fusion, and that reranked.

        Its nearest neighbours are those that it finds (the first ten are those of a search for ten, what AP
        and R@100 look at besides those of a search as deep as they look), its long documents are cut as it
        has them, and what it holds is what can be found. A blank question, which no index is asked, counts 0.

        Raises:
            InputError: it holds other texts of the data's documents, or questions as documents.
        """
        name = name or str(index.folder)
        heed_what_it_holds(
            index, self.collection, split=self.split, queries=self.queries, judged=self._judged
        )
        results = [self.searched(index, mode, name=f"{name} {mode}") for mode in MODES]
        if rerank is not None:
            results.append(self.searched(index, "hybrid", name=f"{name} hybrid, reranked", rerank=rerank))
        return results

    def searched(
        self, index: Index, mode: Mode, *, name: str, rerank: Reranker | None = None
    ) -> SystemResult:
        """Measure one mode of an index; the 50 best scored again stand before the others."""
        started = time.perf_counter()
        asked = {query_id: text for query_id, text in self.queries.items() if text.strip()}
        texts = list(asked.values())
        vectors = index.encoder.encode(texts, kind="query") if mode == "dense" and texts else None
        run = index.run(asked, k=self._depth, mode=mode, vectors=vectors)
        if mode == "dense":
            first = index.run(asked, k=self._depth - DEPTH + _FIRST, mode=mode, vectors=vectors)
            run = _before(first, run)
        if rerank is not None:
            found = index.search_many(texts, k=RERANK_DEPTH, mode=mode, rerank=rerank)
            scored = ({hit.doc_id: hit.score for hit in hits} for hits in found)
            run = _before(dict(zip(asked, scored, strict=True)), run)
        rankings = [
            [doc_id for doc_id in run.get(query_id, ()) if doc_id != self._own_id(query_id)][:DEPTH]
            for query_id in self.queries
        ]
        result = self._measured(name, rankings, time.perf_counter() - started)
        self._identities[name] = {
            "fingerprint": index.about["encoder"]["fingerprint"],
            "documents": len(index),
            "nearest": index.about["nearest"],
            "fusion": asdict(index.fusion),
        }
        return result

    def _own_id(self, query_id: str) -> str | None:
        """The document that is left out of this query's ranking."""
        return None if self._own is None else query_id

    def evaluation(self) -> Evaluation:
        """What was measured so far, with its provenance."""
        about = {
            "collection_sha256": self.collection.fingerprint,
            "documents": len(self.collection.corpus),
            "depth": DEPTH,
            "without_own_id": self._own is not None,
            "systems": self._identities,
            **provenance(),
        }
        return Evaluation(self.collection.name, self.split, len(self.queries), list(self.results), about)

    def _bm25_rows(self) -> tuple[Rows, float]:
        if self._bm25 is None:
            started = time.perf_counter()
            searcher = self._searcher or LexicalSearcher.build(
                self.collection.texts, analyzer=self._analyzer, order=self.collection.doc_order
            )
            found = [
                row for row, _ in searcher.search(list(self.queries.values()), self._depth, weightless=True)
            ]
            rows = self._answers(found)
            self._identities["bm25"] = {"analyzer": searcher.analyzer.to_dict()}
            self._bm25 = rows, self._searcher_seconds + time.perf_counter() - started
        return self._bm25

    @property
    def _depth(self) -> int:
        return DEPTH if self._own is None else DEPTH + 1

    def _answers(self, rows: Iterable[NDArray[np.int64]]) -> Rows:
        """Rankings without what is no answer."""
        if self._own is None:
            return list(rows)
        return [ranked[ranked != own][:DEPTH] for ranked, own in zip(rows, self._own, strict=True)]

    def _measure(self, system: str, rows: Iterable[NDArray[np.int64]], seconds: float) -> SystemResult:
        doc_ids = self.collection.doc_ids
        return self._measured(system, [[doc_ids[row] for row in ranked] for ranked in rows], seconds)

    def _measured(self, system: str, rankings: list[list[str]], seconds: float) -> SystemResult:
        if any(result.system == system for result in self.results):
            raise InputError(f"{system!r} is measured already; give each encoder a name of its own")
        by_query = dict(zip(self.queries, rankings, strict=True))
        result = SystemResult(system, per_query(self._judged, by_query), seconds)
        self.results.append(result)
        return result


def _twice(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _before(first: Run, rest: Run) -> Run:
    """Rankings with some documents first, and the others as they are."""
    joined = {}
    for query_id, best in first.items():
        others = {doc_id: score for doc_id, score in rest[query_id].items() if doc_id not in best}
        joined[query_id] = {**best, **others}
    return joined


@typed_arguments
def evaluate(
    data: str | Path | Collection,
    *,
    split: str = "test",
    bm25: bool = True,
    encoders: Iterable[TextEncoder] = (),
    indexes: Iterable[Index] = (),
    rerank: Reranker | None = None,
    hybrid: bool = False,
    analyzer: Analyzer | None = None,
    without_own_id: bool = False,
) -> Evaluation:
    """Measure systems on the judged queries of a split, the whole corpus searched.

    Args:
        data: A collection with judgments for the split, or what `read` takes.
        split: Which queries.
        bm25: Measure BM25.
        encoders: Measured one after another, each under its own name.
        indexes: Each measured as it is searched: dense, bm25, and hybrid by its own fusion.
        rerank: Also measure the 50 best of each index' hybrid, scored again (`mining.scoring.load_scorer`).
        hybrid: Measure the reciprocal-rank fusion of BM25 with every encoder, too.
        analyzer: BM25's.
        without_own_id: Leave out a document with the query's own id (see Evaluator).

    Raises:
        InputError: the split has no judgments, or no relevant document; two encoders of one name; nothing
            to measure; hybrid without an encoder; no document with the id of a query to leave out; or an
            index that holds nothing that is relevant.
    """
    encoders = list(encoders)  # who takes what comes can be asked once
    indexes = list(indexes)
    if not bm25 and not encoders and not indexes:
        raise InputError("there is nothing to measure: name an encoder or an index, or take BM25")
    if hybrid and not encoders:
        raise InputError("hybrid fuses BM25 with an encoder: name one with --model")
    names = [encoder.name for encoder in encoders]
    twice = _twice(names)
    if twice is not None:
        raise InputError(f"two encoders have the name {twice!r}: give each one of its own (encoder.name)")
    if rerank is not None and not indexes:
        raise InputError("what an index finds is scored again: name one with --index")
    folders = [str(index.folder) for index in indexes]
    again = _twice(folders)
    if again is not None:
        raise InputError(f"{again}: this index is named twice; once is enough")
    collection = collection_of(data)
    heed_own_documents(collection, split, without=without_own_id)
    evaluator = Evaluator(collection, split, analyzer=analyzer, without_own_id=without_own_id)
    evaluator.say_what_counts_nothing()
    if bm25:
        evaluator.bm25()
    for encoder in encoders:
        fused = None
        if hybrid:
            fused = "hybrid" if len(encoders) == 1 else f"hybrid {encoder.name}"
        evaluator.encoder(encoder, hybrid=fused)
    for index in indexes:
        evaluator.index(index, rerank=rerank)
    return evaluator.evaluation()


def heed_own_documents(collection: Collection, split: str, *, without: bool) -> None:
    """Where queries are documents of the corpus: say so, or see that there is something to leave out.

    Which queries are not asked, as nothing but their own document answers them, is said, too.

    Raises:
        InputError: their own documents are to be left out, and none has one, or no other one is relevant.
    """
    if not without:
        for finding in check_own(collection, split):
            say(finding.message)
        return
    if not any(query_id in collection.doc_row for query_id in collection.queries_of(split)):
        raise InputError(
            f"{collection.name}: no document has the id of a query of split {split!r}: there is no own one "
            "to leave out"
        )
    judged = judged_without_own(collection, split)
    if not any(grade > 0 for grades in judged.values() for grade in grades.values()):
        raise InputError(
            f"{collection.name}: nothing but the query's own document is relevant in split {split!r}"
        )
    others = sum(
        query_id in collection.doc_row and own_row(collection, query_id) is None for query_id in judged
    )
    if others:
        documents = many(others, "document has", "documents have")
        say(
            f"{documents} the id of a query of {split} and another text: left out of that ranking, too; are "
            "the numbers the same by chance?"
        )
    unasked = len(collection.judged(split)) - len(judged)
    if unasked:
        queries = many(unasked, f"query of {split} has", f"queries of {split} have")
        say(f"{queries} no relevant document but their own: not asked")
