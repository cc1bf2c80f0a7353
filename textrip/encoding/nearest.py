"""Exact dense search: documents by their best passage, by inner products of unit vectors, in blocks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip import ranking
from textrip.encoding.openmp import faiss_library

# float32 scores held at a time: 64 MiB.
_SCORES_A_BLOCK = 2**24
# float32 vectors gathered at a time.
_ROWS_A_BLOCK = 2**16
# From so many questions and scores on, FAISS is worth its import.
_MANY_QUERIES = 20
_MANY_SCORES = 2_000_000
# So many more than k are kept, for those that tie with the k-th.
_SPARE = 32
# More than the float32 product of two unit vectors is ever off by.
_ROUNDING = 1e-5


def dense_top_k(
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    k: int,
    order: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest documents of every query by inner product (cosine, for unit vectors).

    Args:
        queries: (q, d) float32.
        documents: (n, d) float32.
        k: How many; at most n.
        order: (n,) what breaks ties (see ranking.id_order); the row where None.

    Returns:
        Rows (q, k) int64 and scores (q, k) float32, best first.
    """
    k = min(k, len(documents))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    if k == 0:
        return indices, scores
    rows = np.arange(len(documents) + 1)
    passages = Passages([documents], rows)
    for query, found in enumerate(exact_top_k(queries, passages, k, rows[:-1] if order is None else order)):
        indices[query], scores[query], _ = found
    return indices, scores


class Passages:
    """Vectors by passage, in two parts: those on disk and those that came since.

    Attributes:
        parts: Each (p_i, d) float32.
        begins: (n + 1,) int64, where each document's passages begin, over both parts.
    """

    def __init__(self, parts: list[NDArray[np.float32]], begins: NDArray[np.int64]) -> None:
        self.parts = [part for part in parts if len(part)]
        self.begins = begins
        self._firsts = np.cumsum([0, *(len(part) for part in self.parts)])

    @property
    def single(self) -> bool:
        """Whether every document is one passage."""
        return len(self.begins) - 1 == int(self._firsts[-1])

    def rows(self, places: NDArray[np.int64], dtype: Any = np.float64) -> NDArray[Any]:
        """The vectors (c, d) at some passages."""
        found = np.empty((len(places), self.parts[0].shape[1]), dtype=dtype)
        which = np.searchsorted(self._firsts, places, side="right") - 1
        for number, part in enumerate(self.parts):
            mine = which == number
            if mine.any():
                found[mine] = part[places[mine] - self._firsts[number]]
        return found

    def rough(self, queries: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Scores (b, p) of blocks of queries, one after the other, as a matrix product rounds them."""
        total = int(self._firsts[-1])
        block = max(1, _SCORES_A_BLOCK // max(1, total))
        for start in range(0, len(queries), block):
            asked = queries[start : start + block]
            yield np.concatenate([asked @ part.T for part in self.parts], axis=1)

    def places_of(self, documents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The passages of some documents, one document after the other, and where each one's begin."""
        counts = self.begins[documents + 1] - self.begins[documents]
        starts = np.concatenate(([0], np.cumsum(counts)))[:-1].astype(np.int64)
        return np.arange(int(counts.sum())) - np.repeat(starts - self.begins[documents], counts), starts

    def rough_of(
        self, queries: NDArray[np.float32], documents: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float32]]:
        """Scores (b, c) of blocks of queries with some documents, by their best passage."""
        places, starts = self.places_of(documents)
        block = max(1, _SCORES_A_BLOCK // max(1, len(places)))
        for start in range(0, len(queries), block):
            asked = queries[start : start + block]
            scores = np.empty((len(asked), len(places)), dtype=np.float32)
            for first in range(0, len(places), _ROWS_A_BLOCK):
                part = self.rows(places[first : first + _ROWS_A_BLOCK], np.float32)
                scores[:, first : first + len(part)] = asked @ part.T
            yield np.maximum.reduceat(scores, starts, axis=1)

    def best(
        self, query: NDArray[np.float32], documents: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Each document's exact score (c,) float32 and the passage (c,) that has it, the first of equals.

        Summed passage by passage: a matrix product rounds equal rows differently by their place, so that
        copies of a document would stand in an order of their own.
        """
        if not len(documents):
            return np.empty(0, np.float32), np.empty(0, np.int64)
        if self.single:
            scores = (self.rows(documents) * query).sum(axis=1).astype(np.float32)
            return scores, np.zeros(len(documents), dtype=np.int64)
        places, starts = self.places_of(documents)
        counts = np.diff([*starts, len(places)])
        scores = (self.rows(places) * query).sum(axis=1).astype(np.float32)
        best = np.maximum.reduceat(scores, starts)
        hit = np.flatnonzero(scores == np.repeat(best, counts))
        owner = np.repeat(np.arange(len(documents)), counts)[hit]
        _, first = np.unique(owner, return_index=True)
        return best, hit[first] - starts


def exact_top_k(
    queries: NDArray[np.float32],
    passages: Passages,
    k: int,
    order: NDArray[np.int64],
    allowed: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
    """For every query the k best documents: rows, scores and the best passage's number, best first.

    Args:
        queries: (q, d) float32.
        passages: Of n documents.
        k: How many at most.
        order: (n,) what breaks ties.
        allowed: (n,) which documents may be found; all where None.
    """
    n = len(passages.begins) - 1
    if allowed is not None and allowed.sum() * 4 < n:
        few = np.flatnonzero(allowed)
        blocks = passages.rough_of(queries, few) if len(few) else iter(())
        rough = (found for block in blocks for found in block)
        for query in queries:
            near = few[_near(next(rough), k)] if len(few) else few
            yield _ranked(query, passages, near, k, order)
        return
    plain = allowed is None and passages.single and len(passages.parts) == 1 and 0 < k < n
    if plain and len(queries) >= _MANY_QUERIES and len(queries) * n >= _MANY_SCORES:
        yield from _by_faiss(queries, passages, k, order)
        return
    row = 0
    for block in passages.rough(queries):
        for found in block:
            scores = found if passages.single else np.maximum.reduceat(found, passages.begins[:-1])
            if allowed is not None:
                scores = np.where(allowed, scores, -np.inf)
            yield _ranked(queries[row], passages, _near(scores, k), k, order)
            row += 1


def _by_faiss(
    queries: NDArray[np.float32], passages: Passages, k: int, order: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
    """The same by FAISS's search of many questions at once, which keeps no scores but the best."""
    faiss = faiss_library()
    vectors, count = passages.parts[0], min(len(passages.parts[0]), k + _SPARE)
    scores, rows = faiss.knn(queries, np.ascontiguousarray(vectors), count, faiss.METRIC_INNER_PRODUCT)
    for query, some, places in zip(queries, scores, rows, strict=True):
        reaching = some >= some[k - 1] - _ROUNDING
        if reaching[-1] and count < len(vectors):  # more of them tie than were kept
            near = _near(query @ vectors.T, k)
        else:
            near = np.sort(places[reaching]).astype(np.int64)
        yield _ranked(query, passages, near, k, order)


def _near(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Rows that may be among the k best when they are scored exactly."""
    n = len(scores)
    if k >= n:
        return np.flatnonzero(scores > -np.inf)
    kth = np.partition(scores, n - k)[n - k]
    return np.flatnonzero((scores >= kth - _ROUNDING) & (scores > -np.inf))


def _ranked(
    query: NDArray[np.float32],
    passages: Passages,
    near: NDArray[np.int64],
    k: int,
    order: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    scores, passage = passages.best(query, near)
    if not len(near):
        return near, scores, passage
    places, best = ranking.top_k(scores[None, :], k, order[near])
    return near[places[0]], best[0].astype(np.float32), passage[places[0]]


def candidates_top_k(
    queries: NDArray[np.float32],
    passages: Passages,
    candidates: NDArray[np.int64],
    *,
    others: NDArray[np.int64],
    k: int,
    order: NDArray[np.int64],
    allowed: NDArray[np.bool_] | None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
    """`exact_top_k` over some documents of every query.

    Args:
        queries: (q, d) float32.
        passages: Of n documents.
        candidates: (q, c) passages; -1 is none.
        others: Documents that are looked at for every query.
        k: How many at most.
        order: (n,) what breaks ties.
        allowed: (n,) which documents may be found; all where None.
    """
    for query, found in zip(queries, candidates, strict=True):
        places = found[found >= 0]
        rows = places if passages.single else np.searchsorted(passages.begins, places, side="right") - 1
        near = np.union1d(rows, others)
        if allowed is not None:
            near = near[allowed[near]]
        yield _ranked(query, passages, near, k, order)
