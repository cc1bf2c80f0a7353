"""What values training's settings may have, and which of them would have nothing to do."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textrip.training.names import (
    BY_STRATEGY,
    DISTANCES,
    LOSSES,
    MARGINLESS,
    OF_PAIRS,
    OF_PROXIES,
    ON_COLLAPSE,
    PRECISIONS,
    SAMPLINGS,
    SCHEDULES,
    STRATEGIES,
    WITH_TEMPERATURE,
    WITHOUT_MARGIN,
)

if TYPE_CHECKING:
    from textrip.training.settings import TrainSettings

_NAMES: Mapping[str, tuple[str, ...]] = {
    "loss": ("auto", *LOSSES),
    "strategy": ("auto", *STRATEGIES),
    "sampling": SAMPLINGS,
    "schedule": SCHEDULES,
    "distance": DISTANCES,
    "precision": PRECISIONS,
    "on_collapse": ON_COLLAPSE,
}


def _positive(value: float) -> bool:
    return 0 < value < math.inf


# By setting: what a number must be, and how that is said. None and auto are no numbers.
_NUMBERS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (lambda value: 0 < value <= 1e6, "a number above 0, a million at most"),
    "evaluations": (lambda value: value >= 1, "at least 1"),
    "batch_queries": (lambda value: value >= 1, "at least 1"),
    "max_length_tokens": (lambda value: value >= 1, "at least 1"),
    "texts_per_label": (lambda value: value >= 2, "at least 2"),
    "weight_power": (lambda value: 0 <= value <= 1, "between 0 and 1"),
    "learning_rate": (lambda value: 0 < value < 1, "between 0 and 1 (4e-05)"),
    "proxy_learning_rate": (lambda value: 0 < value < 1, "between 0 and 1 (0.002)"),
    "temperature": (_positive, "a number above 0"),
    "second_margin": (_positive, "a number above 0"),
    "weight_decay": (lambda value: 0 <= value <= 100, "from 0 to 100 (0.01)"),
    "warmup_share": (lambda value: 0 <= value < 1, "a share below 1"),
    "max_gradient_norm": (_positive, "a number above 0 (1)"),
    "cache_tokens": (lambda value: value >= 1, "at least 1"),
    "lora_rank": (lambda value: value >= 1, "at least 1"),
    "seed": (lambda value: 0 <= value < 2**32, "from 0 to 4294967295"),
}


def problems(settings: "TrainSettings") -> list[str]:
    """What is wrong with settings, in words; of good values also which do not go together."""
    return list(_bad(settings)) or [*_at_odds(settings), *_idle(settings)]


def _bad(settings: "TrainSettings") -> Iterator[str]:
    for name, (holds, wanted) in _NUMBERS.items():
        value = getattr(settings, name)
        if value is not None and value != "auto" and not holds(value):
            yield f"{name} is {value:.10g}, {wanted} was expected"
    for name, names in _NAMES.items():
        if getattr(settings, name) not in names:
            yield f"{name} is {getattr(settings, name)!r}, one of {', '.join(names)} was expected"
    least = 0 if settings.loss in MARGINLESS else math.ulp(0)
    if settings.margin != "auto" and not least <= settings.margin < math.inf:
        yield f"margin is {settings.margin}, a number above 0 or auto was expected"
    if any(dimension < 1 for dimension in settings.matryoshka):
        yield f"matryoshka is {settings.matryoshka}, dimensions of at least 1 were expected"
    if len(set(settings.matryoshka)) < len(settings.matryoshka):
        yield f"matryoshka is {settings.matryoshka}, each dimension once was expected"


def _at_odds(settings: "TrainSettings") -> Iterator[str]:
    """Settings that do not go together."""
    if settings.cache_tokens is not None and settings.loss in OF_PROXIES:
        yield f"cache_tokens is set, and {settings.loss} needs no large batch: leave one out"
    if settings.cache_tokens is not None and settings.gradient_checkpointing:
        yield "cache_tokens and gradient_checkpointing save the same memory twice over: one was expected"
    by_strategy = settings.loss in BY_STRATEGY
    if settings.batch_queries == 1 and not (by_strategy and settings.strategy == "mined"):
        what = f"strategy {settings.strategy}" if by_strategy else f"loss {settings.loss}"
        yield f"batch_queries is 1, and {what} takes negatives from the batch: at least 2 were expected"


def _idle(settings: "TrainSettings") -> Iterator[str]:
    """What was asked for and would have nothing to do: better refused than recorded as if it had."""
    loss = settings.loss
    if loss not in BY_STRATEGY and settings.strategy not in {"auto", "batch-all", "in-batch"}:
        yield (
            f"strategy is {settings.strategy}, which chooses among triplets, and loss {loss} compares "
            "with every negative of the batch: auto, batch-all, in-batch or loss triplet was expected"
        )
    if settings.hardest_positive and loss in (*OF_PAIRS, *OF_PROXIES):
        yield f"hardest_positive is set, and loss {loss} chooses no positive: leave it out"
    if settings.margin != "auto" and settings.margin > 0 and loss in WITHOUT_MARGIN:
        yield f"margin is {settings.margin:g}, and loss {loss} has none: auto was expected"
    if settings.second_margin is not None and loss != "quadruplet":
        yield f"second_margin is set, and loss {loss} has none: leave it out"
    for name, losses in (("temperature", WITH_TEMPERATURE), ("proxy_learning_rate", OF_PROXIES)):
        if loss not in losses and getattr(settings, name) != getattr(type(settings), name):
            yield f"{name} is {getattr(settings, name):g}, and loss {loss} has none: leave it out"
