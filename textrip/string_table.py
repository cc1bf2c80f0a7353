"""Sorted strings in two memory-mapped arrays: millions are opened without reading one of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class StringTable(Sequence[str]):
    """Distinct strings in ascending order of their code points; `find` is a binary search.

    UTF-8 keeps that order, so that bytes are compared. A lone surrogate, which is no text, is refused
    where texts are read.

    Attributes:
        blob: (bytes,) uint8, the strings one after the other.
        offsets: (n + 1,) int64, where each begins.
    """

    def __init__(self, blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.blob = blob
        self.offsets = offsets

    @classmethod
    def of(cls, ordered: Sequence[str]) -> Self:
        """A table of strings that are sorted and distinct already."""
        encoded = [string.encode("utf-8") for string in ordered]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def save(self, folder: Path, name: str) -> None:
        """Write NAME.blob.npy and NAME.offsets.npy."""
        np.save(folder / f"{name}.blob.npy", self.blob, allow_pickle=False)
        np.save(folder / f"{name}.offsets.npy", self.offsets, allow_pickle=False)

    @classmethod
    def open(cls, folder: Path, name: str) -> Self:
        """Open what `save` wrote; nothing is read yet."""
        blob, offsets = (
            np.load(folder / f"{name}.{part}.npy", mmap_mode="r", allow_pickle=False)
            for part in ("blob", "offsets")
        )
        return cls(blob, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._bytes(place % len(self)).decode("utf-8")

    def _bytes(self, place: int) -> bytes:
        return bytes(self.blob[self.offsets[place] : self.offsets[place + 1]])

    def place_of(self, string: str) -> int:
        """Where a string stands, or would stand: how many come before it."""
        wanted, low, high = string.encode("utf-8"), 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._bytes(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, string: str) -> int | None:
        """Where a string stands; None where it is not among them."""
        place = self.place_of(string)
        return place if place < len(self) and self._bytes(place) == string.encode("utf-8") else None
