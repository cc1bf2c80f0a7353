"""A learned vector for each label: what the proxy losses compare a text with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.training.distance import distance_matrix
from textrip.training.loss import GroupLoss, of_unit_length
from textrip.training.relations import Batch, Relation

# So many texts of a label make its first proxy.
_TEXTS_A_PROXY = 16
_FILE = "proxies.safetensors"


class ProxyLoss(GroupLoss):
    """A loss between the texts of a batch and one learned vector for each label.

    Args:
        model: Gives "sentence_embedding" for features.
        proxies: (C, d) float32, where they start.
        options: GroupLoss's; `of` gets texts for anchors and proxies for documents.

    Called with the label collator's batches, whose label has "classes" (n,) int64.
    """

    def __init__(self, model: nn.Module, proxies: Tensor, **options: Any) -> None:
        super().__init__(model, **options)
        self.proxies = nn.Parameter(proxies.clone())

    def batch(self, embeddings: Tensor, labels: dict[str, Tensor]) -> Batch:
        """The matrices of a batch: embeddings (n, d) against the proxies, whose first d columns count."""
        proxies = self.proxies[:, : embeddings.shape[1]]
        if of_unit_length(embeddings):
            proxies = functional.normalize(proxies, dim=1)
        classes = labels["classes"]
        relations = torch.full(
            (len(classes), len(proxies)), Relation.IN_BATCH, dtype=torch.int8, device=embeddings.device
        )
        relations[torch.arange(len(classes)), classes] = Relation.POSITIVE
        return Batch(
            distance_matrix(embeddings, proxies, self.distance),
            relations,
            lambda: distance_matrix(proxies, proxies, self.distance),
        )


def write_proxies(loss: nn.Module, folder: Path) -> None:
    """Write what a loss has learned into a checkpoint; nothing where it learns nothing."""
    if isinstance(loss, ProxyLoss):
        save_file({"proxies": loss.proxies.detach().cpu().contiguous()}, folder / _FILE)


def read_proxies(folder: Path) -> Tensor:
    """Read the proxies of a checkpoint: (C, d) float32."""
    return load_file(folder / _FILE)["proxies"]


def first_proxies(collection: Collection, labels: Sequence[str], encoder: Encoder, *, seed: int) -> Tensor:
    """The mean of some texts of each label: (C, d) float32.

    The papers draw them at random, for networks that are trained at a high rate; an encoder that already
    tells texts apart would first be pulled wherever chance put them.
    """
    draw = np.random.default_rng(seed)
    rows_of: dict[str, list[int]] = {label: [] for label in labels}
    for row, label in enumerate(collection.labels):
        if label in rows_of:
            rows_of[label].append(row)
    chosen = [draw.permutation(rows)[:_TEXTS_A_PROXY] for rows in rows_of.values()]
    texts = collection.texts[np.concatenate(chosen)]
    vectors = encoder.encode(texts, progress="encoding the labels' first proxies")
    ends = np.cumsum([len(rows) for rows in chosen])[:-1]
    means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
    return torch.from_numpy(means).to(encoder.device)
