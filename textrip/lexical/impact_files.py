"""A matrix of impacts in a folder: plain arrays, memory-mapped when they are read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textrip.errors import InputError
from textrip.files import read_json, write_sealed_json
from textrip.stamps import digested, require_digests
from textrip.string_table import StringTable

if TYPE_CHECKING:
    from textrip.lexical.impact_matrix import ImpactMatrix

KIND = "textrip-bm25"
FORMAT = 2
_ARRAYS = ("indptr", "doc_indices", "impacts", "baselines")


class _SavedVocabulary(Mapping[str, int]):
    """From term to row, by binary search in a memory-mapped table: a dictionary takes a second to fill."""

    def __init__(self, terms: StringTable, rows: NDArray[np.int64]) -> None:
        self._terms = terms
        self._rows = rows

    def __getitem__(self, term: str) -> int:
        place = self._terms.find(term)
        if place is None:
            raise KeyError(term)
        return int(self._rows[place])

    def __iter__(self) -> Iterator[str]:
        """Terms in the order of their rows."""
        return (self._terms[int(place)] for place in np.argsort(self._rows))

    def __len__(self) -> int:
        return len(self._terms)


def write_matrix(matrix: "ImpactMatrix", folder: Path) -> None:
    """Write arrays and JSON into a new folder; nothing is pickled."""
    folder.mkdir(parents=True)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(matrix, name), allow_pickle=False)
    terms = sorted(matrix.vocabulary)
    StringTable.of(terms).save(folder, "terms")
    rows = np.fromiter((matrix.vocabulary[term] for term in terms), dtype=np.int64, count=len(terms))
    np.save(folder / "rows.npy", rows, allow_pickle=False)
    names = [f"{name}.npy" for name in (*_ARRAYS, "rows", "terms.blob", "terms.offsets")]
    write_sealed_json(
        folder / "bm25.json",
        {
            "kind": KIND,
            "format": FORMAT,
            "variant": type(matrix).__name__,
            "parameters": {name: getattr(matrix, name) for name in matrix.PARAMETERS},
            "corpus_size": matrix.corpus_size,
            "sha256": digested(folder, names),
        },
    )


def read_into(matrix: "ImpactMatrix", folder: Path) -> None:
    """Give a matrix of the same variant what lies in a folder.

    Raises:
        InputError: a file is missing or damaged, or the folder holds another variant.
    """
    saved = read_json(folder / "bm25.json", kind=KIND, version=FORMAT, sealed=True)
    if saved["format"] < FORMAT:
        raise InputError(f"{folder}: has format {saved['format']}, of an older textrip; build it again")
    variant = type(matrix).__name__
    if saved["variant"] != variant:
        raise InputError(f"{folder}: holds {saved['variant']}, {variant} was asked for")
    require_digests(folder, {Path(name).name: digest for name, digest in saved["sha256"].items()})
    for name, value in saved["parameters"].items():
        setattr(matrix, name, value)
    for name in _ARRAYS:
        setattr(matrix, name, np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
    rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
    matrix.vocabulary = _SavedVocabulary(StringTable.open(folder, "terms"), rows)
    if read_json(folder / "bm25.json", kind=KIND, version=FORMAT, sealed=True) != saved:
        raise InputError(f"{folder}: was replaced by another while it was opened; open it again")
    matrix.corpus_size = saved["corpus_size"]
