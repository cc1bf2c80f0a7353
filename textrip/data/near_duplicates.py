"""Texts that are nearly the same: the Jaccard index of their shingles, found at scale by MinHash.

Broder, "On the resemblance and containment of documents", 1997. A shingle is three words in a row. MinHash
with locality-sensitive hashing (signatures.py) proposes pairs, and every one of them is measured before it
counts: what is reported is a pair, and of those just above the threshold a few may be missed.
"""

import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textrip.data.signatures import Signatures
from textrip.data.words import folded, normalised, without_accents, words
from textrip.progress import advancing

THRESHOLD = 0.8
_WORDS_A_SHINGLE = 3
# A text that resembles so many others is not compared with later ones: they resemble those others.
_MATCHES = 8
# One that so many are proposed for is of a template, below the threshold perhaps: compared with later ones as
# far as a fine band proposes it.
_PROPOSED = 128
# Of what is proposed so many are measured, those whose signatures agree best.
_MEASURED = 32


class Pair(NamedTuple):
    """Two texts by place, the first one earlier, and their resemblance from 0 to 1."""

    first: int
    second: int
    resemblance: float


def shingles(text: str) -> frozenset[str]:
    """Every three words in a row, in lower case, without punctuation and accents; all of a shorter text."""
    found = words(without_accents(folded(text)))
    if len(found) <= _WORDS_A_SHINGLE:
        return frozenset([" ".join(found) or normalised(text)])
    return frozenset(
        " ".join(found[start : start + _WORDS_A_SHINGLE])
        for start in range(len(found) - _WORDS_A_SHINGLE + 1)
    )


def numbers_of(found: Iterable[bytes]) -> NDArray[np.uint32]:
    """Shingles as numbers of 32 bits, ascending: a twentieth of the memory."""
    return np.unique(np.fromiter(map(zlib.crc32, found), dtype=np.uint32))


def resemblance(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """The Jaccard index of two texts' shingles, as numbers."""
    shared = int(np.intersect1d(one, other, assume_unique=True).size)
    return shared / (len(one) + len(other) - shared)


def alike(one: NDArray[np.uint32], other: NDArray[np.uint32], threshold: float = THRESHOLD) -> bool:
    """Whether two texts' shingles resemble each other so much; sizes alone often tell."""
    small, large = sorted((len(one), len(other)))
    return small >= threshold * large and resemblance(one, other) >= threshold


def near_duplicates(
    texts: Iterable[str],
    *,
    threshold: float = THRESHOLD,
    progress: str | None = None,
    total: int | None = None,
) -> Iterator[Pair]:
    """Pairs of nearly the same text, by the later one's place, once all were read.

    Texts that are equal but for case and blanks come as pairs with the first of them, and only that one is
    compared with others: a text that occurs a thousand times gives 999 pairs and not half a million. So do
    texts that were made from a template: one that resembles eight others stands for nobody else, and among
    hundreds that resemble each other the nearest are found, and not every pair.

    Args:
        texts: n of them, read once; of each its shingles and its signature are kept, as numbers of 32 bits.
        threshold: The least resemblance.
        progress: What a progress bar says; none without it.
        total: How many texts there are, where it is known.
    """
    copies: list[Pair] = []
    read = _Read()
    first_of: dict[int, int] = {}
    with advancing(progress or "", total) as advance:
        for place, text in enumerate(texts):
            if progress:
                advance(1)
            first = first_of.setdefault(hash(normalised(text)), place)
            if first != place:
                copies.append(Pair(first, place, 1.0))
            else:
                read.append(place, text)
    yield from merge(copies, read.pairs(threshold), key=lambda pair: pair.second)


class _Read:
    """Distinct texts that were read: of each its place, its shingles as numbers and its signature."""

    def __init__(self) -> None:
        self._places = array("q")
        self._numbers, self._ends = array("I"), array("q", [0])
        self._signatures = Signatures()

    def append(self, place: int, text: str) -> None:
        mine = numbers_of(shingle.encode() for shingle in shingles(text))
        self._places.append(place)
        self._numbers.frombytes(mine.tobytes())
        self._ends.append(len(self._numbers))
        self._signatures.append(mine)

    def pairs(self, threshold: float) -> Iterator[Pair]:
        """Those of all that were read, by the later one's place."""
        proposals = _Proposals(self._signatures)
        for row, others in proposals:
            mine = self._of(row)
            matches = 0
            for other in others:
                found = resemblance(self._of(other), mine)
                if found >= threshold:
                    matches += 1
                    yield Pair(self._places[other], self._places[row], found)
            if matches >= _MATCHES:
                proposals.drop()

    def _of(self, row: int) -> NDArray[np.uint32]:
        numbers = np.frombuffer(self._numbers, dtype=np.uint32)
        return numbers[self._ends[row] : self._ends[row + 1]]


class _Proposals:
    """Which earlier texts may resemble one: those that share a band of its signature, and were kept."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._kept: dict[int, list[int]] = defaultdict(list)  # of a band

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        """Texts by place, ascending, and for each what to measure; each is kept until it is `dropped`."""
        for place, coarse, fine in self._signatures.shared_bands():
            found = {other for band in coarse for other in self._kept[band]}
            if len(found) > _PROPOSED:
                found |= {other for band in fine for other in self._kept[band]}
            self._drop = len(found) > 2 * _PROPOSED  # what would be said of it can be said of the others
            yield place, self._nearest(place, np.array(sorted(found), dtype=np.int64))
            if not self._drop:
                for band in fine if len(found) > _PROPOSED else coarse:
                    self._kept[band].append(place)

    def drop(self) -> None:
        """Propose the present text to no later one."""
        self._drop = True

    def _nearest(self, place: int, others: NDArray[np.int64]) -> list[int]:
        """Ascending; where there are many, those whose signatures agree best, of equals the first."""
        if len(others) > _MEASURED:
            mine = self._signatures.of(np.array([place]))
            agreeing = (self._signatures.of(others) == mine).sum(axis=1)
            others = np.sort(others[np.argsort(-agreeing, kind="stable")[:_MEASURED]])
        return others.tolist()  # type: ignore[no-any-return]
