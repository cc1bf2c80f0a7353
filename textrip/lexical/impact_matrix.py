"""What BM25's variants share: documents counted into a sparse matrix, and scores read from it.

rank-bm25 keeps a dictionary of counts for every document and reads all of them for every term of a
query. Here its classes keep their constructor, their idf and their parameters, and only the counts are
held another way: what a term adds to a document's score (its impact) is worked out once and stored by
term, so that a query reads the postings of its own terms and nothing else.
"""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from textrip import ranking
from textrip.errors import InputError
from textrip.forked import cached_property
from textrip.lexical.blocks import Analyzed, blocks_of_tokens
from textrip.lexical.counting import count_terms
from textrip.lexical.impact_files import read_into, write_matrix

Tokens = Sequence[str]

# So many postings have their impacts worked out at once, in float64.
_CHUNK = 1 << 22
# From so many scores on (queries x documents), the compiled search is worth the import of its compiler; once
# that is there it answers everything.
_COMPILED_FROM = 20_000_000
# From so many queries at once on, a GPU is worth the way there.
_CUDA_FROM = 2048
# What NVIDIA's driver has there, on Linux, in its subsystem for Windows, and on Windows.
_DRIVER_FILES = (
    "/dev/nvidiactl",
    "/usr/lib/wsl/lib/libcuda.so.1",
    r"C:\Windows\System32\nvcuda.dll",
)
_COMPILED = "textrip.lexical.kernel"


def _on_cuda(queries: int) -> bool:
    """Whether there are many queries, and a GPU: torch, seconds to import, is asked where a driver is."""
    if queries < _CUDA_FROM or not ("torch" in sys.modules or any(map(os.path.exists, _DRIVER_FILES))):
        return False
    import torch

    return torch.cuda.is_available()


class ImpactMatrix(ABC):
    """What the three variants share: counting into a matrix and reading scores from it.

    Shapes: t terms, n documents, z postings.

    Attributes:
        indptr: (t + 1,) int64, where each term's postings begin.
        doc_indices: (z,) int32, the documents of the postings, ascending within a term.
        impacts: (z,) float32, what the posting adds to its document's score.
        baselines: (t,) float64, what the term adds to every document, with or without it (BM25+).
        vocabulary: From term to its row.
    """

    PARAMETERS: ClassVar[tuple[str, ...]]
    indptr: NDArray[np.int64]
    doc_indices: NDArray[np.int32]
    impacts: NDArray[np.float32]
    baselines: NDArray[np.float64]
    vocabulary: Mapping[str, int]
    corpus_size: int
    avgdl: float
    idf: dict[str, float]

    def _initialize(self, corpus: Iterable[Tokens] | Analyzed) -> dict[str, int]:
        """Count the corpus; called by rank-bm25's constructor, returns each term's document frequency."""
        found = count_terms(corpus.blocks() if isinstance(corpus, Analyzed) else blocks_of_tokens(corpus))
        self.vocabulary = found.vocabulary
        self.indptr, self.doc_indices, self._counts = found.indptr, found.doc_indices, found.counts
        self.doc_len = found.lengths
        self.corpus_size = len(found.lengths)
        self.avgdl = float(self.doc_len.sum()) / self.corpus_size
        return dict(zip(self.vocabulary, np.diff(self.indptr).tolist(), strict=True))

    def _calc_idf(self, nd: dict[str, int]) -> None:
        if nd:  # rank-bm25 divides by the size of the vocabulary
            super()._calc_idf(nd)  # type: ignore[misc]
        idf = np.fromiter(
            (self.idf[term] for term in self.vocabulary), dtype=np.float64, count=len(self.vocabulary)
        )
        # A corpus of empty documents has no postings, and an average length of 0 that nothing divides by.
        relative_length = self.doc_len / (self.avgdl or 1.0)
        self.impacts = np.empty(self._counts.size, dtype=np.float32)
        for first in range(0, self._counts.size, _CHUNK):
            chunk = slice(first, first + _CHUNK)
            postings = np.arange(first, min(first + _CHUNK, self._counts.size))
            terms = np.searchsorted(self.indptr, postings, side="right") - 1
            self.impacts[chunk] = self._impacts(
                self._counts[chunk].astype(np.float64), relative_length[self.doc_indices[chunk]], idf[terms]
            )
        self.baselines = self._baselines(idf)
        del self._counts

    @abstractmethod
    def _impacts(
        self,
        counts: NDArray[np.float64],
        relative_length: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The formula: impacts (z,) of counts (z,), |d|/avgdl (z,) and idf (z,)."""

    def _baselines(self, idf: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a term of idf (t,) adds to every document (t,)."""
        return np.zeros_like(idf)

    @cached_property
    def signs(self) -> NDArray[np.int8]:
        """(t,) int8, by term: 1 where it adds to the scores of its documents, 0 where it adds nothing, -1.

        All its postings alike: the sign is its idf's. Okapi's is 0 where exactly half of the documents have
        the term, and below 0 for the most frequent terms of a tiny corpus.
        """
        return np.sign(self.impacts[self.indptr[:-1]]).astype(np.int8)

    def has_weightless(self, query: Tokens) -> bool:
        """Whether a document that has a token of the query may score 0 or less all the same."""
        return any(self.signs[self.vocabulary[token]] < 1 for token in query if token in self.vocabulary)

    def _tokenize_corpus(self, corpus: Iterable[str]) -> list[list[str]]:
        # rank-bm25 forks a pool of processes here; a fork hangs beside torch's threads.
        return [self.tokenizer(document) for document in corpus]  # type: ignore[attr-defined]

    def get_scores(self, query: Tokens) -> NDArray[np.float64]:
        """Every document's score for a query of tokens; a token that occurs twice counts twice.

        Returns:
            (documents,) float64.

        Raises:
            InputError: the query is a string, which would be read letter by letter.
        """
        if isinstance(query, str):
            raise InputError("the query is a string, a list of tokens was expected; analyze it first")
        scores = np.zeros(self.corpus_size)
        for token in query:
            term = self.vocabulary.get(token)
            if term is None:
                continue
            postings = slice(self.indptr[term], self.indptr[term + 1])
            scores[self.doc_indices[postings]] += self.impacts[postings]  # a term names a document once
            if self.baselines[term]:
                scores += self.baselines[term]
        return scores

    def matches(self, query: Tokens) -> NDArray[np.int64]:
        """The places of the documents that share a token with the query, ascending."""
        terms = [self.vocabulary[token] for token in query if token in self.vocabulary]
        postings = [self.doc_indices[self.indptr[term] : self.indptr[term + 1]] for term in terms]
        held = np.zeros(self.corpus_size, dtype=np.bool_)
        for documents in postings:
            held[documents] = True
        return np.flatnonzero(held)

    def get_batch_scores(self, query: Tokens, doc_ids: Sequence[int]) -> list[float]:
        """The scores of some documents, by their places."""
        return self.get_scores(query)[np.asarray(doc_ids, dtype=np.int64)].tolist()  # type: ignore[no-any-return]

    def get_top_n(self, query: Tokens, documents: Sequence[Any], n: int = 5) -> list[Any]:
        """The n best of `documents`, which stand in the order of the corpus."""
        if len(documents) != self.corpus_size:
            raise InputError(f"{len(documents)} documents given, the index has {self.corpus_size}")
        return [documents[place] for place in self.top_k([query], n)[0][0]]

    def top_k(
        self, queries: Sequence[Tokens], k: int, order: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k best documents of every query, best first.

        Documents of score 0 take part, as they do in rank-bm25: they are no matches.

        Args:
            queries: q lists of tokens.
            k: How many; at most the number of documents.
            order: (documents,) what breaks ties; the place in the corpus where None.

        Returns:
            Places (q, k) int64 and scores (q, k) float64.
        """
        if isinstance(queries, str):
            raise InputError("the queries are a string, a list of lists of tokens was expected")
        k = min(k, self.corpus_size)
        if k > 0 and self._worth_compiling(len(queries)):
            return self._compiled_top_k(queries, k, order)
        indices = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k))
        for row, query in enumerate(queries):  # one row of scores at a time: q x n would not fit
            places, best = ranking.top_k(self.get_scores(query)[None, :], k, order)
            indices[row], scores[row] = places[0], best[0]
        return indices, scores

    def in_parts(self, queries: int, usual: int) -> list[slice]:
        """How to ask so many queries in parts: `usual` ones at once, or evenly as many as a GPU is worth.

        The compiler is loaded where it is worth it for all parts together.
        """
        bounds = [*range(0, queries, usual), queries]
        if self._worth_compiling(queries):
            from textrip.lexical import kernel  # noqa: F401

            if _on_cuda(queries):
                parts = queries // _CUDA_FROM
                bounds = [queries * part // parts for part in range(parts + 1)]
        return [slice(begin, end) for begin, end in pairwise(bounds)]

    def _worth_compiling(self, queries: int) -> bool:
        """It finds scores above 0, so it is no way where a term lowers them, or adds to every document."""
        loaded = _COMPILED in sys.modules
        if not loaded and queries * self.corpus_size < _COMPILED_FROM:
            return False
        return not self.baselines.any() and bool((self.signs >= 0).all())

    def _compiled_top_k(
        self, queries: Sequence[Tokens], k: int, order: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The same, bit by bit, on all processors."""
        from textrip.lexical.kernel import Postings, best_documents  # numba takes half a second to import

        order = np.arange(self.corpus_size) if order is None else order
        known = [
            np.array([self.vocabulary[token] for token in query if token in self.vocabulary], dtype=np.int64)
            for query in queries
        ]
        known = [terms[self.signs[terms] > 0] for terms in known]
        # A memory map is no plain array to the compiler.
        postings = Postings(
            np.asarray(self.indptr),
            np.asarray(self.doc_indices),
            np.asarray(self.impacts),
            order,
        )
        if _on_cuda(len(queries)):
            from textrip.lexical.cuda import best_documents_on

            places, scores, counts = best_documents_on("cuda", postings, known, k)
        else:
            places, scores, counts = best_documents(postings, known, k)
        lacking = np.flatnonzero(counts < k)
        if lacking.size:
            by_order = np.argsort(order)[: 2 * k]  # at most k of them are found already
            for row in lacking:
                others = by_order[~np.isin(by_order, places[row, : counts[row]])]
                places[row, counts[row] :] = others[: k - counts[row]]
                scores[row, counts[row] :] = 0
        return places, scores

    def save(self, folder: str | Path) -> None:
        """Write arrays and JSON into a new folder; nothing is pickled."""
        write_matrix(self, Path(folder))

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open what `save` wrote, memory-mapped: in milliseconds where the digests held before.

        Raises:
            InputError: a file is missing or damaged, or the folder holds another variant.
        """
        matrix = cls.__new__(cls)
        read_into(matrix, Path(folder))
        return matrix
