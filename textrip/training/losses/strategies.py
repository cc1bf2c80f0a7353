"""Which negatives an anchor is compared with. A strategy gives triplets; the loss says what they cost.

Every strategy reads the same (b, n) distances and relations and returns (anchor, positive) and (anchor,
negative) distances of one shape, and which of them count.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from textrip.training.names import Strategy
from textrip.training.relations import Batch, farthest, nearest


@dataclass(frozen=True)
class Triplets:
    """Distances of triplets; t is b, or (b, n) where every negative is compared.

    Attributes:
        d_ap: (t) float32, anchor to positive; finite everywhere.
        d_an: (t) float32, anchor to negative; finite everywhere.
        usable: (t) bool, whether the triplet exists.
        weighted_by_activity: Average over the triplets that cost something, not over all.
    """

    d_ap: Tensor
    d_an: Tensor
    usable: Tensor
    weighted_by_activity: bool = False


def positives(batch: Batch, *, hardest: bool) -> tuple[Tensor, Tensor]:
    """The positive's distance by anchor and whether there is one: (b,), (b,).

    Args:
        batch: Distances and relations.
        hardest: Of all relevant documents in the batch the farthest; else the group's own.
    """
    mask = batch.relevant if hardest else batch.positive
    exists = mask.any(dim=1)
    return torch.where(exists, farthest(batch.distances, mask), 0), exists


def _compared(d_ap: Tensor, d_an: Tensor, usable: Tensor) -> Triplets:
    return Triplets(d_ap, torch.where(usable, d_an, 0), usable)


def mined(batch: Batch, *, hardest_positive: bool = False) -> Triplets:
    """Every mined negative of an anchor, and no other."""
    d_ap, exists = positives(batch, hardest=hardest_positive)
    usable = batch.mined & exists[:, None]
    return Triplets(d_ap[:, None].expand_as(batch.distances), batch.distances, usable)


def batch_all(batch: Batch, *, hardest_positive: bool = False) -> Triplets:
    """Every negative of the batch; averaged over the triplets that cost something.

    Hermans et al., 2017, arXiv 1703.07737 ("batch all", in the form that leaves out zeros). An anchor
    has one positive, so that this is b times n and never cubic.
    """
    d_ap, exists = positives(batch, hardest=hardest_positive)
    usable = batch.negative & exists[:, None]
    return Triplets(
        d_ap[:, None].expand_as(batch.distances), batch.distances, usable, weighted_by_activity=True
    )


def batch_hard(batch: Batch, *, hardest_positive: bool = False) -> Triplets:
    """The nearest negative of the batch, mined ones included (Hermans et al., arXiv 1703.07737)."""
    d_ap, exists = positives(batch, hardest=hardest_positive)
    usable = exists & batch.negative.any(dim=1)
    return _compared(d_ap, nearest(batch.distances, batch.negative), usable)


def semi_hard(batch: Batch, *, hardest_positive: bool = False) -> Triplets:
    """The nearest negative that is farther than the positive; where there is none, the farthest of all.

    FaceNet, Schroff et al., CVPR 2015, arXiv 1503.03832, with its implementation's fallback. The very
    hardest negatives, which are often unjudged relevant documents, do not pull.
    """
    return _semi_hard(batch, batch.negative, hardest_positive=hardest_positive)


def _semi_hard(batch: Batch, negative: Tensor, *, hardest_positive: bool) -> Triplets:
    d_ap, exists = positives(batch, hardest=hardest_positive)
    beyond = negative & (batch.distances > d_ap[:, None])
    d_an = torch.where(
        beyond.any(dim=1), nearest(batch.distances, beyond), farthest(batch.distances, negative)
    )
    return _compared(d_ap, d_an, exists & negative.any(dim=1))


def in_batch(batch: Batch, *, hardest_positive: bool = False) -> Triplets:
    """Semi-hard among what other groups bring; the anchor's own mined negatives are not compared.

    For data where the mined ones are mostly relevant and unjudged. The hardest of the others would
    collapse there: the positives are far, and pulling them in pulls everything together.
    """
    return _semi_hard(batch, batch.negative & ~batch.mined, hardest_positive=hardest_positive)


def mixed(batch: Batch, *, hardest_positive: bool = False) -> Triplets:
    """Every mined negative, and the nearest one that other groups bring: both sorts in one average."""
    d_ap, exists = positives(batch, hardest=hardest_positive)
    others = batch.negative & ~batch.mined
    column = nearest(batch.distances, others)[:, None]  # (b, 1)
    distances = torch.cat([batch.distances, column], dim=1)  # (b, n + 1)
    usable = torch.cat([batch.mined, others.any(dim=1, keepdim=True)], dim=1) & exists[:, None]
    return _compared(d_ap[:, None].expand_as(distances), distances, usable)


CHOOSE: dict[Strategy, Callable[..., Triplets]] = {
    "mined": mined,
    "batch-all": batch_all,
    "batch-hard": batch_hard,
    "semi-hard": semi_hard,
    "mixed": mixed,
    "in-batch": in_batch,
}
