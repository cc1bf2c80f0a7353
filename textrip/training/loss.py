"""A loss = distances, relations, a formula: encode a batch once, hand all losses the same two matrices."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from textrip.training.distance import Distance, distance_matrix
from textrip.training.losses.contrastive import contrastive_loss, online_contrastive_loss
from textrip.training.losses.quadruplet import quadruplet_loss
from textrip.training.losses.smooth import smooth_hardest_loss
from textrip.training.losses.strategies import CHOOSE, Strategy
from textrip.training.losses.triplet import hinge, soft_margin, triplet_loss
from textrip.training.relations import Batch

Loss = Literal["triplet", "soft-margin", "smooth", "contrastive", "online-contrastive", "quadruplet"]
LOSSES: tuple[Loss, ...] = get_args(Loss)
# The losses that choose their negatives by a strategy; the others see every pair of the batch.
BY_STRATEGY: tuple[Loss, ...] = ("triplet", "soft-margin")


def formula(
    loss: Loss,
    *,
    strategy: Strategy,
    margin: float,
    temperature: float,
    second_margin: float,
    hardest_positive: bool,
) -> Callable[[Batch], Tensor]:
    """A loss as a function of a batch: () float32."""
    match loss:
        case "triplet" | "soft-margin":
            cost = hinge if loss == "triplet" else soft_margin
            return lambda batch: triplet_loss(
                CHOOSE[strategy](batch, hardest_positive=hardest_positive), margin, cost
            )
        case "smooth":
            return lambda batch: smooth_hardest_loss(
                batch, margin, temperature=temperature, hardest_positive=hardest_positive
            )
        case "contrastive":
            return lambda batch: contrastive_loss(batch, margin)
        case "online-contrastive":
            return lambda batch: online_contrastive_loss(batch, margin)
        case "quadruplet":
            return lambda batch: quadruplet_loss(
                batch, margin, second_margin=second_margin, hardest_positive=hardest_positive
            )


class GroupLoss(nn.Module):
    """A loss over a batch of groups, each distinct text encoded once.

    Called by SentenceTransformerTrainer with the collator's buckets and relations (see batch.py).
    """

    def __init__(self, model: nn.Module, *, distance: Distance, of: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.distance = distance
        self.of = of

    def forward(self, features: list[dict[str, Any]], labels: dict[str, Tensor]) -> Tensor:
        """The loss of one batch.

        Args:
            features: Buckets of texts: the queries, then the documents.
            labels: "anchors" (b,) int64, each anchor's row among the queries; "relations" (b, n) int8.

        Returns:
            () float32.
        """
        embeddings = torch.cat([self.model(bucket)["sentence_embedding"].float() for bucket in features])
        return self.of(self.batch(embeddings, labels))

    def batch(self, embeddings: Tensor, labels: dict[str, Tensor]) -> Batch:
        """The matrices of a batch: embeddings (q + n, d), the queries first."""
        relations = labels["relations"]
        documents = embeddings[embeddings.shape[0] - relations.shape[1] :]  # (q + n, d) -> (n, d)
        anchors = embeddings[labels["anchors"]]  # (b, d)
        return Batch(
            distance_matrix(anchors, documents, self.distance),
            relations,
            lambda: distance_matrix(documents, documents, self.distance),
        )
