"""BM25 over documents that come and go: counts on disk, scores worked out as a question is asked.

`BM25Okapi` keeps what a term adds to a score, which every document that comes or goes changes for all the
others. Here the counts are kept, and the scores are those of a fresh build at any time: the same formula
(rank-bm25's Okapi), in the same order, over the same statistics. A question reads the postings of its own
terms; nothing else is read when the index is opened.

Shapes: t terms, n documents, z postings.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from textrip.forked import cached_property
from textrip.lexical.analyzer import Analyzer
from textrip.string_table import StringTable

K1, B, EPSILON = 1.5, 0.75, 0.25
_ARRAYS = ("indptr", "doc_indices", "counts", "lengths")
# So many tokens are counted at once: 20 bytes each.
TOKENS_A_CHUNK = 1 << 22
# So many postings are brought to their places at once.
_CHUNK = 1 << 20


class WordCounts:
    """How often each term occurs in each document; memory-mapped.

    Attributes:
        terms: In ascending order, by row.
        indptr: (t + 1,) int64, where each term's postings begin.
        doc_indices: (z,) int32, ascending within a term.
        counts: (z,) int32.
        lengths: (n,) int32, tokens of each document.
    """

    def __init__(self, terms: StringTable, arrays: dict[str, NDArray[Any]]) -> None:
        self.terms = terms
        self.indptr: NDArray[np.int64] = arrays["indptr"]
        self.doc_indices: NDArray[np.int32] = arrays["doc_indices"]
        self.counts: NDArray[np.int32] = arrays["counts"]
        self.lengths: NDArray[np.int32] = arrays["lengths"]

    @staticmethod
    def write(texts: Iterable[str], analyzer: Analyzer, folder: Path) -> None:
        """Count texts and write them into an existing folder.

        Memory: the vocabulary and a chunk of tokens; counts go to files as they come, and from there into
        their places.
        """
        with tempfile.TemporaryDirectory(dir=folder) as name:
            chunks = Path(name)
            vocabulary, frequencies, lengths = _count_into(chunks, texts, analyzer)
            ordered = sorted(vocabulary)
            StringTable.of(ordered).save(folder, "terms")
            rows = np.fromiter((vocabulary[term] for term in ordered), np.int64, len(ordered))
            indptr = np.concatenate(([0], np.cumsum(frequencies[rows]))).astype(np.int64)
            np.save(folder / "indptr.npy", indptr, allow_pickle=False)
            np.save(folder / "lengths.npy", lengths, allow_pickle=False)
            begins = np.empty(len(rows), dtype=np.int64)  # by the order in which terms were met
            begins[rows] = indptr[:-1]
            for part in ("doc_indices", "counts"):
                _gather(folder / f"{part}.npy", chunks, part, begins.copy(), int(indptr[-1]))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `write` wrote; nothing is read yet."""
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
        }
        return cls(StringTable.open(folder, "terms"), arrays)

    def postings(self, term: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Documents and counts of a term; empty where no document has it."""
        row = self.terms.find(term)
        place = slice(0, 0) if row is None else slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return self.doc_indices[place], self.counts[place]


def _count_into(
    chunks: Path, texts: Iterable[str], analyzer: Analyzer
) -> tuple[dict[str, int], NDArray[np.int64], NDArray[np.int32]]:
    """Write the counts of each chunk; returns the vocabulary, each term's number of postings, and lengths."""
    from textrip.lexical.blocks import Analyzed
    from textrip.lexical.counting import count_in_chunks

    frequencies = np.empty(0, dtype=np.int64)
    lengths: list[NDArray[np.int32]] = []
    vocabulary: dict[str, int] = {}
    first = 0
    blocks = Analyzed(texts, analyzer).blocks()
    for number, found in enumerate(count_in_chunks(blocks, tokens=TOKENS_A_CHUNK)):
        vocabulary = found.vocabulary
        sizes = np.diff(found.indptr)
        frequencies = np.pad(frequencies, (0, len(sizes) - len(frequencies))) + sizes
        lengths.append(found.lengths.astype(np.int32))
        parts = {"sizes": sizes, "doc_indices": found.doc_indices + np.int32(first), "counts": found.counts}
        for part, array in parts.items():
            np.save(chunks / f"{part}-{number:06d}.npy", array, allow_pickle=False)
        first += len(found.lengths)
    return vocabulary, frequencies, np.concatenate(lengths)


def _gather(path: Path, chunks: Path, part: str, begins: NDArray[np.int64], total: int) -> None:
    """Bring all chunks' postings to their places: `begins` says where each term's next one goes."""
    if not total:  # nothing can be mapped of an empty file
        np.save(path, np.empty(0, dtype=np.int32), allow_pickle=False)
        return
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype("<i4"), shape=(total,))
    for place in sorted(chunks.glob(f"{part}-*.npy")):
        values = np.load(place, mmap_mode="r", allow_pickle=False)
        sizes = np.load(chunks / place.name.replace(part, "sizes"), allow_pickle=False)
        ends = np.cumsum(sizes)
        for first in range(0, len(values), _CHUNK):
            places = np.arange(first, min(first + _CHUNK, len(values)))
            terms = np.searchsorted(ends, places, side="right")
            made[begins[terms] + places - (ends[terms] - sizes[terms])] = values[places]
        begins[: len(sizes)] += sizes
    made.flush()


class WordIndex:
    """Counts on disk, less some documents, with others that came since.

    Documents have rows: those on disk from 0, those added after them.

    Args:
        base: On disk.
        removed: Rows of base that are gone, ascending.
        added: How often each term occurs in the documents that came since.
    """

    def __init__(
        self, base: WordCounts, removed: NDArray[np.int64], added: Sequence[Mapping[str, int]]
    ) -> None:
        self.base = base
        self.removed = removed
        self._added = added
        self._n_base = len(base.lengths)
        self.size = self._n_base + len(self._added)

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """(rows,) tokens of every document; those that are gone too."""
        added = [sum(counts.values()) for counts in self._added]
        return np.concatenate([self.base.lengths, np.asarray(added, dtype=np.int32)]).astype(np.float64)

    @cached_property
    def _n(self) -> int:
        return self.size - len(self.removed)

    @cached_property
    def _relative_lengths(self) -> NDArray[np.float64]:
        average = (self._lengths.sum() - self._lengths[self.removed].sum()) / self._n if self._n else 0.0
        return K1 * (1 - B + B * self._lengths / (average or 1.0))

    @cached_property
    def _new_postings(self) -> dict[str, tuple[list[int], list[int]]]:
        found: dict[str, tuple[list[int], list[int]]] = {}
        for row, counts in enumerate(self._added, start=self._n_base):
            for term, count in counts.items():
                rows, times = found.setdefault(term, ([], []))
                rows.append(row)
                times.append(count)
        return found

    @cached_property
    def _frequencies(self) -> NDArray[np.int64]:
        """(t,) how many documents have each term of base now, those added not among them."""
        frequencies = np.diff(self.base.indptr)
        if len(self.removed):
            gone = np.zeros(self._n_base, dtype=bool)
            gone[self.removed] = True
            places = np.flatnonzero(gone[self.base.doc_indices])
            terms = np.searchsorted(self.base.indptr, places, side="right") - 1
            frequencies = frequencies - np.bincount(terms, minlength=len(frequencies))
        return frequencies

    @cached_property
    def _floor(self) -> float:
        """What a term in more than half of the documents gets: epsilon times the average idf of all terms.

        Summed by frequency, so that it is the same in whatever order terms were met.
        """
        frequencies = self._frequencies.copy()
        new = 0
        others = []
        for term, (rows, _) in self._new_postings.items():
            place = self.base.terms.find(term)
            if place is None:
                others.append(len(rows))
                new += 1
            else:
                frequencies[place] += len(rows)
        every = np.concatenate([frequencies, np.asarray(others, dtype=np.int64)])
        of = np.bincount(every[every > 0])
        present = np.flatnonzero(of)
        total = float((of[present] * self._idf(present)).sum())
        return EPSILON * total / max(1, int(of[present].sum()))

    def _idf(self, frequency: Any) -> Any:
        return np.log(self._n - frequency + 0.5) - np.log(frequency + 0.5)

    def scores(self, query: Sequence[str]) -> NDArray[np.float64]:
        """Every row's score for a query of terms; a term that occurs twice counts twice.

        Returns:
            (rows,) float64; what is gone has a score as well, and is for the caller to leave out.
        """
        return self.hits(query)[0]

    def hits(self, query: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """`scores`, and the rows that share a term with the query, ascending.

        A term that half of the documents have weighs nothing, and one that more have next to nothing or, in
        a tiny corpus, less: a document that has it is a hit all the same.
        """
        scores, touched = np.zeros(self.size), np.zeros(self.size, dtype=bool)
        for token in query:
            for rows, impacts in self._impacts(token):
                scores[rows] += impacts
                touched[rows] = True
        return scores, np.flatnonzero(touched)

    def _impacts(self, token: str) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]]]:
        documents, counts = self.base.postings(token)
        new = self._new_postings.get(token, ([], []))
        frequency = len(documents) + len(new[0])
        if len(self.removed) and len(documents):
            frequency -= int(np.isin(self.removed, documents, assume_unique=True).sum())
        if not frequency:
            return
        idf = float(self._idf(frequency))
        if idf < 0:
            idf = self._floor
        for rows, times in (
            (documents, counts),
            (np.asarray(new[0], np.int64), np.asarray(new[1], np.int64)),
        ):
            if len(rows):
                tf = np.asarray(times, dtype=np.float64)
                yield rows, idf * tf * (K1 + 1) / (tf + self._relative_lengths[rows])
