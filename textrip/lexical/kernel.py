"""The compiled search of a sparse impact matrix: the k best documents of many queries, on several threads.

Term by term over blocks of documents, so that one accumulator stays in the processor's cache. A block's sums
are counted against the worst of the k best so far, many at once, and only where one reaches it are they
looked at one by one. Sums are float64, in the order of the query's tokens: places and scores are those of a
plain loop, bit by bit, on any number of threads.

Dynamic pruning (MaxScore: Turtle and Flood, "Query evaluation: strategies and optimizations", 1995) was tried
and does not pay here. At k = 100 over 1.3 million passages it spares two thirds of 174,000 postings a query,
but leaves 29,000 documents to be looked up in the lists passed over, and a lookup costs more than twenty
postings that are read one after the other. Nor do float32 sums, blocks of other sizes, a block's postings
read once for all queries, or a buffer in place of the heap give more than a few percent.

Shapes: t terms, n documents, z postings, q queries.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from textrip import processes


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile on the first call; kept on disk where that can be written, beside this file or in the home."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder can be written: two seconds more in every process
        return njit(nogil=True)(function)


# Documents a block: 32,768 float64 sums are 256 KiB.
_BLOCK = 32768
# So many sums are counted at once.
_CHUNK = 64
# Where a block has fewer postings than a sixteenth of its documents, the documents touched are listed.
_SPARSE = 16
# Above 0 and below every impact in float32.
_TINY = 1e-46


class Postings(NamedTuple):
    """An impact matrix by term.

    Attributes:
        indptr: (t + 1,) int64, where each term's postings begin.
        doc_indices: (z,) int32, documents of the postings, ascending within a term.
        impacts: (z,) float32 above 0, what a posting adds to its document's score.
        order: (n,) int64, distinct ranks that break ties.
    """

    indptr: NDArray[np.int64]
    doc_indices: NDArray[np.int32]
    impacts: NDArray[np.float32]
    order: NDArray[np.int64]


class Found(NamedTuple):
    """The k best documents of every query, best first.

    Attributes:
        places: (q, k) int64.
        scores: (q, k) float64, summed in the order of the tokens.
        counts: (q,) int64, how many of the k have a term of the query; what lies beyond is not set.
    """

    places: NDArray[np.int64]
    scores: NDArray[np.float64]
    counts: NDArray[np.int64]


def best_documents(
    postings: Postings, queries: Sequence[NDArray[np.int64]], k: int, *, threads: int | None = None
) -> Found:
    """The k best documents of every query among those that have one of its terms.

    Args:
        postings: What is searched.
        queries: The terms of each query in the order of its tokens, repeated where a token is.
        k: How many, at least 1 and at most n.
        threads: As many as there are processors where None.
    """
    q = len(queries)
    offsets = np.concatenate(([0], np.cumsum([len(query) for query in queries]))).astype(np.int64)
    terms = np.concatenate(queries) if q else np.empty(0, dtype=np.int64)
    found = Found(np.empty((q, k), dtype=np.int64), np.empty((q, k)), np.zeros(q, dtype=np.int64))
    count = min(threads or processes.threads(), max(1, q))
    with ThreadPoolExecutor(count) as pool:
        # Each writes rows of its own: no order of theirs is seen.
        list(pool.map(lambda first: _search(postings, terms, offsets, (first, count), found), range(count)))
    return found


@_compiled
def _search(postings: Postings, terms: Any, offsets: Any, share: tuple[int, int], found: Found) -> None:
    """Every step-th query from the first on: share is (first, step)."""
    indptr, doc_indices, impacts, order = postings
    first, step = share
    n, k = order.shape[0], found.places.shape[1]
    sums = np.zeros(_BLOCK, dtype=np.float64)
    touched = np.empty(_BLOCK + 1, dtype=np.int64)
    for query in range(first, offsets.shape[0] - 1, step):
        tokens = terms[offsets[query] : offsets[query + 1]]
        heap = found.scores[query], found.places[query]
        size = 0
        begin = indptr[tokens]  # of this block's postings
        end = begin.copy()
        last = indptr[tokens + 1]
        base = 0
        while base < n:
            limit = base + _BLOCK
            total, following = 0, n  # postings of this block; the first document beyond it
            for i in range(tokens.shape[0]):
                begin[i] = end[i]
                end[i] = _beyond(doc_indices, begin[i], last[i], limit)
                total += end[i] - begin[i]
                if end[i] < last[i]:
                    following = min(following, np.int64(doc_indices[end[i]]))
            if total * _SPARSE > _BLOCK:
                for i in range(tokens.shape[0]):
                    _add(doc_indices[begin[i] : end[i]], impacts[begin[i] : end[i]], sums, base)
                for chunk in range(0, min(_BLOCK, n - base), _CHUNK):
                    part = sums[chunk : chunk + _CHUNK]
                    least = heap[0][0] if size == k else _TINY
                    if _reaching(part, least):
                        for place in range(_CHUNK):
                            if part[place] >= least:
                                size = _offer(heap, size, order, part[place], base + chunk + place)
                    part[:] = 0.0  # while it is in the cache
            elif total:
                hits = 0
                for i in range(tokens.shape[0]):
                    for place in range(begin[i], end[i]):
                        row = doc_indices[place] - base
                        touched[hits] = row
                        hits += sums[row] == 0.0
                        sums[row] += impacts[place]
                for row in touched[:hits]:
                    if size < k or sums[row] >= heap[0][0]:
                        size = _offer(heap, size, order, sums[row], base + row)
                    sums[row] = 0.0
            base = max(limit, following // _BLOCK * _BLOCK)
        found.counts[query] = size
        for left in range(size - 1, 0, -1):  # the worst goes to the end, until all are in order
            _swap(heap, 0, left)
            _sink(heap, left, order)


@_compiled
def _add(documents: Any, impacts: Any, sums: Any, base: int) -> None:
    """Add postings of a block to its sums."""
    for place in range(documents.shape[0]):
        # Unsigned: a signed index would be tested for counting from the end.
        sums[np.uint32(documents[place] - np.int32(base))] += impacts[place]


@_compiled
def _reaching(sums: Any, least: float) -> int:
    """How many sums are no less; without a branch, so that it runs on many at once."""
    count = 0
    for place in range(_CHUNK):
        count += sums[place] >= least
    return count


@_compiled
def _beyond(doc_indices: Any, low: int, high: int, document: int) -> int:
    """The first place in [low, high) whose document is not before the given one; in steps that double."""
    step = 1
    while low + step < high and doc_indices[low + step] < document:
        low += step
        step *= 2
    high = min(high, low + step + 1)
    while low < high:
        middle = (low + high) // 2
        if doc_indices[middle] < document:
            low = middle + 1
        else:
            high = middle
    return low


# A heap is (scores, places); its root is the worst of the documents kept.


@_compiled
def _offer(heap: tuple[Any, Any], size: int, order: Any, score: float, document: int) -> int:
    """Keep a document if it is one of the k best so far; the heap's new size."""
    scores, places = heap
    if size < scores.shape[0]:
        scores[size], places[size] = score, document
        child = size
        while child > 0 and _worse(heap, child, (child - 1) // 2, order):
            _swap(heap, child, (child - 1) // 2)
            child = (child - 1) // 2
        return size + 1
    if score > scores[0] or (score == scores[0] and order[document] < order[places[0]]):
        scores[0], places[0] = score, document
        _sink(heap, size, order)
    return size


@_compiled
def _sink(heap: tuple[Any, Any], size: int, order: Any) -> None:
    """Bring a new root to its place."""
    parent = 0
    while 2 * parent + 1 < size:
        child = 2 * parent + 1
        if child + 1 < size and _worse(heap, child + 1, child, order):
            child += 1
        if not _worse(heap, child, parent, order):
            return
        _swap(heap, child, parent)
        parent = child


@_compiled
def _worse(heap: tuple[Any, Any], one: int, other: int, order: Any) -> bool:
    """Whether one stands below the other: a lower score, or the same and a later rank."""
    scores, places = heap
    if scores[one] == scores[other]:
        return order[places[one]] > order[places[other]]  # type: ignore[no-any-return]
    return scores[one] < scores[other]  # type: ignore[no-any-return]


@_compiled
def _swap(heap: tuple[Any, Any], one: int, other: int) -> None:
    scores, places = heap
    scores[one], scores[other] = scores[other], scores[one]
    places[one], places[other] = places[other], places[one]
