"""sentence-transformers' trainer with our batches, our checkpoints and our steps."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from safetensors.torch import load_model, save_model
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers import TrainerCallback

from textrip import processes
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import quieten
from textrip.interrupt import raise_if_asked
from textrip.progress import Advance
from textrip.training.length import steps_of
from textrip.training.names import OF_PROXIES
from textrip.training.proxies import write_proxies
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.together import TIMEOUT, agreed, wait

LOG_STEPS = 10
_WEIGHTS = "weights.safetensors"


class GroupTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The library's trainer with our batches, and checkpoints that are complete or absent.

    The library writes a checkpoint in place: one that was killed in the middle makes a resume fail.
    """

    sampler: DefaultBatchSampler
    run: RunFolder
    memory: Callable[[], dict[str, Any]]
    _writing: Path | None = None

    def get_batch_sampler(self, *_args: Any, **_kwargs: Any) -> DefaultBatchSampler:
        """Our batches."""
        return self.sampler

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No card of the library's: it would ask the hub; ours is written with the model."""

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._writing or self.run.path)

    def get_train_dataloader(self) -> Any:
        """Every process gets the whole of every batch, and encodes its share (see together.py)."""
        if processes.count() == 1:
            return super().get_train_dataloader()
        loader = self._build_dataloader(self.train_dataset, self.args.train_batch_size, dataset_kind="train")
        self._train_dataloader = prepare_data_loader(
            loader, device=self.accelerator.device, num_processes=1, process_index=0, put_on_device=True
        )
        return self._train_dataloader

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The weights as they are trained, adapters and all; a checkpoint is for nothing but resuming."""
        assert output_dir is not None
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(Path(output_dir) / _WEIGHTS))

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        load_model(self.model, Path(checkpoint_path) / _WEIGHTS)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with ExitStack() as stack:
            folder = None
            if processes.is_first():
                writing = self.run.checkpoints.writing(int(self.state.global_step), self.memory())
                folder = stack.enter_context(writing)
            # Each process adds its random state to the folder of the first.
            self._writing = agreed(folder)
            quieten()
            super()._save_checkpoint(model, trial)
            if folder is not None:
                write_proxies(self.loss, folder / f"checkpoint-{self.state.global_step}")
            wait()
        self._writing = None
        if processes.is_first():
            self.run.prune(self.memory()["best_step"])
        wait()


def measured_steps(settings: TrainSettings, per_epoch: int) -> list[int]:
    """The steps after which dev is measured: `evaluations` times an epoch, and after the last one."""
    assert settings.epochs != "auto"
    total = steps_of(settings.epochs, per_epoch)
    inside = _inside(settings, per_epoch)
    return [step for step in range(1, total + 1) if step % per_epoch in inside | {0} or step == total]


def _inside(settings: TrainSettings, per_epoch: int) -> set[int]:
    """The steps of an epoch after which dev is measured, besides its last."""
    parts = settings.evaluations
    return {round(per_epoch * part / parts) for part in range(1, parts)} - {0}


class Milestones(TrainerCallback):  # type: ignore[misc]
    """When dev is measured inside an epoch, and when a checkpoint is saved.

    Dev is measured after every epoch, and `evaluations - 1` times inside it. A checkpoint follows every
    measurement but the last, and comes by the clock.
    """

    def __init__(
        self, settings: TrainSettings, steps_per_epoch: int, *, evaluated: bool, minutes: float
    ) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.minutes = minutes
        self.inside = _inside(settings, steps_per_epoch) if evaluated else set()
        self.last = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Inside an epoch; its last step waits for the measurement that comes after it.

        A run that was resumed from a checkpoint between the two would never measure. The same goes for the
        run's last step, which is inside an epoch where the epochs are no whole number.
        """
        if state.global_step >= state.max_steps:
            return
        place = state.global_step % self.steps_per_epoch
        if place in self.inside:
            control.should_evaluate = control.should_save = True
        # The first process's clock counts: two that differ would wait for one another in different places.
        elif place != 0 and agreed(time.monotonic() - self.last >= self.minutes * 60):
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """After every epoch but the last."""
        if state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """The clock begins anew."""
        self.last = time.monotonic()


class Bar(TrainerCallback):  # type: ignore[misc]
    """Moves the bar."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """A resumed run begins in the middle."""
        self.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """One step done; a Ctrl-C that was dropped somewhere in it comes back here."""
        raise_if_asked()
        self.advance(1)


def arguments(
    settings: TrainSettings, encoder: Encoder, folder: str, total_steps: int, *, evaluated: bool
) -> SentenceTransformerTrainingArguments:
    """The library's settings for ours."""
    assert settings.learning_rate != "auto"
    assert settings.epochs != "auto"
    device = encoder.model.device.type
    of_proxies = settings.loss in OF_PROXIES
    return SentenceTransformerTrainingArguments(
        output_dir=folder,
        max_steps=total_steps,  # the library's own product of epochs and batches may be a step more
        per_device_train_batch_size=settings.batch_queries,
        learning_rate=settings.learning_rate,
        learning_rate_mapping={"^proxies$": settings.proxy_learning_rate} if of_proxies else {},
        lr_scheduler_type="linear" if settings.schedule == "linear" else "constant_with_warmup",
        warmup_steps=round(settings.warmup_share * total_steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_gradient_norm,
        seed=settings.seed,
        # float32 master weights; autocast by itself only where the hardware has bf16 (most CPUs are slower).
        bf16=settings.precision == "bf16"
        or (settings.precision == "auto" and device == "cuda" and torch.cuda.is_bf16_supported()),
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and processes.count() > 1 else None,
        ddp_timeout=int(TIMEOUT.total_seconds()),
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
        eval_strategy="epoch" if evaluated else "no",
        save_strategy="no",  # our callback asks for checkpoints
        logging_steps=LOG_STEPS,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
    )
