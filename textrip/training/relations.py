"""What the documents of a batch are to its anchors: what every loss reads.

Shape letters: b anchors (queries), n distinct documents of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor


class Relation(IntEnum):
    """What a document of the batch is to an anchor; all from MINED upwards are negatives."""

    MASKED = 0  # the anchor's own text: takes no part
    RELEVANT = 1  # judged relevant, but not this group's positive
    POSITIVE = 2  # this group's positive
    MINED = 3  # mined as this anchor's negative
    IN_BATCH = 4  # another group's document, not judged relevant


@dataclass(frozen=True)
class Batch:
    """The distances of a batch and what they are between.

    Attributes:
        distances: (b, n) float32, anchors against documents; lower is closer.
        relations: (b, n) int8 of Relation.
        documents: Gives (n, n) float32, documents against documents, for the losses that ask for it.
        weights: (b,) float32, how much an anchor counts in a mean; all alike where None.
    """

    distances: Tensor
    relations: Tensor
    documents: Callable[[], Tensor]
    weights: Tensor | None = None

    def times(self, unit: float) -> "Batch":
        """The same with every distance in another unit."""
        if unit == 1:
            return self
        return replace(self, distances=unit * self.distances, documents=lambda: unit * self.documents())

    @property
    def positive(self) -> Tensor:
        """(b, n) bool: the group's positive."""
        return self.relations == Relation.POSITIVE

    @property
    def relevant(self) -> Tensor:
        """(b, n) bool: everything relevant, the group's positive included."""
        return (self.relations == Relation.POSITIVE) | (self.relations == Relation.RELEVANT)

    @property
    def mined(self) -> Tensor:
        """(b, n) bool: negatives that were mined for this anchor."""
        return self.relations == Relation.MINED

    @property
    def negative(self) -> Tensor:
        """(b, n) bool: every negative, mined or of another group."""
        return self.relations >= Relation.MINED


def nearest(distances: Tensor, mask: Tensor) -> Tensor:
    """The smallest distance under the mask, by anchor: (b, n) -> (b,); infinite where the mask is empty."""
    return distances.masked_fill(~mask, torch.inf).amin(dim=1)


def farthest(distances: Tensor, mask: Tensor) -> Tensor:
    """The largest distance under the mask, by anchor: (b, n) -> (b,); minus infinity where it is empty."""
    return distances.masked_fill(~mask, -torch.inf).amax(dim=1)


def mean_where(values: Tensor, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean of the values under the mask; 0 with gradient 0 where the mask is empty.

    The values outside are replaced before anything is computed from them: 0 times infinity would make
    their gradient NaN.

    Args:
        values: (b) or (b, n).
        mask: The same shape, bool.
        weights: (b,), above 0; all alike where None.
    """
    values = torch.where(mask, values, 0)
    if weights is None:
        return values.sum() / mask.sum().clamp(min=1)
    weights = weights if values.ndim == 1 else weights[:, None]
    whole = (mask * weights).sum()
    return (values * weights).sum() / torch.where(whole > 0, whole, 1)
