"""How many epochs auto stands for: as many as the encoder needs steps to get past its first ones."""

import math
from typing import Literal

# At the rate of auto 50 steps over 800 of NFCorpus' queries leave an encoder where it began, and a hundred
# do not; SciFact goes on gaining up to there (docs/training.md).
_STEPS = 100
# A handful of queries is not to be asked a hundred times.
_MOST = 10


def usual_epochs(steps_an_epoch: int) -> int:
    """The fewest whole epochs of at least 100 steps, from 1 to 10.

    Args:
        steps_an_epoch: Batches in an epoch.
    """
    return min(_MOST, math.ceil(_STEPS / max(1, steps_an_epoch)))


def epochs_of(given: float | Literal["auto"], steps_an_epoch: int) -> float:
    """The epochs that were asked for, with a number for auto."""
    return usual_epochs(steps_an_epoch) if given == "auto" else given
