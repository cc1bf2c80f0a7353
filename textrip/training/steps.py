"""The steps of a training, from the first or a checkpoint: the library's trainer and what is around it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers import PrinterCallback

from textrip.encoding.encoder import Encoder
from textrip.progress import advancing
from textrip.training.dev import BestOnDev
from textrip.training.diagnosis import Diagnosis, DivergedError
from textrip.training.length import steps_of
from textrip.training.log import Log
from textrip.training.loss import GroupLoss, formula
from textrip.training.material import Collator, LabelledTexts, Material
from textrip.training.monitor import Cost, Monitor
from textrip.training.names import OF_PROXIES
from textrip.training.proxies import ProxyLoss, first_proxies, read_proxies
from textrip.training.relations import Batch
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import shaped
from textrip.training.trainer import Bar, GroupTrainer, Milestones, arguments
from textrip.training.watch import Watch

Checkpoint = tuple[Path, dict[str, Any]]  # its folder, and what this run remembered there


@dataclass(frozen=True)
class Steps:
    """What the steps are taken on and with; no setting is auto any more."""

    material: Material
    encoder: Encoder
    settings: TrainSettings
    run: RunFolder
    log: Log
    collator: Collator
    sampler: DefaultBatchSampler

    def take(
        self,
        best: BestOnDev | None,
        checkpoint: Checkpoint | None,
        checkpoint_minutes: float,
    ) -> tuple[int, Diagnosis | None]:
        """Take the steps.

        Args:
            best: Measures dev and keeps the best weights, where there is a dev split.
            checkpoint: What to go on from; None for the first step.
            checkpoint_minutes: So often a checkpoint is saved, besides after every epoch.

        Returns:
            How many steps were taken in all, and the diagnosis that ended them early.

        Raises:
            DivergedError: the loss became NaN or infinite.
        """
        settings, per_epoch = self.settings, len(self.sampler)
        assert settings.margin != "auto"
        assert settings.epochs != "auto"
        monitor = Monitor(Cost.of(settings), lone=settings.batch_queries == 1)
        monitor.restore([] if checkpoint is None else checkpoint[1]["window"])
        loss = self._loss(monitor, checkpoint)

        def restore() -> None:
            assert best is not None
            best.restore_best()
            if isinstance(loss, ProxyLoss):  # they begin where the texts of that encoder are
                with torch.no_grad():
                    loss.proxies.copy_(self._first_proxies())

        watch = Watch(monitor, self.log, settings.on_collapse, restore=None if best is None else restore)
        watch.rollbacks = 0 if checkpoint is None else checkpoint[1]["rollbacks"]
        total = steps_of(settings.epochs, per_epoch)
        with ExitStack() as stack:
            stack.enter_context(shaped(self.encoder.model, settings))
            advance = stack.enter_context(advancing("training", total))
            milestones = Milestones(
                settings, per_epoch, evaluated=best is not None, minutes=checkpoint_minutes
            )
            trainer = GroupTrainer(
                model=self.encoder.model,
                args=arguments(settings, self.encoder, str(self.run.path), total, evaluated=best is not None),
                train_dataset=Dataset.from_dict({"group": list(range(self.material.size))}),
                loss=loss,
                evaluator=best,
                data_collator=self.collator,
                callbacks=[Bar(advance), milestones, watch],  # the watch may call a measurement off
            )
            trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
            trainer.sampler, trainer.run = self.sampler, self.run
            trainer.memory = lambda: {
                "step": int(trainer.state.global_step),
                "window": monitor.state(),
                "rollbacks": watch.rollbacks,
                "dev": [] if best is None else best.history,
                "best_step": None if best is None else best.best_step,
            }
            # The library leaves the model wrapped in autocast: what is measured and saved is float32.
            stack.callback(trainer.accelerator.unwrap_model, self.encoder.model, keep_fp32_wrapper=False)
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint[0]))
        if watch.diverged:
            raise DivergedError(str(watch.stopped))
        return int(trainer.state.global_step), watch.stopped

    def _loss(self, monitor: Monitor, checkpoint: Checkpoint | None) -> GroupLoss:
        """The loss; what it learned itself comes from the checkpoint where there is one."""
        settings = self.settings
        options: dict[str, Any] = {
            "distance": settings.distance,
            "of": _formula(settings),
            "monitor": monitor,
            "cache_tokens": settings.cache_tokens,
            "matryoshka": settings.matryoshka,
        }
        if settings.loss not in OF_PROXIES:
            return GroupLoss(self.encoder.model, **options)
        proxies = self._first_proxies() if checkpoint is None else read_proxies(checkpoint[0])
        return ProxyLoss(self.encoder.model, proxies, **options)

    def _first_proxies(self) -> torch.Tensor:
        assert isinstance(self.material, LabelledTexts)
        return first_proxies(
            self.material.collection, self.material.labels, self.encoder, seed=self.settings.seed
        )


def _formula(settings: TrainSettings) -> Callable[[Batch], torch.Tensor]:
    assert settings.loss != "auto"
    assert settings.margin != "auto"
    assert settings.strategy != "auto"
    second = settings.margin / 2 if settings.second_margin is None else settings.second_margin
    return formula(
        settings.loss, strategy=settings.strategy, margin=settings.margin, temperature=settings.temperature,
        second_margin=second, hardest_positive=settings.hardest_positive,
    )  # fmt: skip
