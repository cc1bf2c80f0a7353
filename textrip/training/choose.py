"""What `auto` stands for: strategy and margin, from what the untuned encoder says of the triples."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textrip.errors import InputError
from textrip.training.names import BY_STRATEGY, OF_PAIRS, WITHOUT_MARGIN, of_the_whole_batch
from textrip.training.settings import TrainSettings
from textrip.training.survey import Gaps, Survey

# So many of the surveyed triples cost something at the start, with the margin that is chosen.
ACTIVE_SHARE = 0.5
# Where more of the mined negatives than this are nearer than their positives, they are left out: the base
# encoder is wrong about some, but not about most, and what is relevant and was not judged pushes it astray.
TOO_MANY_INVERTED = 0.6
# The paper's delta: a text is measured against proxies, which no survey of the texts knows.
PROXY_ANCHOR_MARGIN = 0.1
# Below this share of the largest distance the usual one is none: what is left of it is rounding.
_NO_DISTANCE = 1e-5
# Never below this share of the usual distance between a query and a negative: where most negatives are
# nearer than the positives, the share asked for would give a margin of nothing or less.
_LEAST = 0.1


@dataclass(frozen=True)
class Choice:
    """Settings without an auto in them, and what they were chosen from.

    Attributes:
        settings: With a name and a number in place of every auto.
        sample: How many triples were surveyed: those of mined negatives, or else of in-batch ones.
        active_share: Of the surveyed triples: at this margin they cost something.
        inverted_share: Of the mined triples: the negative is nearer than the positive.
        mined: How many mined triples were surveyed.
    """

    settings: TrainSettings
    sample: int
    active_share: float
    inverted_share: float
    mined: int

    def to_dict(self) -> dict[str, Any]:
        """For the manifest: what was chosen, in which unit, and from what."""
        return {
            "loss": self.settings.loss,
            "strategy": self.settings.strategy,
            "margin": self.settings.margin,
            "distance": self.settings.distance,
            "sample": self.sample,
            "active_share": round(self.active_share, 3),
            "inverted_share": round(self.inverted_share, 3),
        }

    def __str__(self) -> str:
        settings = self.settings
        against = {"in-batch": "against other queries' documents"}.get(
            settings.strategy, "against all of the batch"
        )
        if settings.loss in BY_STRATEGY:
            against = settings.strategy
        if settings.loss in WITHOUT_MARGIN:
            line = (
                f"{settings.loss} loss, {against} ({settings.distance} distance): in {self.active_share:.0%} "
                f"of {self.sample} surveyed triples the negative is nearer than the positive at the start"
            )
        else:
            line = (
                f"{settings.loss} loss, {against}, margin {settings.margin:g} ({settings.distance} distance)"
                f": {self.active_share:.0%} of {self.sample} surveyed triples cost something at the start"
            )
        if self.mined:
            line += f"; {self.inverted_share:.0%} of the mined negatives are nearer than the positive"
            line += ", and are left out" if settings.strategy == "in-batch" else ""
        return line


def choose(
    settings: TrainSettings, surveyed: Survey, *, margin_factor: float = 1.0, largest: float = math.inf
) -> Choice:
    """Replace an auto strategy and an auto margin.

    The strategy is batch-hard (batch-all for a loss that compares every negative), or in-batch where more
    than 60 % of the mined negatives are nearer than their positives, or where there are none, and the batch
    has others. The margin is the one at which half
    of the triples are active: those of the mined negatives, or of the in-batch ones where the strategy
    compares no others. It is at least a tenth of the negatives' median distance, has 3 digits, and is never
    impossible, as no gap between two distances is larger than the largest distance. Soft-margin and
    proxy-nca get 0, proxy-anchor its paper's.

    Args:
        settings: With auto, or without.
        surveyed: What the untuned encoder sees.
        margin_factor: Times the margin that auto would choose.
        largest: The largest distance that there can be: no larger margin is chosen.

    Raises:
        InputError: the survey has no triples to choose from, or all their distances are 0.
    """
    mined = surveyed.mined
    strategy = settings.strategy
    if strategy == "auto":
        alone = not mined.d_an.size or mined.inverted_share > TOO_MANY_INVERTED
        without = alone and surveyed.in_batch.d_an.size
        strategy = "in-batch" if without else of_the_whole_batch(settings.loss)
    found = surveyed.in_batch if strategy == "in-batch" or not mined.d_an.size else mined
    if not found.d_an.size and settings.margin == "auto":
        raise InputError(f"no margin can be chosen: {_nothing_found(strategy, mined)}")
    if not np.isfinite(found.d_ap + found.d_an).all():
        raise InputError(
            "no margin can be chosen: the untuned encoder gives vectors that are NaN or infinite; "
            "look at its weights"
        )
    gaps = found.d_an if settings.loss in OF_PAIRS else found.d_an - found.d_ap
    margin = settings.margin
    if margin == "auto":
        usual = float(np.median(found.d_an))
        of_the_texts = settings.loss not in {*WITHOUT_MARGIN, "proxy-anchor"}
        if of_the_texts and usual < _NO_DISTANCE * (largest if largest < math.inf else 1):
            raise InputError(
                "no margin can be chosen: the untuned encoder gives all texts the same vector; choose "
                "another --model, or look at what it reads of the texts"
            )
        least = _LEAST * usual
        wanted = max(least, float(np.quantile(gaps, ACTIVE_SHARE)))
        if settings.loss == "proxy-anchor":
            wanted = PROXY_ANCHOR_MARGIN
        chosen = min(float(f"{margin_factor * wanted:.3g}"), largest)
        margin = 0.0 if settings.loss in WITHOUT_MARGIN else chosen
    return Choice(
        replace(settings, margin=margin, strategy=strategy),
        sample=found.d_an.size,
        active_share=float((gaps < margin).mean()) if gaps.size else 0.0,
        inverted_share=mined.inverted_share,
        mined=mined.d_an.size,
    )


def _nothing_found(strategy: str, mined: Gaps) -> str:
    """Which negatives there are none of, and what gives some."""
    others = "no batch of the sample has a document of another group that is not relevant too"
    if strategy == "in-batch" and mined.d_an.size:
        return f"strategy is in-batch, and {others}; choose another --strategy, or train on more queries"
    return f"no group of the sample has a mined negative, and {others}; mine negatives, or add queries"
