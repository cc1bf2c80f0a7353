"""Quadruplet loss: a second pair of negatives, with a margin of its own.

"Beyond triplet loss: a deep quadruplet network for person re-identification", Chen et al., CVPR 2017,
arXiv 1704.01719.
"""

import torch
from torch import Tensor

from textrip.training.losses.strategies import batch_hard
from textrip.training.losses.triplet import hinge, triplet_loss
from textrip.training.relations import Batch, mean_where

# So many pairs of documents are looked at together, for as many anchors as that gives.
_PAIRS = 2**24


def quadruplet_loss(
    batch: Batch, margin: float, *, second_margin: float, hardest_positive: bool = False
) -> Tensor:
    """max(0, d_ap - d_an + margin) + max(0, d_ap - d_lk + second margin), the mean of each over anchors.

    n is the anchor's nearest negative; l and k are the nearest two documents of the batch that are both
    negatives of the anchor and positives of two other anchors, neither relevant for the other's: a pair of
    different meaning that has nothing to do with the anchor. The paper's distance is squared: choose
    squared-euclidean for its formula to the letter, and a second margin below the first.
    """
    triplets = batch_hard(batch, hardest_positive=hardest_positive)
    d_lk, exists = _nearest_strangers(batch)
    usable = triplets.usable & exists
    second = hinge(triplets.d_ap, torch.where(usable, d_lk, 0), second_margin)
    first = triplet_loss(triplets, margin, weights=batch.weights)
    return first + mean_where(second, usable, batch.weights)


def _nearest_strangers(batch: Batch) -> tuple[Tensor, Tensor]:
    """By anchor the distance of the nearest pair of strangers, and whether there is one: (b,), (b,)."""
    owned = batch.positive.float()  # (b, n): which document is which anchor's positive
    # Strangers: l is the positive of an anchor for which k is a negative, and the other way round.
    apart = (owned.T @ batch.negative.float()) > 0  # (n, n): [l, k]
    together = (owned.T @ batch.relevant.float()) > 0
    strangers = apart & apart.T & ~(together | together.T)
    between = batch.documents()  # (n, n)
    with torch.no_grad():  # which pair it is; a block of anchors at a time, as (b, n, n) grows with b cubed
        distances = between.masked_fill(~strangers, torch.inf)
        block = max(1, _PAIRS // max(1, distances.numel()))
        nearest = [_nearest_pairs(distances, negative) for negative in batch.negative.split(block)]
        exists = torch.isfinite(torch.cat([values for values, _ in nearest]))
        places = torch.cat([places for _, places in nearest])
    return between.flatten()[places], exists


def _nearest_pairs(distances: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """By anchor the distance of its nearest pair of negatives, and where in (n, n) it lies: (b,), (b,)."""
    pairs = negative[:, :, None] & negative[:, None, :]  # (b, n, n)
    found = distances.masked_fill(~pairs, torch.inf).flatten(1).min(dim=1)
    return found.values, found.indices
