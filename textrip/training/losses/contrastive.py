"""Contrastive loss over the pairs of a batch's groups.

"Dimensionality Reduction by Learning an Invariant Mapping", Hadsell, Chopra and LeCun, CVPR 2006.
"""

from torch import Tensor
from torch.nn import functional

from textrip.training.relations import Batch, farthest, mean_where, nearest


def contrastive_loss(batch: Batch, margin: float) -> Tensor:
    """d² / 2 of the relevant pairs and max(0, margin - d)² / 2 of the negative ones, the mean of each, added.

    The paper sums over a list of pairs; here negatives outnumber positives by the size of the batch, so
    that each sort has its own mean.
    """
    return _pairs(batch, batch.relevant, batch.negative, margin)


def online_contrastive_loss(batch: Batch, margin: float) -> Tensor:
    """Contrastive loss over the hard pairs of every anchor alone.

    Hard is a positive that is farther than the anchor's nearest negative, and a negative that is nearer
    than its farthest positive (sentence-transformers' OnlineContrastiveLoss, by anchor and not by batch).
    """
    reach = farthest(batch.distances, batch.relevant)[:, None]
    limit = nearest(batch.distances, batch.negative)[:, None]
    hard_positive = batch.relevant & (batch.distances > limit)
    hard_negative = batch.negative & (batch.distances < reach)
    return _pairs(batch, hard_positive, hard_negative, margin)


def _pairs(batch: Batch, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    pull = batch.distances.square() / 2
    push = functional.relu(margin - batch.distances).square() / 2
    return mean_where(pull, positive, batch.weights) + mean_where(push, negative, batch.weights)
