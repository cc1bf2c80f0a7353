"""How many steps epochs have, and how many epochs auto stands for: enough to get past the first steps."""

import math
from typing import Literal

# At the rate of auto 50 steps over 800 of NFCorpus' queries leave an encoder where it began, and a hundred
# do not; SciFact goes on gaining up to 135, and 176 give stdlib nothing that 88 do not (docs/training.md).
_STEPS = 120
# 1.1 times 170 is a little more than 187 where numbers are binary; that little is no step.
ROUNDING = 1e-6
# A handful of queries is not to be asked a hundred times.
_MOST = 10


def usual_epochs(steps_an_epoch: int) -> int:
    """The whole number of epochs, from 1 to 10, whose steps come nearest to 120.

    Args:
        steps_an_epoch: Batches in an epoch.
    """
    return min(_MOST, max(1, math.floor(_STEPS / max(1, steps_an_epoch) + 0.5)))


def epochs_of(given: float | Literal["auto"], steps_an_epoch: int) -> float:
    """The epochs that were asked for, with a number for auto."""
    return usual_epochs(steps_an_epoch) if given == "auto" else given


def steps_of(epochs: float, steps_an_epoch: int) -> int:
    """How many steps so many epochs have; what is begun of a step is a whole one."""
    return max(1, math.ceil(epochs * steps_an_epoch - ROUNDING))
