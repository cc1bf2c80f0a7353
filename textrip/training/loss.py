"""Triplet loss = distance, choice of negatives, hinge, mean: four things that compose.

Shape letters: b anchors (queries), n distinct documents of the batch, d dimensions. Every strategy reads
the same (b, n) distances and the same (b, n) relations.

FaceNet, Schroff et al., CVPR 2015, arXiv 1503.03832; "In Defense of the Triplet Loss", Hermans et al.,
2017, arXiv 1703.07737 (batch-hard).
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from textrip.training.distance import Distance, distance_matrix

Strategy = Literal["mined", "batch-hard", "semi-hard"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


class Relation(IntEnum):
    """What a document of the batch is to an anchor."""

    MASKED = 0  # relevant but not this group's positive, or of the anchor's own text: takes no part
    POSITIVE = 1
    MINED = 2  # mined as this anchor's negative
    IN_BATCH = 3  # another group's document, not judged relevant


def hinge(d_ap: Tensor, d_an: Tensor, margin: float) -> Tensor:
    """max(0, d_ap - d_an + margin), elementwise."""
    return functional.relu(d_ap - d_an + margin)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the values under the mask; 0 with gradient 0 where the mask is empty."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)


def positive_distances(distances: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
    """The group's positive's distance, and whether there is one: (b, n) -> (b,), (b,)."""
    positive = relations == Relation.POSITIVE
    farthest = distances.masked_fill(~positive, -torch.inf).amax(dim=1)
    return torch.where(positive.any(dim=1), farthest, 0), positive.any(dim=1)


def mined_loss(distances: Tensor, relations: Tensor, margin: float) -> Tensor:
    """Every mined negative of an anchor, and no other: the mean hinge over (anchor, mined negative)."""
    d_ap, has_positive = positive_distances(distances, relations)
    mined = (relations == Relation.MINED) & has_positive[:, None]
    return mean_where(hinge(d_ap[:, None], distances, margin), mined)


def batch_hard_loss(distances: Tensor, relations: Tensor, margin: float) -> Tensor:
    """The nearest unmasked negative of the batch, mined ones included: the mean hinge over anchors."""
    d_ap, has_positive = positive_distances(distances, relations)
    negative = relations >= Relation.MINED
    d_an = distances.masked_fill(~negative, torch.inf).amin(dim=1)
    return _mean_hinge(d_ap, d_an, has_positive & negative.any(dim=1), margin)


def semi_hard_loss(distances: Tensor, relations: Tensor, margin: float) -> Tensor:
    """The nearest negative that is farther than the positive; where there is none, the farthest negative.

    So a hinge is at most `margin` where a semi-hard negative exists: the very hardest, which are often
    unjudged relevant documents, do not pull.
    """
    d_ap, has_positive = positive_distances(distances, relations)
    negative = relations >= Relation.MINED
    beyond = negative & (distances > d_ap[:, None])
    nearest_beyond = distances.masked_fill(~beyond, torch.inf).amin(dim=1)
    farthest = distances.masked_fill(~negative, -torch.inf).amax(dim=1)
    d_an = torch.where(beyond.any(dim=1), nearest_beyond, farthest)
    return _mean_hinge(d_ap, d_an, has_positive & negative.any(dim=1), margin)


def _mean_hinge(d_ap: Tensor, d_an: Tensor, usable: Tensor, margin: float) -> Tensor:
    # An anchor without a negative has an infinite d_an: it leaves before the subtraction, or 0 times
    # infinity would make its gradient NaN.
    return mean_where(hinge(d_ap, torch.where(usable, d_an, 0), margin), usable)


_LOSSES: dict[Strategy, Callable[[Tensor, Tensor, float], Tensor]] = {
    "mined": mined_loss,
    "batch-hard": batch_hard_loss,
    "semi-hard": semi_hard_loss,
}


class GroupTripletLoss(nn.Module):
    """Triplet loss over a batch of groups, each distinct text encoded once.

    Called by SentenceTransformerTrainer with the collator's buckets and relations (see batch.py).
    """

    def __init__(self, model: nn.Module, *, strategy: Strategy, distance: Distance, margin: float) -> None:
        super().__init__()
        self.model = model
        self.strategy = strategy
        self.distance = distance
        self.margin = margin

    def forward(self, features: list[dict[str, Any]], labels: dict[str, Tensor]) -> Tensor:
        """The loss of one batch.

        Args:
            features: Buckets of texts: the queries, then the documents.
            labels: "anchors" (b,) int64, each anchor's row among the queries; "relations" (b, n) int8.

        Returns:
            () float32.
        """
        embeddings = torch.cat([self.model(bucket)["sentence_embedding"].float() for bucket in features])
        relations = labels["relations"]
        documents = embeddings[embeddings.shape[0] - relations.shape[1] :]  # (q + n, d) -> (n, d)
        distances = distance_matrix(embeddings[labels["anchors"]], documents, self.distance)  # (b, n)
        return _LOSSES[self.strategy](distances, relations, self.margin)
