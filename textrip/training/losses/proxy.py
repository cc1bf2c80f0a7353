"""Proxy losses: a text is compared with one learned vector for each label, and with no other text.

Their batch has texts for anchors and proxies for documents: POSITIVE is the proxy of the text's own label.
"""

import torch
from torch import Tensor
from torch.nn import functional

from textrip.training.relations import Batch, farthest, mean_where


def proxy_nca_loss(batch: Batch, *, temperature: float) -> Tensor:
    """T (d(x, own) / T + log of the sum over other proxies of exp(-d(x, other) / T)), the mean over texts.

    "No Fuss Distance Metric Learning using Proxies", Movshovitz-Attias et al., ICCV 2017, arXiv 1703.07464,
    equation 8. The paper's is squared-euclidean between unit vectors with T = 1.
    """
    own = farthest(batch.distances, batch.positive)  # (b, C) -> (b,)
    others = (-batch.distances / temperature).masked_fill(~batch.negative, -torch.inf)
    return (own + temperature * others.logsumexp(dim=1)).mean()


def proxy_anchor_loss(batch: Batch, margin: float, *, temperature: float) -> Tensor:
    """Each proxy pulls its label's texts and pushes the others, the harder a text the more.

    "Proxy Anchor Loss for Deep Metric Learning", Kim et al., CVPR 2020, arXiv 2003.13911, equation 4, with
    s = 1 - d, delta = `margin` and alpha = 1 / `temperature`: the mean over the proxies that have a text in
    the batch of log(1 + sum exp(alpha (d - 1 + delta))), and over all proxies of the same with the signs
    turned. Its s is a cosine: choose cosine distance.
    """
    gap = (batch.distances - 1) / temperature  # (b, C): -alpha s
    pull = _softplus_of_sum(gap + margin / temperature, batch.positive)
    push = _softplus_of_sum(-gap + margin / temperature, batch.negative)
    return mean_where(pull, batch.positive.any(dim=0)) + push.mean()


def _softplus_of_sum(logits: Tensor, mask: Tensor) -> Tensor:
    """log(1 + sum exp) over the texts under the mask, by proxy: (b, C) -> (C,); 0 where there are none."""
    # A finite floor, not minus infinity: a column of nothing but that has a NaN gradient.
    logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
    return functional.softplus(logits.logsumexp(dim=0))
