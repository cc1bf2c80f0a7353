"""Approximate nearest neighbours over unit vectors: HNSW, int8 and binary codes, each scored again exactly.

| kind | what is searched | in memory |
|---|---|---|
| exact | the float32 vectors, all of them | the vectors, memory-mapped |
| hnsw | a graph (Malkov and Yashunin, arXiv 1603.09320) over 8-bit codes, by FAISS | codes and graph |
| int8 | 8-bit codes, all of them, by FAISS | a quarter |
| binary | signs, all of them, by Hamming distance (FAISS) | a thirty-second |

Ranges of the 8-bit codes come from the corpus and lie with them. What is found approximately is a set of
candidates: their scores are the exact ones of the float32 vectors, which are read for them alone.

A graph takes minutes to build for a million vectors. Where few of them have changed, the former one is
extended: new vectors are linked into it, and those that are gone remain as nodes that lead on and are never
found.

A file of FAISS is never read before its digest holds, and what was read must have the shape that is known.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from textrip.encoding.openmp import faiss_library
from textrip.errors import InputError, first_line, require_handles
from textrip.forked import watch
from textrip.progress import say

Kind = Literal["auto", "exact", "hnsw", "int8", "binary"]
_INDEX, _PLACES = "nearest.faiss", "nearest.places.npy"

KINDS: tuple[Kind, ...] = get_args(Kind)

# Up to so many vectors an exact search takes some 30 ms; a graph is not worth its building.
EXACT_UP_TO = 200_000
_LINKS = 32
_EF_CONSTRUCTION = 100
# How many candidates are looked at for k documents: so many times k, and at least so many among 100,000
# vectors; with the square root of more. With 1.3 million a graph needs 450 for what 128 find among 100,000.
_BREADTH = {"hnsw": (8, 128), "int8": (2, 32), "binary": (40, 600)}
_BREADTH_OF = 100_000
_TRAINED_ON = 100_000
# A graph is extended while so large a share of its nodes at most is gone, and until it has so many times the
# vectors that it was built with, whose ranges its codes have.
_GONE_UP_TO = 0.2
_GROWN_UP_TO = 2.0


def chosen(kind: Kind, vectors: int) -> Kind:
    """What auto means for a number of vectors."""
    if kind not in KINDS:
        raise InputError(f"nearest is {kind!r}, one of {', '.join(KINDS)} was expected")
    if kind != "auto":
        return kind
    return "exact" if vectors <= EXACT_UP_TO else "hnsw"


class GoneError(InputError):
    """The file was there when its folder was opened, and was taken away before it was read."""


class Approximate:
    """Candidates for exact scoring.

    Attributes:
        kind: hnsw, int8 or binary.
        rows: How many vectors may be found.
        nodes: How many vectors are searched, those that are gone among them.
        places: (nodes,) int64, the row of each, -1 where it is gone; None where it is its own number.
        built: How many there were when it was built.
    """

    def __init__(
        self,
        path: Path | None,
        kind: Kind,
        shape: tuple[int, ...],
        index: Any = None,
        *,
        places: NDArray[np.int64] | None = None,
        built: int | None = None,
    ) -> None:
        self.rows, self.dimension = shape
        self.kind = kind
        self.places = places
        self.nodes = self.rows if places is None else len(places)
        self.built = self.nodes if built is None else built
        self._gone = self.nodes - self.rows
        self._path = path
        self._lock = threading.Lock()
        self._index = index
        watch(self)

    def after_fork(self) -> None:
        """A lock that another thread had is nobody's in a forked process."""
        self._lock = threading.Lock()

    @classmethod
    def of(cls, vectors: NDArray[np.float32], kind: Kind, *, seed: int = 0) -> Self:
        """Build one in memory over vectors (p, d), on one thread: the same graph every time."""
        faiss = faiss_library()
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            return cls(None, kind, vectors.shape, _built(vectors, kind, seed=seed))
        finally:
            faiss.omp_set_num_threads(threads)

    def candidates(
        self, queries: NDArray[np.float32], k: int, *, breadth: int | None = None, gone: int = 0
    ) -> NDArray[np.int64]:
        """Rows (q, c) of the c most promising vectors, in no order; -1 where there are fewer.

        Args:
            queries: (q, d) float32 unit vectors.
            k: How many are wanted in the end; c is larger.
            breadth: How many are looked at; by the kind where None.
            gone: How many of the vectors do not count any longer.
        """
        times, least = _BREADTH[self.kind]
        least = round(least * max(1.0, (self.nodes / _BREADTH_OF) ** 0.5))
        count = breadth or max(least, times * k)
        count = min(self.nodes, round(count * self.nodes / (self.nodes - self._gone)))
        index = self._opened()
        if self.kind == "binary":
            _, found = index.search(_signs(queries, self.dimension), count)
        elif self.kind == "hnsw":
            faiss = faiss_library()
            how = faiss.SearchParametersHNSW(efSearch=count)
            # Of those looked at, codes of 8 bits put the k best among their first 2 k: no need to score all.
            kept = min(count, 2 * k + 12 + gone + self._gone)
            _, found = index.search(np.ascontiguousarray(queries), kept, params=how)
        else:
            _, found = index.search(np.ascontiguousarray(queries), count)
        if self.places is not None:
            found = np.where(found < 0, -1, self.places[found])
        return found  # type: ignore[no-any-return]

    def _opened(self) -> Any:
        with self._lock:
            if self._index is None:
                self._index = self._read()
        return self._index

    def grown(self, vectors: NDArray[np.float32]) -> Any:
        """FAISS' index with further vectors (p, d); this one stays as it is.

        Raises:
            InputError: the file is damaged.
        """
        index = self._read(mapped=False)
        _add(index, vectors, self.kind)
        return index

    def _read(self, *, mapped: bool = True) -> Any:
        faiss = faiss_library()
        read = faiss.read_index_binary if self.kind == "binary" else faiss.read_index
        assert self._path is not None
        if not self._path.is_file():
            raise GoneError(f"{self._path}: was taken away; open the index again")
        try:
            # No part of a file is larger than the file: a forged length asks for no memory.
            faiss.set_deserialization_vector_byte_limit(self._path.stat().st_size + 4096)
            index = read(str(self._path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
        except (RuntimeError, OSError) as error:
            require_handles(self._path)
            raise InputError(f"{self._path}: {first_line(error)}; build the index again") from None
        found = index.ntotal, index.d
        wanted = self.nodes, _bits(self.dimension) if self.kind == "binary" else self.dimension
        if found != wanted:
            raise InputError(f"{self._path}: holds {found}, {wanted} was expected; build the index again")
        if self.places is not None:
            there = np.sort(self.places[self.places >= 0])
            if not np.array_equal(there, np.arange(self.rows)):
                raise InputError(f"{self._path}: its nodes are no places of vectors; build the index again")
        return index


@dataclass(frozen=True)
class Former:
    """A graph over earlier vectors.

    Attributes:
        nearest: The graph.
        places: (nodes,) int64, the row of each of its nodes among today's vectors; -1: gone.
    """

    nearest: Approximate
    places: NDArray[np.int64]

    def may_grow(self, kind: Kind, rows: int) -> bool:
        """Whether it will do, extended to so many rows, where a search of a kind is wanted."""
        gone = int((self.places < 0).sum())
        nodes = rows + gone
        return (
            kind == self.nearest.kind
            and gone <= _GONE_UP_TO * nodes
            and nodes <= _GROWN_UP_TO * self.nearest.built
        )


def write_nearest(
    folder: Path, vectors: NDArray[np.float32], kind: Kind, *, seed: int, former: Former | None = None
) -> dict[str, Any]:
    """Write what a kind needs beside the vectors (p, d); returns what derived.json keeps of it."""
    kind = chosen(kind, len(vectors))
    if kind == "exact":
        return {"kind": kind}
    about: dict[str, Any] = {"kind": kind}
    if former is not None and former.may_grow(kind, len(vectors)):
        index, places = _extended(former, vectors)
        about["built"] = former.nearest.built
        with (folder / _PLACES).open("wb") as stream:
            np.save(stream, places, allow_pickle=False)
    else:
        if kind == "hnsw":
            say(f"building the graph of {len(vectors):,} vectors")
        index = _built(vectors, kind, seed=seed)
    faiss = faiss_library()
    write = faiss.write_index_binary if kind == "binary" else faiss.write_index
    with (folder / _INDEX).open("wb") as stream:
        # FAISS' own writer does not look at what closing a file says: its end may be lost on a full disk.
        write(index, faiss.PyCallbackIOWriter(stream.write))
    return about


def _extended(former: Former, vectors: NDArray[np.float32]) -> tuple[Any, NDArray[np.int64]]:
    """A former graph with the vectors (p, d) that it lacks, and the row of each of its nodes."""
    lacking = np.ones(len(vectors), dtype=bool)
    lacking[former.places[former.places >= 0]] = False
    new = np.flatnonzero(lacking)
    say(f"extending the graph, new vectors: {len(new):,}")
    return former.nearest.grown(vectors[new]), np.concatenate([former.places, new])


def _built(vectors: NDArray[np.float32], kind: Kind, *, seed: int) -> Any:
    faiss = faiss_library()
    p, d = vectors.shape
    if kind == "binary":
        index = faiss.IndexBinaryFlat(_bits(d))
    elif kind == "int8":
        index = faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    else:
        index = faiss.IndexHNSWSQ(d, faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _EF_CONSTRUCTION
    if kind != "binary":
        sample = np.sort(np.random.default_rng(seed).permutation(p)[:_TRAINED_ON])
        index.train(np.ascontiguousarray(vectors[sample]))
    _add(index, vectors, kind)
    return index


def _add(index: Any, vectors: NDArray[np.float32], kind: Kind) -> None:
    for first in range(0, len(vectors), 65536):
        part = np.ascontiguousarray(vectors[first : first + 65536])
        index.add(_signs(part, vectors.shape[1]) if kind == "binary" else part)


def open_nearest(folder: Path, about: dict[str, Any], shape: tuple[int, ...]) -> Approximate | None:
    """What `write_nearest` wrote; None for exact. FAISS reads nothing yet."""
    if about["kind"] == "exact":
        return None
    places = None
    if "built" in about:
        places = np.load(folder / _PLACES, mmap_mode="r", allow_pickle=False)
    return Approximate(folder / _INDEX, about["kind"], shape, places=places, built=about.get("built"))


def _bits(dimension: int) -> int:
    return (dimension + 7) // 8 * 8


def _signs(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.uint8]:
    assert vectors.shape[1] == dimension
    return np.packbits(vectors > 0, axis=1)
