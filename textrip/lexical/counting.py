"""From documents of tokens to counts by term: a transposition, in memory of a few bytes a token.

Shapes: t terms, n documents, z postings.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textrip.errors import InputError


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


def count_terms(corpus: Iterable[Sequence[str]]) -> Counts:
    """Count a corpus, which is read once.

    Raises:
        InputError: a document is a string, or there is none.
    """
    vocabulary: dict[str, int] = {}
    occurrences = array("i")  # grows in place: a list of arrays would cost a document 100 bytes more
    lengths = array("q")
    for tokens in corpus:
        if isinstance(tokens, str):
            raise InputError("a document is a string, a list of tokens was expected; analyze it first")
        occurrences.extend([vocabulary.setdefault(token, len(vocabulary)) for token in tokens])
        lengths.append(len(tokens))
    if not lengths:
        raise InputError("the corpus is empty, at least one document was expected")
    return _transposed(vocabulary, np.frombuffer(occurrences, dtype=np.int32), np.asarray(lengths, np.int64))


def _transposed(
    vocabulary: dict[str, int], occurrences: NDArray[np.int32], lengths: NDArray[np.int64]
) -> Counts:
    from scipy.sparse import csr_array

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
