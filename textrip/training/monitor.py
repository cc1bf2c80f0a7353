"""What a run shows of itself: every few steps one record of the losses, distances and vectors since the last.

Shape letters: b anchors, n distinct documents of a batch, d the length of a vector.
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textrip.training.names import OF_PAIRS, OF_PROXIES
from textrip.training.relations import Batch, nearest
from textrip.training.settings import TrainSettings

# So many of the last batches tell whether the vectors have become alike; one may be of like texts by chance.
_LAST = 3
# Of rows that are equal float32 leaves so much of their length when their mean is taken off.
_EQUAL = 1e-6

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Step:
    """What one batch showed; plain numbers, so that a checkpoint can carry it."""

    loss: float
    finite_vectors: bool
    d_ap: list[float]
    d_mined: list[float]
    d_nearest: list[float]
    active_mined: int
    active_in_batch: int
    in_batch: int
    inverted_mined: int
    anchors: int
    anchors_with_negatives: int
    largest_distance: float
    spread: float | None  # None of a single document, and of the rest of an epoch that is one query
    texts: int
    truncated: int
    tokens: int
    triples: int = 0
    hinge: float = 0.0  # the sum over the triples of what each lacks of the margin
    effective_rank: float = 0.0  # of one of a record alone: it takes a decomposition


@dataclass(frozen=True)
class Cost:
    """Which triples cost something, by the loss.

    Attributes:
        margin: A triple is active where d_ap - d_an + margin is above 0.
        of_pairs: The margin is a distance: what is nearer than it is active, whatever the positive.
        softness: Over so much distance the loss pulls on beyond its margin; 0 for a hinge, None for a loss
            that compares no two texts.
    """

    margin: float
    of_pairs: bool = False
    softness: float | None = 0.0

    @classmethod
    def of(cls, settings: TrainSettings) -> "Cost":
        """That of a run's loss; its margin is a number by now."""
        assert settings.margin != "auto"
        softness = {"smooth": settings.temperature, "soft-margin": 1.0}.get(settings.loss, 0.0)
        return cls(
            settings.margin,
            of_pairs=settings.loss in OF_PAIRS,
            softness=None if settings.loss in OF_PROXIES else softness,
        )


class Monitor:
    """Watches every batch and sums up what it saw.

    Args:
        cost: Says which triples are active.
        lone: Whether every batch is of one query. Else one that is, the rest of an epoch, says nothing of the
            spread: its documents may be a passage and its twin.
    """

    def __init__(self, cost: Cost, *, lone: bool = False) -> None:
        self.cost = cost
        self.lone = lone
        self.steps: list[Step] = []
        self._restored = 0
        self._largest: tuple[int, Tensor] | None = None  # which of the steps, and its documents
        self._since = time.perf_counter()
        self._idle = 0.0

    @torch.no_grad()
    def watch(
        self,
        batch: Batch,
        documents: Tensor,
        labels: dict[str, Tensor],
        *,
        texts: int,
        tokens: int,
        loss: Tensor,
    ) -> None:
        """Take in one batch.

        Args:
            batch: Distances and relations.
            documents: (n, d) float32, the vectors of the batch's documents.
            labels: The collator's; "truncated" () int64 says how many of the texts were cut.
            texts: How many were encoded.
            tokens: Without padding.
            loss: () float32.
        """
        distances, positive, mined = batch.distances, batch.positive, batch.mined
        in_batch = batch.negative & ~mined
        d_ap = distances.masked_fill(~positive, -torch.inf).amax(dim=1, keepdim=True)  # (b, 1)
        has_positive = ~torch.isneginf(d_ap)
        gaps = distances - d_ap  # (b, n)
        reach = distances if self.cost.of_pairs else gaps
        active = (reach < self.cost.margin) & has_positive
        lacking = (self.cost.margin - reach).masked_fill(~(active & batch.negative), 0.0)
        self.steps.append(
            Step(
                loss=float(loss),
                finite_vectors=bool(torch.isfinite(documents).all() and torch.isfinite(distances).all()),
                d_ap=d_ap[has_positive].tolist(),
                d_mined=distances[mined].tolist(),
                d_nearest=nearest(distances, in_batch)[in_batch.any(dim=1)].tolist(),
                active_mined=int((active & mined).sum()),
                active_in_batch=int((active & in_batch).sum()),
                in_batch=int((in_batch & has_positive).sum()),
                inverted_mined=int(((gaps < 0) & mined & has_positive).sum()),
                anchors=distances.shape[0],
                anchors_with_negatives=int(batch.negative.any(dim=1).sum()),
                largest_distance=float(distances.max()),
                spread=spread(documents) if self.lone or distances.shape[0] > 1 else None,
                texts=texts,
                truncated=int(labels["truncated"]),
                tokens=tokens,
                triples=int((batch.negative & has_positive).sum()),
                hinge=float(lacking.sum()),
            )
        )
        last = len(self.steps) - 1
        if self._largest is None or texts >= self.steps[self._largest[0]].texts:
            self._largest = last, documents.detach()

    @property
    def finite(self) -> bool:
        """Whether every loss since the last record was a number."""
        return all(math.isfinite(step.loss) for step in self.steps)

    def idle(self, seconds: float) -> None:
        """So much of the time since the last record was for dev and checkpoints: no step's."""
        self._idle += seconds

    def _with_rank(self) -> list[Step]:
        """The steps since the last record, that of most texts (the last of several) with its rank.

        The rest of an epoch, a few texts, has a low one.
        """
        if self._largest is not None:
            place, documents = self._largest
            self.steps[place] = replace(self.steps[place], effective_rank=effective_rank(documents))
            self._largest = None
        return self.steps

    def summary(self) -> dict[str, Any]:
        """One record of the steps since the last; they are forgotten.

        hinge is what a triple lacks of the margin, whatever the loss: its mean over all triples vanishes as
        most become easy, that over the active ones stays near the margin though learning goes on.
        Distances are in units of the loss's distance; quantiles are 10 %, 50 % and 90 %. d_an is of the
        mined negatives, or where there are none, of the nearest in-batch one of every anchor. The spread
        is the mean cosine distance between two documents of a batch, None where no batch tells it, and
        spread_before that of the first batch and spread_last of the last three, in the median; the effective
        rank is that of the batch of most texts.
        """
        steps, now = self._with_rank(), time.perf_counter()
        seconds = max(now - self._since - self._idle, 1e-6)
        timed = steps[self._restored :]  # how long those of a checkpoint took nobody knows
        self.steps, self._restored, self._since, self._idle = [], 0, now, 0.0
        mined = sum(len(step.d_mined) for step in steps)
        hinge = sum(step.hinge for step in steps)
        spreads = [step.spread for step in steps if step.spread is not None]
        broken = next((step for step in steps if not math.isfinite(step.loss)), None)
        return {
            "loss": _mean([step.loss for step in steps]),
            "hinge_all": _share(hinge, sum(step.triples for step in steps)),
            "hinge_active": _share(hinge, sum(step.active_mined + step.active_in_batch for step in steps)),
            "active_mined": _share(sum(step.active_mined for step in steps), mined),
            "active_in_batch": _share(
                sum(step.active_in_batch for step in steps), sum(step.in_batch for step in steps)
            ),
            "inverted_mined": _share(sum(step.inverted_mined for step in steps), mined),
            "d_ap": _quantiles([value for step in steps for value in step.d_ap]),
            "d_an": _quantiles(
                [value for step in steps for value in (step.d_mined if mined else step.d_nearest)]
            ),
            "largest_distance": max(step.largest_distance for step in steps),
            "batches": len(steps),
            "spread": _mean(spreads) if spreads else None,
            "spread_before": spreads[0] if spreads else None,
            "spread_last": statistics.median(spreads[-_LAST:]) if spreads else None,
            "effective_rank": _of_most_texts(steps).effective_rank,
            "anchors_without_negatives": _share(
                sum(step.anchors - step.anchors_with_negatives for step in steps),
                sum(step.anchors for step in steps),
            ),
            "truncated": _share(
                sum(step.truncated for step in steps), sum(step.texts for step in steps)
            ),
            "tokens_per_second": sum(step.tokens for step in timed) / seconds,
            "triples_per_second": sum(len(step.d_mined) + step.in_batch for step in timed) / seconds,
            "broken": None if broken is None else ("vectors" if not broken.finite_vectors else "loss"),
        }  # fmt: skip

    def state(self) -> list[dict[str, Any]]:
        """The steps since the last record, for a checkpoint."""
        return [asdict(step) for step in self._with_rank()]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        """Go on from a checkpoint."""
        self.steps = [Step(**step) for step in state]
        self._restored = len(self.steps)


def _of_most_texts(steps: Sequence[Step]) -> Step:
    """The last of those of most texts."""
    return max(reversed(steps), key=lambda step: step.texts)


def spread(vectors: Tensor) -> float | None:
    """The mean cosine distance between two different rows of (n, d); 0 where all are equal, None of one."""
    n = vectors.shape[0]
    if n < 2:
        return None
    unit = functional.normalize(vectors.float(), dim=-1)
    # The mean over pairs out of the sum of all rows: |sum|² = n + 2 x the sum over pairs of cosines.
    return max(0.0, 1 - (float(unit.sum(dim=0).square().sum()) - n) / (n * (n - 1)))


def effective_rank(vectors: Tensor) -> float:
    """Exp of the entropy of the singular values of the centred rows of (n, d); between 0 and min(n, d).

    Roy and Vetterli, "The effective rank", EUSIPCO 2007. 0 where all rows are equal or not finite.
    """
    if not torch.isfinite(vectors).all():
        return 0.0
    vectors = vectors.float()
    values = torch.linalg.svdvals(vectors - vectors.mean(dim=0))
    if values.norm() <= _EQUAL * vectors.norm():  # what is left is float32's rounding
        return 0.0
    shares = values / values.sum()
    return float(torch.exp(-(shares * torch.log(shares.clamp(min=1e-12))).sum()))


def line(entry: dict[str, Any]) -> str:
    """A record as one line for a person."""
    d_ap, d_an = (_words(entry[name]) for name in ("d_ap", "d_an"))
    return (
        f"step {entry['step']}  loss {entry['loss']:.4f}  active: mined {_percent(entry['active_mined'])}, "
        f"in-batch {_percent(entry['active_in_batch'])}  d_ap {d_ap}  d_an {d_an}  "
        f"spread {_number(entry['spread'], '.2f')}  rank {entry['effective_rank']:.0f}  "
        f"gradient {_number(entry.get('grad_norm'), '.2g')}  {entry['tokens_per_second']:,.0f} tokens/s  "
        f"{entry['triples_per_second']:,.0f} triples/s  cut {_percent(entry['truncated'])}"
    )


def _number(value: float | None, how: str) -> str:
    """The last record of a run that ended early has no gradient: the trainer tells it only where it logs."""
    return "-" if value is None else format(value, how)


def _words(quantiles: list[float] | None) -> str:
    return "-" if quantiles is None else "/".join(f"{value:.2f}" for value in quantiles)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _quantiles(values: list[float]) -> list[float] | None:
    return [float(value) for value in np.quantile(values, QUANTILES)] if values else None
