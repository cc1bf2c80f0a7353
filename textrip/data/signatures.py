"""MinHash signatures of many texts, and which of them agree in a band: flat arrays, 300 bytes a text.

Broder, "On the resemblance and containment of documents", 1997; the signatures are datasketch's. Its index
for locality-sensitive hashing holds a dictionary of sets for every band, 6 KB a text: a million texts took
7 GB, nearly all of it for texts that share a band with no other. Here the bands are sorted, and those let go.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 64
# A signature in bands of four rows: at a resemblance of 0.8 a pair is missed once in 4,000 times.
COARSE_ROWS = 4
# In bands of sixteen: most of what is nearly equal shares one, and little else does.
FINE_ROWS = 16
# So many shingles at once: a book's, in one piece, would take 512 bytes each.
_AT_ONCE = 1 << 14
# Odd, without a pattern (the golden ratio): what two bands are folded into one number by.
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Signatures:
    """Of texts one after the other; 64 numbers of 32 bits each."""

    def __init__(self) -> None:
        self._flat = array("I")
        from datasketch import MinHash

        self._plain = MinHash(num_perm=PERMUTATIONS, hashfunc=int)

    def append(self, shingles: NDArray[np.uint32]) -> None:
        """The signature of one more text, from its shingles as numbers (n,)."""
        signature = self._plain.copy()
        for start in range(0, len(shingles), _AT_ONCE):
            signature.update_batch(shingles[start : start + _AT_ONCE].tolist())
        self._flat.frombytes(signature.hashvalues.astype(np.uint32).tobytes())

    def __len__(self) -> int:
        return len(self._flat) // PERMUTATIONS

    def of(self, places: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Some texts' signatures, (n, 64)."""
        return self._all()[places]

    def shared_bands(self) -> Iterator[tuple[int, list[int], list[int]]]:
        """Texts that share a band with another, by place, ascending: the place, and the bands of both sorts.

        A band is a number that all texts have that agree in it: first the coarse ones, then the fine ones.
        """
        every = self._all()
        places, bands = [], []
        taken = 0
        for rows in (COARSE_ROWS, FINE_ROWS):
            for start in range(0, PERMUTATIONS, rows):
                sharing, group = _agreeing(every[:, start : start + rows])
                places.append(sharing)
                bands.append(taken + group)
                taken += int(group[-1]) + 1 if len(group) else 0
            if rows == COARSE_ROWS:
                fine_from = taken
        place, band = np.concatenate(places), np.concatenate(bands)
        order = np.lexsort((band, place))
        place, band = place[order], band[order]
        sharing, starts = np.unique(place, return_index=True)
        ends = [*starts[1:], len(place)][: len(starts)]
        for one, start, end in zip(sharing.tolist(), starts, ends, strict=True):
            mine = band[start:end].tolist()
            cut = bisect_left(mine, fine_from)
            yield one, mine[:cut], mine[cut:]

    def _all(self) -> NDArray[np.uint32]:
        return np.frombuffer(self._flat, dtype=np.uint32).reshape(-1, PERMUTATIONS)


def _agreeing(rows: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows (n, r) are not alone: their places, and a number for each that equal rows share, ascending.

    Rows are compared by 64 bits: two that differ are taken for equal once in 10¹⁹ pairs, and what is proposed
    is measured.
    """
    key = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        key = (key ^ column) * _MIX
        key ^= key >> np.uint64(29)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    with_other = np.zeros(len(rows), dtype=bool)
    with_other[1:] |= same
    with_other[:-1] |= same
    begins = with_other.copy()
    begins[1:] &= ~same
    return order[with_other], np.cumsum(begins)[with_other] - 1
