"""The search of a sparse impact matrix on a GPU: a sparse-dense product for a batch of queries at once.

Only the postings of a batch's terms take part: (documents x terms) sparse times (terms x queries) dense, with
how often a query has a term as the dense values. Scores are float32 and within 1e-4 of the compiled search's;
a row is summed in the order of its terms, so that documents that tie there tie here, and the order decides.
Written with torch, it runs on any device; it has not been measured on a GPU.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textrip.lexical.kernel import Found, Postings

if TYPE_CHECKING:
    import torch

# Scores held at a time: 1 GiB of float32.
_SCORES_A_BATCH = 1 << 28
_QUERIES_A_BATCH = 256


def best_documents_on(device: str, postings: Postings, queries: Sequence[NDArray[np.int64]], k: int) -> Found:
    """As kernel.best_documents, on a torch device.

    Args:
        device: cuda, or any other of torch's.
        postings: What is searched.
        queries: The terms of each query, repeated where a token is.
        k: How many, at least 1 and at most n.
    """
    import torch

    n, q = postings.order.shape[0], len(queries)
    # Rows stand in the order that breaks ties: of equal scores the first one is the better.
    by_order = torch.from_numpy(np.argsort(postings.order)).to(device)
    rank = torch.from_numpy(np.asarray(postings.order, dtype=np.int64)).to(device)
    documents = rank[torch.from_numpy(postings.doc_indices).to(device).long()]
    impacts = torch.from_numpy(postings.impacts).to(device)
    found = Found(np.empty((q, k), dtype=np.int64), np.empty((q, k)), np.zeros(q, dtype=np.int64))
    size = max(1, min(_QUERIES_A_BATCH, _SCORES_A_BATCH // max(1, n)))
    for start in range(0, q, size):
        batch = queries[start : start + size]
        scores = _scores(batch, postings.indptr, documents, impacts, n)  # (n, b)
        for row, (places, best) in enumerate(_best(scores, k), start=start):
            count = len(places)
            found.places[row, :count] = by_order[places].cpu().numpy()
            found.scores[row, :count] = best.double().cpu().numpy()
            found.counts[row] = count
    return found


def _scores(
    queries: Sequence[NDArray[np.int64]],
    indptr: NDArray[np.int64],
    documents: "torch.Tensor",
    impacts: "torch.Tensor",
    n: int,
) -> "torch.Tensor":
    """Scores (n, b) float32 of b queries."""
    import torch

    device = impacts.device
    terms, places = np.unique(np.concatenate([*queries, np.empty(0, dtype=np.int64)]), return_inverse=True)
    if not terms.size:
        return torch.zeros((n, len(queries)), device=device)
    weights = torch.zeros((terms.size, len(queries)), device=device)
    columns = np.repeat(np.arange(len(queries)), [len(query) for query in queries])
    at = (torch.from_numpy(places).to(device), torch.from_numpy(columns).to(device))
    weights.index_put_(at, torch.ones(len(columns), device=device), accumulate=True)
    lengths = indptr[terms + 1] - indptr[terms]
    begins = np.repeat(indptr[terms] - (np.cumsum(lengths) - lengths), lengths)
    taken = torch.from_numpy(begins + np.arange(lengths.sum())).to(device)
    term = torch.repeat_interleave(
        torch.arange(terms.size, device=device), torch.from_numpy(lengths).to(device)
    )
    sparse = torch.sparse_coo_tensor(
        torch.stack([documents[taken], term]), impacts[taken], (n, terms.size), check_invariants=False
    )
    scores: torch.Tensor = torch.sparse.mm(sparse.coalesce(), weights)
    return scores


def _best(scores: "torch.Tensor", k: int) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
    """For every column the rows of its k best scores above 0, best first, of equal ones the first."""
    import torch

    for column in scores.T:
        least = torch.topk(column, k).values[-1]
        near = torch.nonzero((column >= least) & (column > 0)).flatten()  # ascending
        order = torch.sort(column[near], descending=True, stable=True).indices[:k]
        yield near[order], column[near[order]]
