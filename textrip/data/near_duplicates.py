"""Texts that are nearly the same: the Jaccard index of their shingles, found at scale by MinHash.

Broder, "On the resemblance and containment of documents", 1997. A shingle is three words in a row. MinHash
with locality-sensitive hashing (datasketch) proposes pairs, and every one of them is measured before it
counts: what is reported is a pair, and of those just above the threshold a few may be missed.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textrip.data.words import folded, normalised, without_accents, words
from textrip.progress import advancing

if TYPE_CHECKING:
    from datasketch import MinHash

THRESHOLD = 0.8
_WORDS_A_SHINGLE = 3
# A signature in bands of four rows: at a resemblance of 0.8 a pair is missed once in 4,000 times.
_PERMUTATIONS = 64
_BANDS, _ROWS = 16, 4
# A text that resembles so many others is not compared with later ones: they resemble those others.
_MATCHES = 8
# One that so many are proposed for is of a template, below the threshold perhaps: compared with later ones as
# far as bands of sixteen rows propose it, which most of those that are nearly equal share, and few others.
_PROPOSED = 128
_FINE_BANDS, _FINE_ROWS = 4, 16
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
    """Pairs of nearly the same text, as they are found.

    Texts that are equal but for case and blanks come as pairs with the first of them, and only that one is
    compared with others: a text that occurs a thousand times gives 999 pairs and not half a million. So do
    texts that were made from a template: one that resembles eight others stands for nobody else, and among
    hundreds that resemble each other the nearest are found, and not every pair.

    Args:
        texts: n of them, read once; of each its shingles are kept as numbers of 32 bits.
        threshold: The least resemblance.
        progress: What a progress bar says; none without it.
        total: How many texts there are, where it is known.
    """
    from datasketch import MinHash

    proposals = _Proposals()
    plain = MinHash(num_perm=_PERMUTATIONS, hashfunc=zlib.crc32)
    first_of: dict[int, int] = {}
    held: dict[int, NDArray[np.uint32]] = {}
    with advancing(progress or "", total) as advance:
        for place, text in enumerate(texts):
            if progress:
                advance(1)
            first = first_of.setdefault(hash(normalised(text)), place)
            if first != place:
                yield Pair(first, place, 1.0)
                continue
            encoded = [shingle.encode() for shingle in shingles(text)]
            mine = numbers_of(encoded)
            signature = plain.copy()
            signature.update_batch(encoded)
            matches = 0
            for other in proposals.of(signature):
                found = resemblance(mine, held[other])
                if found >= threshold:
                    matches += 1
                    yield Pair(other, place, found)
            if matches < _MATCHES and proposals.keep(place, signature):
                held[place] = mine


class _Proposals:
    """Which earlier texts may resemble one, by their signatures."""

    def __init__(self) -> None:
        from datasketch import MinHashLSH

        self._coarse = MinHashLSH(num_perm=_PERMUTATIONS, params=(_BANDS, _ROWS))
        self._fine = MinHashLSH(num_perm=_PERMUTATIONS, params=(_FINE_BANDS, _FINE_ROWS))
        self._signatures: dict[int, NDArray[np.uint64]] = {}
        self._crowd = 0

    def of(self, signature: "MinHash") -> list[int]:
        """Ascending; where there are many, those whose signatures agree best, of equals the first."""
        found = set(self._coarse.query(signature))
        if len(found) > _PROPOSED:
            found |= set(self._fine.query(signature))
        self._crowd = len(found)
        places = np.array(sorted(found), dtype=np.int64)
        if len(places) > _MEASURED:
            known = np.stack([self._signatures[place] for place in places.tolist()])
            agreeing = (known == signature.hashvalues).sum(axis=1)
            places = np.sort(places[np.argsort(-agreeing, kind="stable")[:_MEASURED]])
        return places.tolist()  # type: ignore[no-any-return]

    def keep(self, place: int, signature: "MinHash") -> bool:
        """Propose a text to later ones, after `of` was asked for it; whether it is."""
        if self._crowd > 2 * _PROPOSED:  # what would be said of it can be said of the others
            return False
        index = self._fine if self._crowd > _PROPOSED else self._coarse
        index.insert(place, signature, check_duplication=False)
        self._signatures[place] = signature.hashvalues.copy()
        return True
