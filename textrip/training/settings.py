"""How an encoder is trained: one frozen record, checked once, saved beside the model."""

import math
from dataclasses import dataclass
from typing import Literal

from textrip.errors import InputError
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
    Distance,
    Loss,
    OnCollapse,
    Precision,
    Sampling,
    Schedule,
    Strategy,
)

_NAMES: dict[str, tuple[str, ...]] = {
    "loss": LOSSES,
    "strategy": ("auto", *STRATEGIES),
    "sampling": SAMPLINGS,
    "schedule": SCHEDULES,
    "distance": DISTANCES,
    "precision": PRECISIONS,
    "on_collapse": ON_COLLAPSE,
}


def number_or_auto(name: str, given: str | float) -> float | Literal["auto"]:
    """A setting as it is typed.

    Raises:
        InputError: neither.
    """
    if given == "auto":
        return "auto"
    try:
        return float(given)
    except ValueError:
        raise InputError(f"{name} is {given!r}, a number or auto was expected") from None


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one training run.

    Attributes:
        epochs: An epoch asks every query once; 0.5 is half of one.
        evaluations: So often in an epoch dev is measured; the best of them is what is saved.
        batch_queries: How many groups a batch holds: queries with documents, or labels with texts.
        sampling: query: an epoch asks every query once, and takes its positives in turn, one an epoch.
            positive: an epoch asks a query once for each of its positives (as many as were mined).
        weight_power: A query with so many positives counts 1 / positives ** weight_power in the mean of a
            batch; 0: all alike. With sampling positive and 1, all queries count the same over an epoch.
        texts_per_label: How many texts a label brings to a batch, where labelled texts are trained on.
        learning_rate: At its peak; it rises over the first tenth of the steps. auto is 4e-5 for an encoder
            that is 384 wide, 2e-5 for one of 768, and so on (see rate.py); ten times that with lora_rank.
        schedule: After that the rate is constant, or falls linearly to 0. The best epoch on dev is saved, so
            that a constant one needs no end that is known beforehand.
        max_length_tokens: Longer texts are cut, here and by the trained encoder; the base's own where None.
        loss: triplet (a hinge), soft-margin (softplus), smooth (log-sum-exp over all negatives),
            contrastive, online-contrastive or quadruplet; for labelled texts also proxy-nca and
            proxy-anchor. auto is smooth, and triplet where a strategy is named that chooses single negatives;
            the record holds what it stands for.
        strategy: Which negatives the triplet and the soft-margin loss compare: mined, batch-all, batch-hard,
            semi-hard, mixed (every mined one and the hardest of the batch) or in-batch (semi-hard among what
            other groups bring; with every loss the mined ones are then left out of the batch). auto is
            batch-hard, or in-batch where the untuned encoder finds most mined negatives nearer than their
            positives: those are relevant documents that nobody judged, more often than not.
        hardest_positive: Compare with the farthest relevant document of the batch; else with the group's own.
        distance: cosine, euclidean, squared-euclidean or manhattan.
        margin: In units of the distance; auto chooses it so that half of the mined triples cost
            something at the start (see choose.py).
        temperature: The smooth and the proxy losses', in units of the distance.
        second_margin: The quadruplet loss's second one; half of the margin where None.
        proxy_learning_rate: The labels' vectors learn at a rate of their own, as both papers have it.
        weight_decay: For matrices; biases and LayerNorm have none.
        warmup_share: Of all steps.
        max_gradient_norm: Longer gradients are clipped.
        dropout: Leave the base's dropout on. Off, a step on a CPU costs a quarter less.
        matryoshka: Also train the first so many dimensions, each as a vector of its own (Kusupati et al.,
            2022, arXiv 2205.13147): the loss is the mean over them and the whole. Then
            SentenceTransformer(folder, truncate_dim=128) is a smaller encoder.
        query_prompt: Goes before every query, in training and ever after; the base's own where None.
        document_prompt: Goes before every document.
        precision: bf16 is autocast over float32 weights; auto takes it on CUDA where the hardware has it.
        gradient_checkpointing: Compute activations twice in place of keeping them.
        lora_rank: Train adapters of this rank in place of the matrices (lora.py); what is saved is an
            ordinary encoder.
        compile: Compile the transformer; the first steps take long.
        cache_tokens: Gradient caching: a batch is encoded in chunks of at most so many padded tokens, twice,
            so that its memory is a chunk's, whatever the number of queries; off where None.
        on_collapse: When all vectors become alike: stop, rollback (to the best on dev, at half the rate) or
            warn.
        seed: For order and dropout.
    """

    epochs: float = 1
    evaluations: int = 1
    batch_queries: int = 16
    sampling: Sampling = "query"
    weight_power: float = 0.0
    texts_per_label: int = 4
    learning_rate: float | Literal["auto"] = "auto"
    schedule: Schedule = "constant"
    max_length_tokens: int | None = None
    loss: Loss | Literal["auto"] = "auto"
    strategy: Strategy | Literal["auto"] = "auto"
    hardest_positive: bool = False
    distance: Distance = "cosine"
    margin: float | Literal["auto"] = "auto"
    temperature: float = 0.05
    second_margin: float | None = None
    proxy_learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    max_gradient_norm: float = 1.0
    dropout: bool = False
    matryoshka: tuple[int, ...] = ()
    query_prompt: str | None = None
    document_prompt: str | None = None
    precision: Precision = "auto"
    gradient_checkpointing: bool = False
    lora_rank: int | None = None
    compile: bool = False
    cache_tokens: int | None = None
    on_collapse: OnCollapse = "stop"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "matryoshka", tuple(self.matryoshka))  # JSON knows lists alone
        if self.loss == "auto":
            smooth = self.strategy in {"auto", "in-batch"}
            object.__setattr__(self, "loss", "smooth" if smooth else "triplet")
        problems = [
            f"{name} is {getattr(self, name)}, at least 1 was expected"
            for name in ("evaluations", "batch_queries")
            if getattr(self, name) < 1
        ]
        if not 0 < self.epochs < math.inf:
            problems.append(f"epochs is {self.epochs:g}, a number above 0 was expected")
        problems += [
            f"{name} is {value:g}, a number between 0 and 1 was expected ({usual:g})"
            for name, value, usual in (
                ("learning_rate", self.learning_rate, 4e-5),
                ("proxy_learning_rate", self.proxy_learning_rate, 2e-3),
            )
            if value != "auto" and not 0 < value < 1
        ]
        if self.texts_per_label < 2:
            problems.append(f"texts_per_label is {self.texts_per_label}, at least 2 were expected")
        if self.cache_tokens is not None and self.loss in OF_PROXIES:
            problems.append(f"cache_tokens is set, and {self.loss} needs no large batch: leave one out")
        problems += [
            f"{name} is {getattr(self, name)!r}, one of {', '.join(names)} was expected"
            for name, names in _NAMES.items()
            if getattr(self, name) not in names
        ]
        if self.cache_tokens is not None and self.cache_tokens < 1:
            problems.append(f"cache_tokens is {self.cache_tokens}, at least 1 was expected")
        if self.cache_tokens is not None and self.gradient_checkpointing:
            problems.append(
                "cache_tokens and gradient_checkpointing save the same memory twice over: one was expected"
            )
        if self.lora_rank is not None and self.lora_rank < 1:
            problems.append(f"lora_rank is {self.lora_rank}, at least 1 was expected")
        if any(dimension < 1 for dimension in self.matryoshka):
            problems.append(f"matryoshka is {self.matryoshka}, dimensions of at least 1 were expected")
        if self.batch_queries == 1 and not (self.loss in BY_STRATEGY and self.strategy == "mined"):
            what = f"strategy {self.strategy}" if self.loss in BY_STRATEGY else f"loss {self.loss}"
            problems.append(
                f"batch_queries is 1, and {what} takes negatives from the batch: at least 2 were expected"
            )
        problems += [
            f"{name} is {value:g}, a number above 0 was expected"
            for name, value in (("temperature", self.temperature), ("second_margin", self.second_margin))
            if value is not None and not 0 < value < math.inf
        ]
        least = 0 if self.loss in MARGINLESS else math.ulp(0)
        if self.margin != "auto" and not least <= self.margin < math.inf:
            problems.append(f"margin is {self.margin}, a number above 0 or auto was expected")
        problems += [
            f"{name} is {value:.10g}, {wanted} was expected"
            for name, value, holds, wanted in (
                ("seed", self.seed, 0 <= self.seed < 2**32, "from 0 to 4294967295"),
                ("weight_power", self.weight_power, 0 <= self.weight_power <= 1, "between 0 and 1"),
                ("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more (0.01)"),
                ("max_gradient_norm", self.max_gradient_norm, self.max_gradient_norm > 0, "above 0 (1)"),
            )
            if not holds
        ]
        problems += self._idle()
        if not 0 <= self.warmup_share < 1:
            problems.append(f"warmup_share is {self.warmup_share:g}, a share below 1 was expected")
        if problems:
            raise InputError("; ".join(problems))

    def _idle(self) -> list[str]:
        """What was asked for and would have nothing to do: better refused than recorded as if it had."""
        found = []
        if self.loss not in BY_STRATEGY and self.strategy not in {"auto", "batch-hard", "in-batch"}:
            found.append(
                f"strategy is {self.strategy}, which chooses among triplets, and loss {self.loss} compares "
                "with every negative of the batch: auto, in-batch or loss triplet was expected"
            )
        if self.hardest_positive and self.loss in (*OF_PAIRS, *OF_PROXIES):
            found.append(f"hardest_positive is set, and loss {self.loss} chooses no positive: leave it out")
        if self.margin != "auto" and self.margin > 0 and self.loss in WITHOUT_MARGIN:
            found.append(f"margin is {self.margin:g}, and loss {self.loss} has none: auto was expected")
        if self.second_margin is not None and self.loss != "quadruplet":
            found.append(f"second_margin is set, and loss {self.loss} has none: leave it out")
        found += [
            f"{name} is {getattr(self, name):g}, and loss {self.loss} has none: leave it out"
            for name, losses in (("temperature", WITH_TEMPERATURE), ("proxy_learning_rate", OF_PROXIES))
            if self.loss not in losses and getattr(self, name) != getattr(TrainSettings, name)
        ]
        return found
