"""Triplet loss: what a strategy's triplets cost.

FaceNet (Schroff et al., CVPR 2015, arXiv 1503.03832) with a hinge; Hermans et al., 2017, arXiv 1703.07737
with softplus in its place.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from textrip.training.losses.strategies import Triplets
from textrip.training.relations import mean_where

Cost = Callable[[Tensor, Tensor, float], Tensor]


def hinge(d_ap: Tensor, d_an: Tensor, margin: float) -> Tensor:
    """max(0, d_ap - d_an + margin), elementwise."""
    return functional.relu(d_ap - d_an + margin)


def soft_margin(d_ap: Tensor, d_an: Tensor, _margin: float) -> Tensor:
    """log(1 + exp(d_ap - d_an)), elementwise: never 0, so that a pair is pulled on without end."""
    return functional.softplus(d_ap - d_an)


def triplet_loss(
    triplets: Triplets, margin: float, cost: Cost = hinge, *, weights: Tensor | None = None
) -> Tensor:
    """The mean cost of the usable triplets, (), weighted by anchor; 0 with gradient 0 without any."""
    costs = cost(triplets.d_ap, triplets.d_an, margin)
    counted = triplets.usable & (costs > 0) if triplets.weighted_by_activity else triplets.usable
    return mean_where(costs, counted, weights)
