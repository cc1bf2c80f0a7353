"""A loss = distances, relations, a formula: encode a batch once, hand all losses the same two matrices."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from textrip import processes
from textrip.training.cache import CachedVectors, chunks
from textrip.training.distance import distance_matrix
from textrip.training.losses.contrastive import contrastive_loss, online_contrastive_loss
from textrip.training.losses.proxy import proxy_anchor_loss, proxy_nca_loss
from textrip.training.losses.quadruplet import quadruplet_loss
from textrip.training.losses.smooth import smooth_hardest_loss
from textrip.training.losses.strategies import CHOOSE
from textrip.training.losses.triplet import hinge, soft_margin, triplet_loss
from textrip.training.monitor import Monitor
from textrip.training.names import Distance, Loss, Strategy
from textrip.training.relations import Batch
from textrip.training.together import encode_together

# So near to 1 the length of a vector is 1.
_UNIT = 1e-3


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
            choose = partial(CHOOSE[strategy], hardest_positive=hardest_positive)
            return lambda batch: triplet_loss(choose(batch), margin, cost, weights=batch.weights)
        case "smooth":
            return partial(
                smooth_hardest_loss, margin=margin, temperature=temperature, hardest_positive=hardest_positive
            )
        case "quadruplet":
            return partial(
                quadruplet_loss, margin=margin, second_margin=second_margin, hardest_positive=hardest_positive
            )
        case "proxy-nca":
            return partial(proxy_nca_loss, temperature=temperature)
        case "proxy-anchor":
            return partial(proxy_anchor_loss, margin=margin, temperature=temperature)
        case "contrastive" | "online-contrastive":
            of_pairs = contrastive_loss if loss == "contrastive" else online_contrastive_loss
            return partial(of_pairs, margin=margin)


class GroupLoss(nn.Module):
    """A loss over a batch of groups, each distinct text encoded once.

    Args:
        model: Gives "sentence_embedding" for features; of it the first `truncate_dim` components count, where
            the model has one, as in its encoding.
        distance: Between anchors and documents.
        of: The formula.
        monitor: Sees every batch.
        cache_tokens: With gradient caching, at most so many padded tokens are encoded at once (cache.py).
        matryoshka: Dimensions whose losses are averaged with the whole one.

    Called by SentenceTransformerTrainer with the collator's buckets and relations (see batch.py).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        distance: Distance,
        of: Callable[[Batch], Tensor],
        monitor: Monitor | None = None,
        cache_tokens: int | None = None,
        matryoshka: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.cache_tokens = cache_tokens
        self.matryoshka = tuple(matryoshka)
        self.monitor = monitor
        self.model = model
        self.dimension: int | None = getattr(model, "truncate_dim", None)
        self.distance = distance
        self.of = of

    def forward(self, features: list[dict[str, Any]], labels: dict[str, Tensor]) -> Tensor:
        """The loss of one batch.

        Args:
            features: Buckets of texts: the queries, then the documents.
            labels: "anchors" (b,) int64, each anchor's row among all texts; "relations" (b, n) int8;
                "truncated" () int64, how many of the texts were cut; perhaps "weights" (b,) float32.

        Returns:
            () float32.
        """
        cached = None
        if self.cache_tokens is None:
            embeddings = self.encode(features)
        else:
            cached = CachedVectors(self.model, features, self.cache_tokens)
            embeddings = self._cut(cached.vectors)
        batch = self.batch(embeddings, labels)
        loss = self.of(batch)
        for dimension in self.matryoshka:
            short = self.batch(shortened(embeddings, dimension), labels)
            loss = loss + self.of(short.times(self._unit(embeddings, dimension)))
        loss = loss / (1 + len(self.matryoshka))
        if self.monitor is not None:
            tokens = sum(int(bucket["attention_mask"].sum()) for bucket in features)
            documents = embeddings[embeddings.shape[0] - labels["relations"].shape[1] :]
            self.monitor.watch(batch, documents, labels, texts=embeddings.shape[0], tokens=tokens, loss=loss)
        return loss if cached is None else cached.loss(loss)

    def encode(self, features: list[dict[str, Any]]) -> Tensor:
        """The distinct texts of a batch as vectors: (q + n, d) float32; within the cache's budget."""
        if processes.count() > 1:
            return self._cut(encode_together(self.model, features))
        if self.cache_tokens is not None:
            features = list(chunks(features, self.cache_tokens))
        vectors = [self.model(bucket)["sentence_embedding"].float() for bucket in features]
        return self._cut(torch.cat(vectors))

    def _cut(self, embeddings: Tensor) -> Tensor:
        return embeddings if self.dimension is None else shortened(embeddings, self.dimension)

    def _unit(self, embeddings: Tensor, dimension: int) -> float:
        """What a short vector's distance is times, to be in the whole one's unit, which the margin has.

        The Manhattan distance between unit vectors grows with the root of their dimensions.
        """
        if self.distance != "manhattan" or not of_unit_length(embeddings):
            return 1.0
        return math.sqrt(embeddings.shape[1] / dimension)

    def batch(self, embeddings: Tensor, labels: dict[str, Tensor]) -> Batch:
        """The matrices of a batch: embeddings (q + n, d), the queries first."""
        relations = labels["relations"]
        documents = embeddings[embeddings.shape[0] - relations.shape[1] :]  # (q + n, d) -> (n, d)
        anchors = embeddings[labels["anchors"]]  # (b, d)
        return Batch(
            distance_matrix(anchors, documents, self.distance),
            relations,
            lambda: distance_matrix(documents, documents, self.distance),
            labels.get("weights"),
        )


def shortened(vectors: Tensor, dimension: int) -> Tensor:
    """The first dimensions of (n, d) as vectors of their own: of length 1 where the whole ones are."""
    short = vectors[:, :dimension]
    return functional.normalize(short, dim=1) if of_unit_length(vectors) else short


def of_unit_length(vectors: Tensor) -> bool:
    """Whether every row of (n, d) has length 1, give or take a rounding; a row of zeros has no length."""
    lengths = vectors.detach().norm(dim=1)
    return bool((((lengths - 1).abs() < _UNIT) | (lengths == 0)).all())
