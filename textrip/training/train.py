"""Training: SentenceTransformerTrainer over grouped triples, the best step on dev is what is saved."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.evaluation import BaseEvaluator
from torch import nn
from transformers import PrinterCallback, TrainerCallback

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import TextripError
from textrip.files import refuse_existing, replacing, write_json
from textrip.mining.triples import Triples
from textrip.progress import Advance, advancing, say
from textrip.provenance import provenance
from textrip.training.batch import GroupCollator, QuerySampler
from textrip.training.card import model_card
from textrip.training.loss import GroupLoss, formula
from textrip.training.margin import require_possible
from textrip.training.relations import Batch
from textrip.training.settings import TrainSettings

KIND = "textrip-model"
FORMAT = 1
DEV_MEASURE = "nDCG@10"

DevEvaluation = Callable[[Encoder], float]


@dataclass
class _BestOnDev(BaseEvaluator):  # type: ignore[misc]
    """Measures the encoder when the trainer asks, and keeps the best weights; the start takes part."""

    encoder: Encoder
    evaluate: DevEvaluation
    history: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.primary_metric = DEV_MEASURE

    def __call__(
        self, model: Any = None, output_path: str | None = None, epoch: float = 0, steps: int = 0
    ) -> dict[str, float]:
        score = self.evaluate(self.encoder)
        say(f"epoch {epoch:g}: dev {DEV_MEASURE} {score:.4f}")
        if all(score > earlier[DEV_MEASURE] for earlier in self.history):
            self.best_step = steps
            self.best_weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.encoder.model.state_dict().items()
            }
        self.history.append({"epoch": epoch, "step": steps, DEV_MEASURE: score})
        return {DEV_MEASURE: score}


class _Trainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The library's trainer with our batches, and without its model card (which would ask the hub)."""

    sampler: QuerySampler

    def get_batch_sampler(self, *_args: Any, **_kwargs: Any) -> QuerySampler:
        return self.sampler

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        pass


class _Steps(TrainerCallback):  # type: ignore[misc]
    """Moves the bar and keeps the loss curve."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.losses: list[dict[str, float]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        self.advance(1)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_kwargs: Any
    ) -> None:
        if logs and "loss" in logs:
            self.losses.append({"step": state.global_step, "loss": float(logs["loss"])})
            if not math.isfinite(float(logs["loss"])):
                control.should_training_stop = True  # nothing comes back from there


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Every dropout of the model off inside the block, and as it was after it."""
    before = [(module, module.p) for module in model.modules() if isinstance(module, nn.Dropout)]
    try:
        for module, _ in before:
            module.p = 0.0
        yield
    finally:
        for module, p in before:
            module.p = p


def train(
    collection: Collection,
    triples: Triples,
    encoder: Encoder,
    output: str | Path,
    *,
    settings: TrainSettings | None = None,
    evaluate_dev: DevEvaluation | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Fine-tune an encoder with triplet loss and save it as a sentence-transformers folder.

    Args:
        collection: Where the triples' texts are looked up, and whose judgments mask in-batch negatives.
        triples: The groups to train on.
        encoder: The base. Its weights are changed in place, to what is saved.
        output: The folder to write; complete or absent.
        settings: How to train.
        evaluate_dev: nDCG@10 of an encoder on the dev split; asked before the first step and after every
            epoch. The best of these weights are saved, the untuned ones where no step was better.
        force: Overwrite `output`.

    Returns:
        The manifest that lies beside the model as manifest.json.

    Raises:
        InputError: a setting, or triples that do not belong to the collection; before any step is taken.
        TextripError: the loss became NaN or infinite.
    """
    settings = settings or TrainSettings()
    refuse_existing(output, force=force)
    unit_vectors = type(encoder.model[-1]).__name__ == "Normalize"
    require_possible(
        settings.margin, settings.distance, dimension=encoder.dimension, unit_vectors=unit_vectors
    )
    base = {"name": encoder.name, "fingerprint": encoder.fingerprint}
    if settings.max_length_tokens is not None:
        encoder = Encoder(encoder.model, encoder.name, max_length_tokens=settings.max_length_tokens)
    best = None if evaluate_dev is None else _BestOnDev(encoder, evaluate_dev)
    started = time.perf_counter()
    if best is not None:
        best()
    losses, steps = _run(collection, triples, encoder, settings, best)
    if best is not None:
        encoder.model.load_state_dict(best.best_weights)
    manifest = {
        "kind": KIND,
        "format": FORMAT,
        "base": base,
        "fingerprint": encoder.fingerprint,
        "data": {
            "collection": collection.name,
            "collection_sha256": collection.fingerprint,
            "queries": len({group.query_id for group in triples.groups}),
            "groups": len(triples),
            "triples": triples.count,
            "mining": triples.provenance.get("settings"),
        },
        "settings": asdict(settings),
        "device": encoder.device,
        "steps": steps,
        "kept_step": steps if best is None else best.best_step,
        "dev": [] if best is None else best.history,
        "losses": losses,
        "seconds": round(time.perf_counter() - started, 1),
        **provenance(),
    }
    with replacing(output, force=force) as temporary:
        encoder.model.save_pretrained(str(temporary), safe_serialization=True, create_model_card=False)
        (temporary / "README.md").write_text(model_card(manifest), encoding="utf-8")
        write_json(temporary / "manifest.json", manifest)
    return manifest


def _run(
    collection: Collection,
    triples: Triples,
    encoder: Encoder,
    settings: TrainSettings,
    best: _BestOnDev | None,
) -> tuple[list[dict[str, float]], int]:
    """The steps themselves: losses and how many steps were taken."""
    sampler = QuerySampler(triples.groups, batch_queries=settings.batch_queries, seed=settings.seed)
    loss = GroupLoss(encoder.model, distance=settings.distance, of=_formula(settings))
    total = len(sampler) * settings.epochs
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        if not settings.dropout:
            stack.enter_context(without_dropout(encoder.model))
        callback = _Steps(stack.enter_context(advancing("training", total)))
        trainer = _Trainer(
            model=encoder.model,
            args=_arguments(settings, encoder, folder, total, evaluated=best is not None),
            train_dataset=Dataset.from_dict({"group": list(range(len(triples)))}),
            loss=loss,
            evaluator=best,
            data_collator=GroupCollator(triples, collection, encoder),
            callbacks=[callback],
        )
        trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
        trainer.sampler = sampler
        trainer.train()
    broken = next((entry for entry in callback.losses if not math.isfinite(entry["loss"])), None)
    if broken is not None:
        raise TextripError(
            f"the loss became NaN or infinite by step {broken['step']}; "
            "lower --learning-rate, and look at the base's vectors"
        )
    return callback.losses, int(trainer.state.global_step)


def _formula(settings: TrainSettings) -> Callable[[Batch], torch.Tensor]:
    second = settings.margin / 2 if settings.second_margin is None else settings.second_margin
    return formula(
        settings.loss, strategy=settings.strategy, margin=settings.margin, temperature=settings.temperature,
        second_margin=second, hardest_positive=settings.hardest_positive,
    )  # fmt: skip


def _arguments(
    settings: TrainSettings, encoder: Encoder, folder: str, total_steps: int, *, evaluated: bool
) -> SentenceTransformerTrainingArguments:
    device = encoder.model.device.type
    return SentenceTransformerTrainingArguments(
        output_dir=folder,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_queries,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(settings.warmup_share * total_steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_gradient_norm,
        seed=settings.seed,
        # float32 master weights; autocast only where the hardware has bf16 (a CPU is slower with it).
        bf16=device == "cuda" and torch.cuda.is_bf16_supported(),
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
        eval_strategy="epoch" if evaluated else "no",
        save_strategy="no",
        logging_steps=10,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
    )
