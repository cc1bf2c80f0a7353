"""From documents of tokens to counts by term: a transposition, in memory of a few bytes a token.

Shapes: t terms, n documents, z postings.
"""

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textrip.errors import InputError
from textrip.lexical.blocks import Block


class Counts(NamedTuple):
    """How often each term occurs in each document.

    Attributes:
        vocabulary: From term to its row, in the order in which terms were met.
        indptr: (t + 1,) int64, where each term's postings begin.
        doc_indices: (z,) int32, the documents of the postings, ascending within a term.
        counts: (z,) int32, at least 1.
        lengths: (n,) int64, tokens of each document.
    """

    vocabulary: dict[str, int]
    indptr: NDArray[np.int64]
    doc_indices: NDArray[np.int32]
    counts: NDArray[np.int32]
    lengths: NDArray[np.int64]


def count_terms(blocks: Iterable[Block]) -> Counts:
    """Count a corpus, which is read once.

    Raises:
        InputError: there is no document.
    """
    (found,) = count_in_chunks(blocks, tokens=None)
    return found


def count_in_chunks(blocks: Iterable[Block], *, tokens: int | None) -> Iterator[Counts]:
    """Count a corpus by chunks of so many tokens and more, whose documents are numbered from 0 in each.

    All share one vocabulary, which grows: a chunk's arrays know the terms that were met up to its end.

    Raises:
        InputError: there is no document.
    """
    vocabulary: dict[str, int] = {}
    occurrences = array("i")  # grows in place: arrays put together at the end would be there twice
    lengths = array("q")
    some = False
    for block in blocks:
        rows = [vocabulary.setdefault(term, len(vocabulary)) for term in block.terms]
        occurrences.frombytes(np.asarray(rows, np.int32)[block.occurrences].tobytes())
        lengths.extend(block.lengths.tolist())
        some = True
        if tokens is not None and len(occurrences) >= tokens:
            yield _transposed(vocabulary, occurrences, lengths)
            occurrences, lengths = array("i"), array("q")
    if not some:
        raise InputError("the corpus is empty, at least one document was expected")
    if lengths:
        yield _transposed(vocabulary, occurrences, lengths)


def _transposed(vocabulary: dict[str, int], met: "array[int]", sizes: "array[int]") -> Counts:
    from scipy.sparse import csr_array

    occurrences, lengths = np.frombuffer(met, dtype=np.int32), np.asarray(sizes, dtype=np.int64)
    begins = np.concatenate(([0], np.cumsum(lengths)))
    if begins[-1] <= np.iinfo(np.int32).max:
        begins = begins.astype(np.int32)  # else scipy widens the tokens as well
    ones = np.ones(occurrences.size, dtype=np.int32)
    by_term = csr_array(
        (ones, occurrences, begins), shape=(len(lengths), len(vocabulary)), copy=False
    ).tocsc()
    by_term.sum_duplicates()  # a term that occurs twice in a document
    return Counts(
        vocabulary,
        by_term.indptr.astype(np.int64),
        by_term.indices.astype(np.int32, copy=False),
        by_term.data,
        lengths,
    )
