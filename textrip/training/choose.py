"""What `auto` stands for: a margin, from what the untuned encoder says of the triples."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textrip.errors import InputError
from textrip.training.names import MARGINLESS, OF_PAIRS
from textrip.training.settings import TrainSettings
from textrip.training.survey import Survey

# So many of the surveyed triples cost something at the start, with the margin that is chosen.
ACTIVE_SHARE = 0.5
# Never below this share of the usual distance between a query and a negative: where most negatives are
# nearer than the positives, the share asked for would give a margin of nothing or less.
_LEAST = 0.1


@dataclass(frozen=True)
class Choice:
    """Settings without an auto in them, and what they were chosen from.

    Attributes:
        settings: With a number in place of every auto.
        sample: How many triples were surveyed.
        active_share: Of the surveyed triples: at this margin they cost something.
        inverted_share: Of the surveyed triples: the negative is nearer than the positive.
    """

    settings: TrainSettings
    sample: int
    active_share: float
    inverted_share: float

    def to_dict(self) -> dict[str, Any]:
        """For the manifest: what was chosen, in which unit, and from what."""
        return {
            "margin": self.settings.margin,
            "distance": self.settings.distance,
            "sample": self.sample,
            "active_share": round(self.active_share, 3),
            "inverted_share": round(self.inverted_share, 3),
        }

    def __str__(self) -> str:
        return (
            f"margin {self.settings.margin:g} ({self.settings.distance} distance): {self.active_share:.0%} "
            f"of {self.sample} surveyed triples cost something at the start; in {self.inverted_share:.0%} "
            "of them the negative is nearer than the positive"
        )


def choose(settings: TrainSettings, surveyed: Survey) -> Choice:
    """Replace an auto margin by the one at which a stated share of the surveyed triples is active.

    At least a tenth of the median distance of the negatives, to 3 digits; never impossible, as no gap
    between two distances is larger than the largest distance. Losses that need no margin get 0.

    Raises:
        InputError: the survey has no triples to choose from.
    """
    if not surveyed.d_an.size:
        raise InputError(
            "no margin can be chosen: no group of the sample has a positive and a negative; "
            "give --margin a number"
        )
    if not np.isfinite(surveyed.d_ap + surveyed.d_an).all():
        raise InputError(
            "no margin can be chosen: the untuned encoder gives vectors that are NaN or infinite; "
            "look at its weights"
        )
    gaps = surveyed.d_an if settings.loss in OF_PAIRS else surveyed.d_an - surveyed.d_ap
    margin = settings.margin
    if margin == "auto":
        least = _LEAST * float(np.median(surveyed.d_an))
        wanted = max(least, float(np.quantile(gaps, ACTIVE_SHARE)))
        margin = 0.0 if settings.loss in MARGINLESS else float(f"{wanted:.3g}")
    return Choice(
        replace(settings, margin=margin),
        sample=surveyed.d_an.size,
        active_share=float((gaps < margin).mean()),
        inverted_share=float((surveyed.d_an < surveyed.d_ap).mean()),
    )
