"""BM25's k best documents for many queries: textrip beside rank-bm25 and bm25s, on the same tokens.

All three score by the same formula (rank-bm25's Okapi, k1 1.5, b 0.75) and get the corpus and the queries as
the same lists of tokens. rank-bm25 answers a sample of the queries. A collection without queries is asked
with the first words of passages drawn at random.
"""

import contextlib
import gc
import importlib
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from textrip import processes
from textrip.data.formats import read
from textrip.errors import InputError
from textrip.eval.peers.apart import apart
from textrip.eval.peers.rows import Row
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.blocks import Analyzed
from textrip.lexical.bm25 import BM25Okapi

RANK_BM25 = "rank-bm25"
BM25S = "bm25s, numba"
TEXTRIP = "textrip"
_QUERY_WORDS = 12


@dataclass(frozen=True)
class Case:
    """What is searched.

    Attributes:
        data: What textrip reads.
        documents: Only so many, the first; all where None.
        queries: How many are asked at most.
        sample: How many of them rank-bm25 is asked.
        k: How many documents a query gets.
        rounds: Each system answers so often, in turn; the median counts.
    """

    data: str
    documents: int | None
    queries: int
    sample: int
    k: int
    rounds: int

    @property
    def collection(self) -> str:
        """Its name."""
        return Path(self.data).name


Answer = Callable[[Sequence[list[str]]], Sequence[Sequence[int]]]


def compare(cases: Sequence[Case]) -> list[Row]:
    """Index and search every case with every system."""
    return [row for case in cases for row in _compared(case)]


def _compared(case: Case) -> Iterator[Row]:
    collection = read(case.data)
    count = min(case.documents or len(collection.texts), len(collection.texts))
    # One string for a token, wherever it occurs: the lists are to fit in memory.
    analyzer, same = Analyzer(), {}  # type: ignore[var-annotated]
    corpus = [
        [same.setdefault(token, token) for token in analyzer(collection.texts[row])] for row in range(count)
    ]
    queries = [tokens for text in _queries(case, collection, count) if (tokens := analyzer(text))]
    name = f"{case.collection}, {count:,} documents"
    index: dict[str, tuple[Answer, float]] = {}
    for system, build in (
        (TEXTRIP, _textrip(case.k)),
        (BM25S, _bm25s(case.k)),
        (RANK_BM25, _rank_bm25(case.k)),
    ):
        began = time.perf_counter()
        answer = build(corpus)
        index[system] = answer, time.perf_counter() - began
        yield Row(system, name, "index", index[system][1], "seconds")
    asked = {system: queries[: case.sample] if system == RANK_BM25 else queries for system in index}
    seconds: dict[str, list[float]] = {system: [] for system in index}
    found: dict[str, Any] = {}
    for system, (answer, _) in index.items():
        if system != RANK_BM25:
            answer(queries[:32])  # compiled on the first call
    gc.collect()
    gc.freeze()  # else a collection amid a measurement walks through rank-bm25's dictionaries
    for _ in range(case.rounds):
        for system, (answer, _) in index.items():
            began = time.perf_counter()
            found[system] = answer(asked[system])
            seconds[system].append(time.perf_counter() - began)
    gc.unfreeze()
    for system in index:
        rate = len(asked[system]) / statistics.median(seconds[system])
        print(f"{name}  {system}: {rate:,.1f} queries a second", file=sys.stderr)
        yield Row(system, name, f"queries at k = {case.k}", rate, "per second")
    for system in (BM25S, RANK_BM25):
        shares = [
            len(set(theirs) & set(ours)) / len(ours)
            for theirs, ours in zip(found[system], found[TEXTRIP], strict=False)
            if len(ours)
        ]
        yield Row(system, name, f"of textrip's {case.k} documents", float(np.mean(shares)), "share")


def _queries(case: Case, collection: Any, count: int) -> list[str]:
    texts = list(collection.query_texts.values())
    if texts:
        return texts[: case.queries]
    rows = random.Random(0).sample(range(count), min(case.queries, count))  # noqa: S311
    return [" ".join(collection.texts[row].split()[:_QUERY_WORDS]) for row in rows]


def _textrip(k: int) -> Callable[[list[list[str]]], Answer]:
    def build(corpus: list[list[str]]) -> Answer:
        index = BM25Okapi(corpus)
        importlib.import_module("textrip.lexical.kernel")  # once it is there, few queries are worth it too

        def answer(queries: Sequence[list[str]]) -> Sequence[Sequence[int]]:
            places, scores = index.top_k(queries, k)
            return [row[best > 0].tolist() for row, best in zip(places, scores, strict=True)]

        return answer

    return build


def _bm25s(k: int) -> Callable[[list[list[str]]], Answer]:
    import numba

    try:
        import bm25s
    except ImportError:
        raise InputError("bm25s is not installed; pip install 'textrip[peers]'") from None

    def build(corpus: list[list[str]]) -> Answer:
        index = bm25s.BM25(k1=1.5, b=0.75, method="atire", idf_method="robertson", backend="numba")
        index.index(corpus, show_progress=False)

        def answer(queries: Sequence[list[str]]) -> Sequence[Sequence[int]]:
            size = index.scores["num_docs"]
            places, _ = index.retrieve(
                queries, k=min(k, size), show_progress=False, n_threads=numba.get_num_threads()
            )
            return places.tolist()  # type: ignore[no-any-return]

        return answer

    return build


def _rank_bm25(k: int) -> Callable[[list[list[str]]], Answer]:
    def build(corpus: list[list[str]]) -> Answer:
        import rank_bm25

        index = rank_bm25.BM25Okapi(corpus)

        def answer(queries: Sequence[list[str]]) -> Sequence[Sequence[int]]:
            found = []
            for query in queries:
                scores = index.get_scores(query)
                best = np.argsort(-scores, kind="stable")[:k]
                found.append(best[scores[best] > 0].tolist())
            return found

        return answer

    return build


def building_memory(data: str) -> list[Row]:
    """Peak memory of processes that index texts as they stream by, beyond what they held and the result."""
    name = Path(data).name
    rows = []
    for workers in sorted({1, processes.threads()}):
        before, peak, result, seconds = apart(_build_streaming, data, workers)
        which = f"{name}, {workers} processes" if workers > 1 else f"{name}, 1 process"
        rows += [
            Row(TEXTRIP, which, "index from text", seconds, "seconds"),
            Row(TEXTRIP, which, "memory beyond the result", (peak - before - result) / 2**20, "MiB"),
            Row(TEXTRIP, which, "the result", result / 2**20, "MiB"),
        ]
    return rows


def _memory(process: psutil.Process) -> int:
    """Resident bytes of a process and all that it started."""
    found: int = process.memory_info().rss
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += child.memory_info().rss
    return found


def _build_streaming(data: str, workers: int) -> tuple[int, int, int, float]:
    collection, analyzer = read(data), Analyzer()
    process = psutil.Process()
    before = peak = _memory(process)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, _memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    index = BM25Okapi(Analyzed(collection.texts, analyzer, workers=workers))
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    result = index.doc_indices.nbytes + index.impacts.nbytes + index.indptr.nbytes
    return before, peak, result, seconds


def plot(rows: Sequence[Row], path: Path) -> None:
    """Queries a second against documents, both on a log scale; PNG, SVG or PDF by the file's name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for system in dict.fromkeys(row.peer for row in rows):
        points = sorted(
            (_documents(row), row.value) for row in rows if row.peer == system and "queries" in row.measure
        )
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=system)
    axes.set(xscale="log", yscale="log", xlabel="documents", ylabel="queries per second")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def _documents(row: Row) -> int:
    return int(row.case.rsplit(", ", 1)[1].split()[0].replace(",", ""))
