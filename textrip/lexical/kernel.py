"""The compiled search of a sparse impact matrix: the k best documents of many queries, on several threads.

Term by term over blocks of documents, so that one accumulator stays in the processor's cache. Of many
documents the sums are float32 at first: half the memory to walk through, and that walk is half of the work.
What is below the k-th best so far by more than float32 can err is not among the k best; the few documents
that are left are summed once more, float64 in the order of the query's tokens. Places and scores are those
of a plain loop, bit by bit, on any number of threads.

Dynamic pruning (MaxScore: Turtle and Flood, "Query evaluation: strategies and optimizations", 1995) was tried
and does not pay here. At k = 100 over 1.3 million passages it spares two thirds of 174,000 postings a query,
but leaves 29,000 documents to be looked up in the lists passed over, and a lookup costs more than twenty
postings that are read one after the other. Nor do sums of 16 bits or a block's postings read once for all
queries give more than a few percent.

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


# A block's sums, in bytes: so many documents of float32, half as many of float64.
_BLOCK_BYTES = 2**19
# So many sums are looked at together.
_CHUNK = 256
# Where a block has fewer postings than a sixteenth of its documents, those documents alone are looked at.
_SPARSE = 16
# Above 0 and not above any impact in float32.
_TINY = 1e-45
# Sums of fewer documents are float64 from the start: they fit the cache, and need no second look.
_EXACT_UP_TO = 131072
# Candidates beyond twice k, before those that cannot count are left out.
_LEEWAY = 64
# How far two float32 sums may err against one another for each addition, twice over.
_ROUNDING = 2.0**-22
# In place of a number of candidates: more are equal, or nearly, than there is room for.
_TOO_MANY = -1


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
    dtype = np.float64 if len(postings.order) <= _EXACT_UP_TO else np.float32

    def search(first: int) -> None:
        sums = np.zeros(_BLOCK_BYTES // dtype().itemsize, dtype=dtype)
        # With room for what may be taken at once, beyond what is cut down at.
        most = 2 * k + _LEEWAY + max(_CHUNK, len(sums) // _SPARSE)
        candidates = np.empty(most, dtype=np.int64), np.empty(most, dtype=dtype)
        _search(postings, (terms, offsets), (first, count), found, (sums, candidates))

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(search, range(count)))  # each writes rows of its own: no order of theirs is seen
    return found


@_compiled
def _search(
    postings: Postings,
    queries: tuple[Any, Any],
    share: tuple[int, int],
    found: Found,
    room: tuple[Any, tuple[Any, Any]],
) -> None:
    """Every step-th query from the first on: share is (first, step); room is what it works in."""
    sums, candidates = room
    terms, offsets = queries
    first, step = share
    k = found.places.shape[1]
    for query in range(first, offsets.shape[0] - 1, step):
        tokens = terms[offsets[query] : offsets[query + 1]]
        heap = found.scores[query], found.places[query]
        count = _candidates(postings, tokens, k, sums, candidates)
        if count != _TOO_MANY:
            chosen = candidates[0][:count], candidates[1][:count]
            size = _offer_exactly(postings, tokens, chosen, heap)
        else:
            size = _offer_all(postings, tokens, sums.shape[0], heap)
        found.counts[query] = size
        for left in range(size - 1, 0, -1):  # the worst goes to the end, until all are in order
            _swap(heap, 0, left)
            _sink(heap, left, postings.order)


@_compiled
def _candidates(postings: Postings, tokens: Any, k: int, sums: Any, candidates: tuple[Any, Any]) -> int:
    """Find all documents that may be among the k best; their number, or _TOO_MANY."""
    indptr, doc_indices, impacts, order = postings
    n, block = order.shape[0], sums.shape[0]
    most = candidates[0].shape[0] - max(_CHUNK, block // _SPARSE)
    slack = _ROUNDING * (tokens.shape[0] + 1) if sums.itemsize == 4 else 0.0
    least, size = sums.dtype.type(_TINY), 0
    begin = indptr[tokens]  # of this block's postings
    end = begin.copy()
    last = indptr[tokens + 1]
    base = 0
    while base < n:
        total, following = _next_block(doc_indices, (begin, end, last), base + block, n)
        for i in range(tokens.shape[0]):
            _add(doc_indices[begin[i] : end[i]], impacts[begin[i] : end[i]], sums, base)
        dense = total * _SPARSE > block
        if dense and size == 0 and sums.itemsize == 4 and k <= block // _CHUNK:
            least = max(least, sums.dtype.type(_least_of_the_best(sums, k) * (1.0 - slack)))
        for chunk in range(0, min(block, n - base) if dense else 1, _CHUNK):
            if dense:
                part = sums[chunk : chunk + _CHUNK], base + chunk
                size = _take_chunk(part, least, candidates, size)
            else:
                for i in range(tokens.shape[0]):
                    listed = doc_indices[begin[i] : end[i]]
                    size = _take_listed(listed, (sums, base), least, candidates, size)
            if size > most:
                size, least = _cut_down(candidates, size, k, slack)
                if 2 * size > most + k:
                    sums[:] = 0.0
                    return _TOO_MANY
        base = max(base + block, following // block * block)
    if size > k:
        size, least = _cut_down(candidates, size, k, slack)
    return size


# A part of the sums is (sums, base): the first is that of the document base. What is taken is set to 0.


@_compiled
def _take_chunk(part: tuple[Any, int], least: Any, candidates: tuple[Any, Any], size: int) -> int:
    """Take a chunk's documents that reach the least: how many candidates there are then."""
    sums, base = part
    documents, scores = candidates
    if _reached(sums, least):
        for place in range(_CHUNK):
            if sums[place] >= least:
                documents[size], scores[size] = base + place, sums[place]
                size += 1
    sums[:] = 0.0  # while it is in the cache
    return size


@_compiled
def _take_listed(
    listed: Any, part: tuple[Any, int], least: Any, candidates: tuple[Any, Any], size: int
) -> int:
    """The same of the documents that are listed, one by one."""
    sums, base = part
    documents, scores = candidates
    for document in listed:
        row = document - base
        if sums[row] >= least:
            documents[size], scores[size] = document, sums[row]
            size += 1
        sums[row] = 0.0
    return size


@_compiled
def _next_block(doc_indices: Any, places: tuple[Any, Any, Any], limit: int, n: int) -> tuple[int, int]:
    """Move every term's postings on to those before the limit: how many there are, and what comes next."""
    begin, end, last = places
    total, following = 0, n
    for i in range(begin.shape[0]):
        begin[i] = end[i]
        end[i] = _beyond(doc_indices, begin[i], last[i], limit)
        total += end[i] - begin[i]
        if end[i] < last[i]:
            following = min(following, int(doc_indices[end[i]]))
    return total, following


@_compiled
def _cut_down(candidates: tuple[Any, Any], size: int, k: int, slack: float) -> tuple[int, Any]:
    """Leave out what k others surpass for certain: how many are left, and the least sum that may count."""
    documents, scores = candidates
    kth = _select(scores[:size].copy(), size - k)
    least = scores.dtype.type(max(_TINY, kth * (1.0 - slack)))
    left = 0
    for place in range(size):
        if scores[place] >= least:
            documents[left], scores[left] = documents[place], scores[place]
            left += 1
    return left, least


@_compiled
def _select(values: Any, place: int) -> Any:
    """What would stand at a place if the values, which are moved, ascended (Hoare's FIND, 1961).

    numpy.partition does the same, and takes the compiler five seconds.
    """
    low, high = 0, values.shape[0] - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if place <= right:
            high = right
        elif place >= left:
            low = left
        else:
            break
    return values[place]


@_compiled
def _offer_exactly(
    postings: Postings, tokens: Any, candidates: tuple[Any, Any], heap: tuple[Any, Any]
) -> int:
    """The k best of the candidates by exact sums: how many there are."""
    documents, sums = candidates
    exact = sums.astype(np.float64)
    if sums.itemsize == 4:
        _sum(postings, tokens, documents, exact)
    size = 0
    for i in range(documents.shape[0]):
        size = _offer(heap, size, postings.order, exact[i], documents[i])
    return size


@_compiled
def _sum(postings: Postings, tokens: Any, documents: Any, sums: Any) -> None:
    """Sum documents, which ascend for the most part, in the order of the tokens."""
    indptr, doc_indices, impacts, _ = postings
    sums[:] = 0.0
    for token in tokens:
        place, last = indptr[token], indptr[token + 1]
        for i in range(documents.shape[0]):
            if i > 0 and documents[i] < documents[i - 1]:
                place = indptr[token]
            place = _beyond(doc_indices, place, last, documents[i])
            if place < last and doc_indices[place] == documents[i]:
                sums[i] += impacts[place]


@_compiled
def _offer_all(postings: Postings, tokens: Any, block: int, heap: tuple[Any, Any]) -> int:
    """The k best of all documents by exact sums, for where too many are equal: how many there are."""
    indptr, doc_indices, impacts, order = postings
    n, size = order.shape[0], 0
    sums = np.zeros(block, dtype=np.float64)
    begin = indptr[tokens]
    end = begin.copy()
    last = indptr[tokens + 1]
    for base in range(0, n, block):
        _next_block(doc_indices, (begin, end, last), base + block, n)
        for i in range(tokens.shape[0]):
            _add(doc_indices[begin[i] : end[i]], impacts[begin[i] : end[i]], sums, base)
        for row in range(min(block, n - base)):
            if sums[row] > 0.0:
                size = _offer(heap, size, order, sums[row], base + row)
        sums[:] = 0.0
    return size


@_compiled
def _add(documents: Any, impacts: Any, sums: Any, base: int) -> None:
    """Add postings of a block to its sums."""
    for place in range(documents.shape[0]):
        # Unsigned: a signed index would be tested for counting from the end.
        sums[np.uint32(documents[place] - np.int32(base))] += impacts[place]


@_compiled
def _reached(sums: Any, least: Any) -> bool:
    """Whether one is no less; without a branch, so that many are compared at once."""
    found = False
    for place in range(_CHUNK):
        found = found | (sums[place] >= least)
    return found


@_compiled
def _least_of_the_best(sums: Any, k: int) -> Any:
    """What k of the float32 sums reach at least: the k-th best of the chunks' best.

    A first look at a block, without which most of it is offered. Floats above 0 ascend as their bits do, and
    a maximum of integers is found many at once.
    """
    bits, best = sums.view(np.int32), np.empty(sums.shape[0] // _CHUNK, dtype=np.int32)
    for chunk in range(best.shape[0]):
        largest = np.int32(0)
        for place in range(chunk * _CHUNK, (chunk + 1) * _CHUNK):
            largest = max(largest, bits[place])
        best[chunk] = largest
    return _select(best.view(np.float32), best.shape[0] - k)


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
