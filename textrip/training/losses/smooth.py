"""The smooth hardest negative: a log-sum-exp over all negatives of an anchor."""

import torch
from torch import Tensor
from torch.nn import functional

from textrip.training.losses.strategies import positives
from textrip.training.relations import Batch, mean_where


def smooth_hardest_loss(
    batch: Batch, margin: float, *, temperature: float, hardest_positive: bool = False
) -> Tensor:
    """T log(1 + sum over negatives of exp((d_ap - d_an + margin) / T)), the mean over anchors.

    As T falls to 0 it becomes batch-hard's hinge; with cosine distance and margin 0 it is T times InfoNCE
    (van den Oord et al., 2018, arXiv 1807.03748) with temperature T, which sentence-transformers calls
    multiple negatives ranking. In between, every negative pulls, the nearer the harder.

    Args:
        batch: Distances and relations.
        margin: In units of the distance.
        temperature: T, in units of the distance, above 0.
        hardest_positive: See `positives`.
    """
    d_ap, exists = positives(batch, hardest=hardest_positive)
    usable = exists & batch.negative.any(dim=1)
    logits = (d_ap[:, None] - batch.distances + margin) / temperature  # (b, n)
    # A finite floor, not minus infinity: a row of nothing but that has a NaN gradient.
    logits = logits.masked_fill(~batch.negative, torch.finfo(logits.dtype).min)
    costs = temperature * functional.softplus(logits.logsumexp(dim=1))
    return mean_where(costs, usable, batch.weights)
