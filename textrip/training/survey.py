"""A survey of the triples by the untuned encoder: distances of a sample, before the first step.

It runs the way of the training itself (collator, prompts, length, distance and masks), without a gradient.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textrip.training.loss import GroupLoss
from textrip.training.material import Collator

# A share measured on so many queries has a standard error of at most 0.036.
_QUERIES = 192


@dataclass(frozen=True)
class Gaps:
    """Distances of t (query, positive, negative) triples; lower is closer.

    Attributes:
        d_ap: (t,) float32, query to positive.
        d_an: (t,) float32, query to negative.
    """

    d_ap: NDArray[np.float32]
    d_an: NDArray[np.float32]

    @property
    def inverted_share(self) -> float:
        """The share of negatives that are nearer than their positive; 0 without triples."""
        return float((self.d_an < self.d_ap).mean()) if self.d_an.size else 0.0


@dataclass(frozen=True)
class Survey:
    """What the untuned encoder sees in a sample of batches.

    Attributes:
        mined: Triples with the mined negatives.
        in_batch: Triples with what other groups bring.
    """

    mined: Gaps
    in_batch: Gaps


def survey(loss: GroupLoss, collator: Collator, sampler: Iterable[list[int]]) -> Survey:
    """Measure a sample of the triples, drawn as the training's own batches are."""
    mined, in_batch, seen = [], [], 0
    training = loss.model.training
    loss.model.eval()
    try:
        with torch.inference_mode():
            for places in sampler:
                collated = collator([{"group": place} for place in places])
                device = next(loss.model.parameters()).device
                labels = on_device(device, collated.pop("label"))
                buckets = [on_device(device, bucket) for bucket in buckets_of(collated)]
                batch = loss.batch(loss.encode(buckets), labels)
                d_ap = batch.distances.masked_fill(~batch.positive, -torch.inf).amax(dim=1, keepdim=True)
                d_ap = d_ap.expand_as(batch.distances)
                usable = batch.negative & ~torch.isneginf(d_ap)  # an anchor may have no positive
                mined.append(_pairs(d_ap, batch.distances, usable & batch.mined))
                in_batch.append(_pairs(d_ap, batch.distances, usable & ~batch.mined))
                seen += len(places)
                if seen >= _QUERIES:
                    break
    finally:
        loss.model.train(training)
    return Survey(_joined(mined), _joined(in_batch))


def _pairs(d_ap: Tensor, d_an: Tensor, mask: Tensor) -> Gaps:
    near, far = (values[mask].float().cpu().numpy() for values in (d_ap, d_an))
    return Gaps(near, far)


def _joined(parts: list[Gaps]) -> Gaps:
    return Gaps(np.concatenate([part.d_ap for part in parts]), np.concatenate([part.d_an for part in parts]))


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
