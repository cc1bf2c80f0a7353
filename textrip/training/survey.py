"""A survey of the triples by the untuned encoder: distances of a sample, before the first step.

It runs the way of the training itself (collator, prompts, length, distance and masks), without a gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textrip.training.batch import GroupCollator, QuerySampler
from textrip.training.loss import GroupLoss

# A share measured on so many queries has a standard error of at most 0.036.
_QUERIES = 192


@dataclass(frozen=True)
class Survey:
    """Distances of t sampled (query, positive, negative) triples under the untuned encoder.

    Attributes:
        d_ap: (t,) float32, query to positive.
        d_an: (t,) float32, query to a mined negative; where none were mined, to the nearest of the batch.
    """

    d_ap: NDArray[np.float32]
    d_an: NDArray[np.float32]


def survey(loss: GroupLoss, collator: GroupCollator, *, batch_queries: int, seed: int) -> Survey:
    """Measure a sample of the triples, drawn by seed as the training's own batches are."""
    sampler = QuerySampler(collator.groups, batch_queries=batch_queries, seed=seed)
    d_ap, d_an, seen = [], [], 0
    training = loss.model.training
    loss.model.eval()
    try:
        with torch.inference_mode():
            for places in sampler:
                near, far = _triples(loss, collator([{"group": place} for place in places]))
                d_ap.append(near)
                d_an.append(far)
                seen += len(places)
                if seen >= _QUERIES:
                    break
    finally:
        loss.model.train(training)
    return Survey(np.concatenate(d_ap), np.concatenate(d_an))


def _triples(loss: GroupLoss, collated: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The distances of a batch's triples: (t,), (t,)."""
    labels = collated.pop("label")
    device = next(loss.model.parameters()).device
    buckets = [on_device(device, bucket) for bucket in buckets_of(collated)]
    batch = loss.batch(loss.encode(buckets), on_device(device, labels))
    d_ap = batch.distances.masked_fill(~batch.positive, -torch.inf).amax(dim=1, keepdim=True)
    if batch.mined.any():
        chosen = batch.mined
    else:
        nearest = batch.distances.masked_fill(~batch.negative, torch.inf).argmin(dim=1, keepdim=True)
        chosen = torch.zeros_like(batch.negative).scatter_(1, nearest, True) & batch.negative
    chosen &= ~torch.isneginf(d_ap)  # an anchor without a positive
    pairs = d_ap.expand_as(batch.distances)[chosen], batch.distances[chosen]
    near, far = (values.float().cpu().numpy() for values in pairs)
    return near, far


def on_device(device: torch.device, values: dict[str, Any]) -> dict[str, Any]:
    """A bucket, or the labels, with its tensors on a device."""
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in values.items()
    }


def buckets_of(collated: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The collator's buckets one by one, as the trainer splits them."""
    number = 0
    while bucket := {
        name.removeprefix(f"bucket{number}_"): value
        for name, value in collated.items()
        if name.startswith(f"bucket{number}_")
    }:
        yield bucket
        number += 1
