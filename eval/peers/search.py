"""Recall against queries per second over many vectors: textrip, FAISS and sentence-transformers, in one run.

The vectors are encoded texts (`textrip encode DATA -o vectors.npy`), not random ones, which have no
neighbours. To reach a larger size they are repeated with noise, and the table says so. The questions are
vectors of documents that were left out. Every system gets all questions in one call and then, for latency,
one by one; the truth is FAISS' exact search of float32.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from textrip.encoding.approximate import Approximate, Kind, open_nearest, write_nearest
from textrip.encoding.nearest import Passages, candidates_top_k, exact_top_k
from textrip.encoding.vectors import read_vectors
from textrip.errors import InputError
from textrip.eval.peers.rows import Row

FLAT = "FAISS flat"
_K = 10

Search = Callable[[NDArray[np.float32]], NDArray[np.int64]]


@dataclass(frozen=True)
class Case:
    """What is searched.

    Attributes:
        vectors: A file of `textrip encode`.
        documents: How many vectors; beyond those of the file they are repeated with noise.
        noise: Standard deviation of the noise's length (the vectors' is 1).
        queries: How many questions.
        rounds: Each system answers so often, in turn; the median counts.
    """

    vectors: Path
    documents: int
    noise: float
    queries: int
    rounds: int

    @property
    def name(self) -> str:
        """What a table's column says."""
        return f"{self.documents:,} vectors"


def compare(cases: Sequence[Case], *, kinds: Sequence[Kind], breadths: Sequence[int]) -> list[Row]:
    """Build and search every case with every system."""
    return [row for case in cases for row in _compared(case, kinds, breadths)]


def _compared(case: Case, kinds: Sequence[Kind], breadths: Sequence[int]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vectors, queries = _material(case, folder)
        systems: dict[str, Search] = {}
        for system, search, facts in _systems(folder, vectors, kinds, breadths):
            systems[system] = search
            for measure, value, unit in facts:
                print(f"{case.name}  {system}: {measure} {value:,.2f} {unit}", file=sys.stderr)
                yield Row(system, case.name, measure, value, unit)
        truth = systems[FLAT](queries)
        together: dict[str, list[float]] = {system: [] for system in systems}
        found: dict[str, NDArray[np.int64]] = {}
        for search in systems.values():
            search(queries[:2])
        for _ in range(case.rounds):
            for system, search in systems.items():
                search(queries[:50])  # the system before had the processor's caches
                began = time.perf_counter()
                found[system] = search(queries)
                together[system].append(time.perf_counter() - began)
        for system, search in systems.items():
            rate = len(queries) / statistics.median(together[system])
            yield Row(system, case.name, "queries together", rate, "per second")
            alone = []
            for query in queries[:100]:
                began = time.perf_counter()
                search(query[None, :])
                alone.append(time.perf_counter() - began)
            yield Row(system, case.name, "a query alone, median", statistics.median(alone) * 1000, "ms")
            shares = [
                len(np.intersect1d(one, other)) / _K for one, other in zip(truth, found[system], strict=True)
            ]
            recall = float(np.mean(shares))
            yield Row(system, case.name, f"recall@{_K}", recall, "share")
            print(
                f"{case.name}  {system}: {rate:,.1f} queries a second, recall {recall:.4f}", file=sys.stderr
            )


def _material(case: Case, folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors in a memory-mapped file, and questions that are none of them."""
    given = read_vectors(case.vectors).matrix
    if case.queries >= len(given):
        raise InputError(
            f"{case.vectors}: {case.queries:,} of its {len(given):,} vectors would be questions, and none is "
            "left to be searched; ask fewer (--queries)"
        )
    order = np.random.default_rng(0).permutation(len(given))
    queries = np.ascontiguousarray(given[np.sort(order[: case.queries])])
    base = np.ascontiguousarray(given[np.sort(order[case.queries :])])
    return _filled(base, case.documents, case.noise, folder / "vectors.npy"), queries


def repeated(vectors: Path, documents: int, *, noise: float, path: Path) -> NDArray[np.float32]:
    """So many vectors in a memory-mapped file: those of a file of `textrip encode`, repeated with noise."""
    return _filled(np.ascontiguousarray(read_vectors(vectors).matrix), documents, noise, path)


def _filled(base: NDArray[np.float32], documents: int, noise: float, path: Path) -> NDArray[np.float32]:
    draw = np.random.default_rng(1)
    shape = documents, base.shape[1]
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for first in range(0, documents, len(base)):
        part = base[: documents - first]
        if first:
            moved = draw.standard_normal(part.shape).astype(np.float32) * (noise / np.sqrt(shape[1]))
            part = part + moved
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        made[first : first + len(part)] = part
    made.flush()
    del made
    found: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _systems(
    folder: Path, vectors: NDArray[np.float32], kinds: Sequence[Kind], breadths: Sequence[int]
) -> Iterator[tuple[str, Search, list[tuple[str, float, str]]]]:
    import faiss
    import torch
    from sentence_transformers.util import semantic_search

    n, d = vectors.shape
    loaded = np.array(vectors)  # in memory, whatever it was
    flat = faiss.IndexFlatIP(d)
    flat.add(loaded)
    yield FLAT, lambda queries: flat.search(queries, _K)[1], [("held in memory", n * d * 4 / 2**20, "MiB")]
    tensor = torch.from_numpy(loaded)

    def library(queries: NDArray[np.float32]) -> NDArray[np.int64]:
        hits = semantic_search(torch.from_numpy(queries), tensor, top_k=_K, score_function=_dot)
        return np.asarray([[hit["corpus_id"] for hit in row] for row in hits])

    yield "sentence-transformers semantic_search", library, []
    passages = Passages([vectors], np.arange(n + 1))
    order = np.arange(n)
    for kind in kinds:
        own = folder / kind
        own.mkdir()
        began = time.perf_counter()
        about = write_nearest(own, vectors, kind, seed=0)
        facts = [("build", time.perf_counter() - began, "seconds")]
        if kind == "exact":
            yield "textrip, exact", _exact(passages, order), facts
            continue
        before = psutil.Process().memory_info().rss
        began = time.perf_counter()
        approximate = open_nearest(own, about, vectors.shape)
        assert approximate is not None
        approximate.candidates(loaded[:1], 1)
        facts.append(("open and first search", (time.perf_counter() - began) * 1000, "ms"))
        size = (own / "nearest.faiss").stat().st_size / 2**20
        facts.append(("held in memory", size, "MiB"))
        facts.append(("grown by opening", (psutil.Process().memory_info().rss - before) / 2**20, "MiB"))
        yield f"textrip, {kind}", _candidates(approximate, passages, order, None), facts
        for breadth in breadths if kind != "int8" else ():  # it scans everything whatever is kept
            yield (
                f"textrip, {kind}, {breadth} candidates",
                _candidates(approximate, passages, order, breadth),
                [],
            )
    if "hnsw" in kinds:
        graph = faiss.IndexHNSWFlat(d, 32, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = 100
        began = time.perf_counter()
        graph.add(loaded)
        facts = [("build", time.perf_counter() - began, "seconds")]
        facts.append(("held in memory", (n * d * 4 + n * 2 * 32 * 4) / 2**20, "MiB"))
        for breadth in (16, 64, 128, 256):
            yield f"FAISS HNSW, ef {breadth}", _faiss_graph(graph, breadth), facts
            facts = []


def _dot(one: Any, other: Any) -> Any:
    return one @ other.T


def _exact(passages: Passages, order: NDArray[np.int64]) -> Search:
    def search(queries: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.stack([rows for rows, *_ in exact_top_k(queries, passages, _K, order, None)])

    return search


def _candidates(
    approximate: Approximate, passages: Passages, order: NDArray[np.int64], breadth: int | None
) -> Search:
    none = np.empty(0, dtype=np.int64)

    def search(queries: NDArray[np.float32]) -> NDArray[np.int64]:
        found = approximate.candidates(queries, _K, breadth=breadth)
        ranked = candidates_top_k(queries, passages, found, others=none, k=_K, order=order, allowed=None)
        return np.stack([rows for rows, *_ in ranked])

    return search


def _faiss_graph(graph: Any, breadth: int) -> Search:
    import faiss

    faiss_module: Any = faiss  # its annotations lack half of it

    def search(queries: NDArray[np.float32]) -> NDArray[np.int64]:
        how = faiss_module.SearchParametersHNSW(efSearch=breadth)
        return graph.search(queries, _K, params=how)[1]  # type: ignore[no-any-return]

    return search


def plot(rows: Sequence[Row], path: Path) -> None:
    """Recall across, queries per second up, a panel for each size."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    cases = list(dict.fromkeys(row.case for row in rows))
    figure, panels = pyplot.subplots(1, len(cases), figsize=(6.4 * len(cases), 4.8), squeeze=False)
    for panel, case in zip(panels[0], cases, strict=True):
        values = {(row.peer, row.measure): row.value for row in rows if row.case == case}
        families: dict[str, list[tuple[float, float]]] = {}
        for peer in dict.fromkeys(row.peer for row in rows if row.case == case):
            recall, rate = values.get((peer, f"recall@{_K}")), values.get((peer, "queries together"))
            if recall is not None and rate is not None:
                family = peer.split(", ef ")[0].split(" candidates")[0]
                family = ", ".join(family.split(", ")[:2])
                families.setdefault(family, []).append((recall, rate))
        for family, points in families.items():
            across, up = zip(*sorted(points), strict=True)
            panel.plot(across, up, marker="o", label=family)
        panel.set(title=case, xlabel=f"recall@{_K}", ylabel="queries per second", yscale="log")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
