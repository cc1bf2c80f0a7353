"""The names of losses, strategies and distances; without torch, so that a command line can show them."""

from typing import Literal, get_args

Distance = Literal["cosine", "euclidean", "squared-euclidean", "manhattan"]
DISTANCES: tuple[Distance, ...] = get_args(Distance)

Loss = Literal[
    "triplet",
    "soft-margin",
    "smooth",
    "contrastive",
    "online-contrastive",
    "quadruplet",
    "proxy-nca",
    "proxy-anchor",
]
LOSSES: tuple[Loss, ...] = get_args(Loss)
# The losses that choose their negatives by a strategy; the others see every pair of the batch.
BY_STRATEGY: tuple[Loss, ...] = ("triplet", "soft-margin")

# Losses of single pairs: their margin is a distance, and not a difference of two.
OF_PAIRS: tuple[Loss, ...] = ("contrastive", "online-contrastive")
# Losses that pull on without a margin: 0 is allowed.
MARGINLESS: tuple[Loss, ...] = ("soft-margin", "smooth", "proxy-nca")
# Of these, the ones that auto gives none. With one, the smooth loss found more on the held-out queries of
# both collections that it was tried on.
WITHOUT_MARGIN: tuple[Loss, ...] = ("soft-margin", "proxy-nca")
# Losses that compare texts with a learned vector for each label.
OF_PROXIES: tuple[Loss, ...] = ("proxy-nca", "proxy-anchor")
WITH_TEMPERATURE: tuple[Loss, ...] = ("smooth", *OF_PROXIES)

Schedule = Literal["constant", "linear"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)

Sampling = Literal["query", "positive"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)

Precision = Literal["auto", "float32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

OnCollapse = Literal["stop", "rollback", "warn"]
ON_COLLAPSE: tuple[OnCollapse, ...] = get_args(OnCollapse)

Strategy = Literal["mined", "batch-all", "batch-hard", "semi-hard", "mixed", "in-batch"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def of_the_whole_batch(loss: Loss | Literal["auto"]) -> Strategy:
    """The strategy by which a loss looks at all that a batch has, the mined negatives too."""
    return "batch-hard" if loss in BY_STRATEGY else "batch-all"
