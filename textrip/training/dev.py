"""The dev split decides what is saved: the encoder is measured, and its best weights are kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from sentence_transformers.base.evaluation import BaseEvaluator

from textrip import processes
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import load_model
from textrip.errors import NotFiniteError
from textrip.progress import say
from textrip.training.board import Board
from textrip.training.diagnosis import DivergedError
from textrip.training.lora import load_plain
from textrip.training.run_folder import RunFolder
from textrip.training.together import same_weights

DEV_MEASURE = "nDCG@10"

DevEvaluation = Callable[[Encoder], float]


@dataclass
class BestOnDev(BaseEvaluator):  # type: ignore[misc]
    """Measures the encoder when the trainer asks, and keeps the best weights; the start takes part."""

    encoder: Encoder
    evaluate: DevEvaluation
    run: RunFolder
    history: list[dict[str, Any]] = field(default_factory=list)
    board: Board | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self.primary_metric = DEV_MEASURE

    @property
    def best_step(self) -> int:
        """The step of the best weights: of equals the first."""
        return int(max(self.history, key=lambda entry: (entry[DEV_MEASURE], -entry["step"]))["step"])

    def __call__(
        self, model: Any = None, output_path: str | None = None, epoch: float = 0, steps: int = 0
    ) -> dict[str, float]:
        """Measure now; the trainer calls this after every epoch, in the first process alone."""
        self._require_finite(steps)
        try:
            score = self.evaluate(self.encoder)
        except NotFiniteError as error:
            if not steps:
                raise
            raise DivergedError(
                f"not a number: after step {steps} the vectors are not finite; lower --learning-rate"
            ) from error
        say(f"epoch {epoch:.3g}: dev {DEV_MEASURE} {score:.4f}")
        self.history.append({"epoch": epoch, "step": steps, DEV_MEASURE: score})
        if self.board is not None:
            self.board.add({"step": steps, f"dev/{DEV_MEASURE}": score})
        if self.best_step == steps:
            self.run.keep_best(self.encoder, steps)
        return {DEV_MEASURE: score}

    def _require_finite(self, steps: int) -> None:
        """A loss may still be a number where the step that it led to left none of the weights one."""
        for name, weights in self.encoder.model.named_parameters():
            if not torch.isfinite(weights).all():
                when = f"after step {steps} " if steps else "before the first step, "
                remedy = "lower --learning-rate" if steps else "the base itself is damaged"
                raise DivergedError(f"not a number: {when}{name} is not finite; {remedy}")

    def restore_best(self) -> None:
        """Give the encoder the weights that were best; in every process, by way of the first."""
        if processes.is_first():
            self._load_best()
        same_weights(self.encoder.model)

    def _load_best(self) -> None:
        folder = self.run.best(self.best_step)
        trust_remote_code = self.encoder.model.trust_remote_code  # as the user chose for the base
        kept = load_model(folder, device=self.encoder.device, trust_remote_code=trust_remote_code)
        load_plain(self.encoder.model, kept.state_dict())
