"""How an encoder is trained: one frozen record, checked once, saved beside the model."""

from dataclasses import dataclass
from typing import Literal

from textrip.errors import InputError
from textrip.training.bounds import problems
from textrip.training.names import (
    Distance,
    Loss,
    OnCollapse,
    Precision,
    Sampling,
    Schedule,
    Strategy,
)
from textrip.typed import require_types


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
        epochs: An epoch asks every query once; 0.5 is half of one. auto is what comes nearest to 120 steps,
            from 1 to 10 (see length.py).
        evaluations: So often in an epoch dev is measured; the best of them is what is saved.
        batch_queries: How many groups a batch holds: queries with documents, or labels with texts.
        sampling: query: an epoch asks every query once, and takes its positives in turn, one an epoch.
            positive: an epoch asks a query once for each of its positives (as many as were mined).
        weight_power: A query with so many positives counts 1 / positives ** weight_power in the mean of a
            batch; 0: all alike. With sampling positive and 1, all queries count the same over an epoch.
        texts_per_label: How many texts a label brings to a batch, where labelled texts are trained on.
        learning_rate: At its peak; it rises over `warmup_share` of the steps. auto is 4e-5 for an encoder
            that is 384 wide, 2e-5 for one of 768, and so on (see rate.py); ten times that with lora_rank.
        schedule: After that the rate is constant, or falls linearly to 0. The best epoch on dev is saved, so
            that a constant one needs no end that is known beforehand.
        max_length_tokens: Longer texts are cut, here and by the trained encoder; the base's own where None.
        loss: triplet (a hinge), soft-margin (softplus), smooth (log-sum-exp over all negatives),
            contrastive, online-contrastive or quadruplet; for labelled texts also proxy-nca and
            proxy-anchor. auto is smooth, and triplet where another strategy than in-batch is named;
            the record holds what it stands for.
        strategy: Which negatives the triplet and the soft-margin loss compare: mined, batch-all, batch-hard,
            semi-hard, mixed (every mined one and the hardest of the batch) or in-batch (semi-hard among what
            other groups bring; with every loss the mined ones are then left out of the batch). The other
            losses compare all of them: batch-all, or in-batch. auto is batch-hard, or batch-all with a loss
            of these, or in-batch where the untuned encoder finds more than 60 % of the mined negatives
            nearer than their positives: those are relevant documents that nobody judged, more often than not.
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

    epochs: float | Literal["auto"] = "auto"
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
        require_types(self)
        if self.loss == "auto":
            smooth = self.strategy in {"auto", "in-batch"}
            object.__setattr__(self, "loss", "smooth" if smooth else "triplet")
        if found := problems(self):
            raise InputError("; ".join(found))
