"""How an encoder is trained: one frozen record, checked once, saved beside the model."""

from dataclasses import dataclass

from textrip.errors import InputError
from textrip.training.distance import DISTANCES, Distance
from textrip.training.loss import STRATEGIES, Strategy


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one training run.

    Attributes:
        epochs: An epoch asks every query once.
        batch_queries: How many groups a batch holds.
        learning_rate: At its peak; it rises over the first tenth of the steps and falls linearly.
        max_length_tokens: Longer texts are cut, here and by the trained encoder; the base's own where None.
        strategy: Which negatives pull: mined, batch-hard or semi-hard.
        distance: cosine, euclidean, squared-euclidean or manhattan.
        margin: In units of the distance.
        weight_decay: For matrices; biases and LayerNorm have none.
        warmup_share: Of all steps.
        max_gradient_norm: Longer gradients are clipped.
        dropout: Leave the base's dropout on. Off, a step on a CPU costs a quarter less.
        seed: For order and dropout.
    """

    epochs: int = 1
    batch_queries: int = 16
    learning_rate: float = 2e-5
    max_length_tokens: int | None = None
    strategy: Strategy = "semi-hard"
    distance: Distance = "cosine"
    margin: float = 0.2
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    max_gradient_norm: float = 1.0
    dropout: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}, at least 1 was expected"
            for name in ("epochs", "batch_queries")
            if getattr(self, name) < 1
        ]
        if not 0 < self.learning_rate < 1:
            problems.append(
                f"learning_rate is {self.learning_rate:g}, a number between 0 and 1 was expected (2e-5)"
            )
        if self.strategy not in STRATEGIES:
            problems.append(f"strategy is {self.strategy!r}, one of {', '.join(STRATEGIES)} was expected")
        if self.distance not in DISTANCES:
            problems.append(f"distance is {self.distance!r}, one of {', '.join(DISTANCES)} was expected")
        if self.batch_queries == 1 and self.strategy != "mined":
            problems.append(
                f"batch_queries is 1, and strategy {self.strategy} takes negatives from the batch: "
                "at least 2 were expected"
            )
        if not self.margin > 0:
            problems.append(f"margin is {self.margin:g}, a number above 0 was expected")
        if not 0 <= self.warmup_share < 1:
            problems.append(f"warmup_share is {self.warmup_share:g}, a share below 1 was expected")
        if problems:
            raise InputError("; ".join(problems))
