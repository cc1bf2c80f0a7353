"""Training: SentenceTransformerTrainer over grouped triples, the best step on dev is what is saved."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from textrip import processes
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, TextripError
from textrip.files import as_json, read_json, write_json
from textrip.mining.triples import Triples
from textrip.progress import say
from textrip.provenance import provenance
from textrip.replacing import remove_half_written, replacing
from textrip.training import board, together
from textrip.training.board import Board
from textrip.training.card import model_card
from textrip.training.choose import Choice, choose
from textrip.training.dev import BestOnDev, DevEvaluation
from textrip.training.diagnosis import OutOfMemoryError
from textrip.training.distance import largest_distance
from textrip.training.leave import leave
from textrip.training.length import epochs_of
from textrip.training.log import Log
from textrip.training.lora import add_adapters, fold_adapters
from textrip.training.loss import GroupLoss
from textrip.training.material import GroupedTriples, LabelledTexts, Material
from textrip.training.names import OF_PROXIES
from textrip.training.rate import usual_rate
from textrip.training.relations import Batch
from textrip.training.requirements import gives_unit_vectors, require_fitting
from textrip.training.run_folder import MANIFEST, RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import as_trained
from textrip.training.steps import Steps
from textrip.training.survey import survey
from textrip.writable import refuse_taking_away

KIND = "textrip-model"
FORMAT = 1
CHECKPOINT_MINUTES = 5.0
# Weights, gradients' two moments and the best weights, twice over while the next checkpoint is written.
_WEIGHTS_ON_DISK = 8


def space_for(encoder: Encoder) -> int:
    """Bytes that a training of an encoder needs on disk."""
    numbers = sum(int(weights.numel()) for weights in encoder.model.parameters())
    return _WEIGHTS_ON_DISK * 4 * numbers


def read_manifest(folder: Path) -> dict[str, Any]:
    """What lies beside a model of ours.

    Raises:
        DamagedError: it is missing, or not whole.
        InputError: it is something else.
    """
    return read_json(folder / MANIFEST, kind=KIND, version=FORMAT)


def refuse_what_is_for_one(settings: TrainSettings, *, rounds: int = 1) -> None:
    """Raise InputError for what is not for several processes, before anything is read."""
    if rounds > 1 and processes.count() > 1:
        raise InputError("rounds mine between trainings, in one process; leave --rounds or torchrun out")
    if settings.cache_tokens is not None and processes.count() > 1:
        raise InputError("cache_tokens is set, and several processes share a batch already: leave one out")
    processes.require_launched()


# Of torch, accelerate and the library's trainer each process has one state, and one generator.
_IN_THIS_PROCESS = threading.RLock()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """A training of another thread comes to its end first."""
    if not _IN_THIS_PROCESS.acquire(blocking=False):
        say("another training is under way in this process: this one begins when it has ended")
        _IN_THIS_PROCESS.acquire()
    try:
        yield
    finally:
        _IN_THIS_PROCESS.release()


@_one_at_a_time()
def train(
    collection: Collection,
    triples: Triples | None,
    encoder: Encoder,
    output: str | Path,
    *,
    settings: TrainSettings | None = None,
    evaluate_dev: DevEvaluation | None = None,
    dev_search: dict[str, Any] | None = None,
    mined_with: dict[str, Any] | None = None,
    run: RunFolder | None = None,
    resume: bool = False,
    request: dict[str, Any] | None = None,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    margin_factor: float = 1.0,
    tensorboard: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Fine-tune an encoder with triplet loss and save it as a sentence-transformers folder.

    Until `output` is complete, checkpoints lie in the run's folder beside it. A run that was interrupted
    or killed goes on from the newest with `resume`, and on a CPU it reaches the weights of a run that was
    not interrupted, bit by bit.

    Args:
        collection: Where the triples' texts are looked up, and whose judgments mask in-batch negatives.
        triples: The groups to train on; where None, the collection's labelled texts are (see label_batch.py).
        encoder: The base. Its weights are changed in place, to what is saved.
        output: The folder to write; complete or absent.
        settings: How to train.
        evaluate_dev: nDCG@10 of an encoder on the dev split; asked before the first step and after every
            epoch. The best of these weights are saved, the untuned ones where no step was better.
        dev_search: What dev's figures are of, for the manifest; a run that goes on must have the same.
        mined_with: How the triples were mined for this training; a run that goes on must have the same.
        run: The run's folder; OUTPUT.unfinished where None. It is removed when `output` is complete.
        resume: Go on with a run that was begun with the same data, triples, base and settings.
        request: Saved in the run's folder for the caller, who may want it to resume.
        checkpoint_minutes: So often a checkpoint is saved, besides after every epoch.
        margin_factor: Times the margin that auto chooses.
        tensorboard: Also write the log for TensorBoard, to the folder tensorboard of the run and the model.
        force: Overwrite `output`, and an unfinished run of it.

    Returns:
        The manifest that lies beside the model as manifest.json.

    Raises:
        InputError: a setting, or triples that do not belong to the collection; before any step is taken.
        MismatchError: the run to resume was begun with something else.
        StorageError: another process trains in the run's folder; the disk has too little space, or refused.
        TextripError: the loss became NaN or infinite, or the memory is too small.
    """
    settings = settings or TrainSettings()
    refuse_taking_away(output, force=force, mark=MANIFEST)
    refuse_what_is_for_one(settings)
    together.begin(encoder.device)
    material = LabelledTexts(collection) if triples is None else GroupedTriples(collection, triples)
    job = _Job(material, encoder, settings, run or RunFolder.beside(output), tensorboard)
    began = time.perf_counter()
    asked = job.asked() | {"dev_search": dev_search, **as_json(mined_with or {})}
    if resume:
        job.run.require(asked)
        job.run.refuse_held()
    else:
        job.run.require_space(space_for(encoder))
    begun = asked if resume else {**asked, "request": request}
    with job.run.held(begun, resume=resume, force=force, triples=triples):
        if processes.is_first():
            remove_half_written(output)  # of a process that was killed
        together.wait()
        try:
            with _memory_errors(settings), _lost_peers(job.run):
                job.choose_rate()
                job.choose_epochs()
                chosen = job.choose(margin_factor) if "auto" in {settings.margin, settings.strategy} else None
                manifest = job.train(evaluate_dev, checkpoint_minutes)
            chosen_as = None if chosen is None else chosen.to_dict()
            manifest |= {"dev_search": dev_search, "chosen": chosen_as}
            manifest |= {"seconds": round(time.perf_counter() - began, 1), **provenance()}
            if processes.is_first():
                job.save(output, manifest, force=force)
        except BaseException as stopped:
            fold_adapters(encoder.model)  # the caller's encoder is an ordinary one, whatever happened
            leave(job.run, stopped, resumed=resume)
            raise
        try:
            job.run.remove()
        except KeyboardInterrupt:
            say(f"{output} is written and complete; what is left of {job.run.path} can be removed")
            raise
    return manifest


@dataclass
class _Job:
    """One training, and what its parts share."""

    material: Material
    base: Encoder
    settings: TrainSettings
    run: RunFolder
    tensorboard: bool

    def __post_init__(self) -> None:
        settings = self.settings
        require_fitting(self.material, self.base, settings)
        self.encoder = as_trained(self.base, settings)
        # With the length and the prompts of the training, which whoever mined may have given it before.
        self.base_identity = {"name": self.base.name, "fingerprint": self.encoder.fingerprint}
        self.collator = self.material.collator(self.encoder, settings)
        self.sampler = self.material.sampler(settings)
        self.board = Board(self.run.path / board.FOLDER) if self.tensorboard else None
        self.log = Log(self.run.path / "log.jsonl", self.board)

    def save(self, output: str | Path, manifest: dict[str, Any], *, force: bool) -> None:
        """Write the model with its card, its manifest and its log."""
        with replacing(output, force=force) as temporary:
            self.encoder.save(temporary)
            (temporary / "README.md").write_text(model_card(manifest), encoding="utf-8")
            write_json(temporary / MANIFEST, manifest)
            shutil.copyfile(self.log.path, temporary / "log.jsonl")
            if self.board is not None:
                self.board.close()
                shutil.copytree(self.board.folder, temporary / board.FOLDER)

    def asked(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one that was begun."""
        return {
            "base": self.base_identity["fingerprint"],  # by whatever path it was loaded
            **self.material.identity(),
            "settings": as_json(asdict(self.settings)),
        }

    def choose_rate(self) -> None:
        """Put a number in place of an auto rate."""
        if self.settings.learning_rate == "auto":
            rate = usual_rate(self.base, adapters=self.settings.lora_rank is not None)
            self.settings = replace(self.settings, learning_rate=rate)
            say(f"learning rate {rate:g}, by the encoder's width")

    def choose_epochs(self) -> None:
        """Put a number in place of auto epochs."""
        if self.settings.epochs == "auto":
            steps = len(self.sampler)
            self.settings = replace(self.settings, epochs=epochs_of("auto", steps))
            say(f"epochs {self.settings.epochs}, of {steps} steps each")

    def choose(self, margin_factor: float) -> Choice:
        """Put a name and a number in place of an auto strategy and margin."""
        loss = GroupLoss(
            self.encoder.model, distance=self.settings.distance, of=_nothing,
            cache_tokens=self.settings.cache_tokens,
        )  # fmt: skip
        found = survey(loss, self.collator, self.material.sampler(self.settings))
        largest = largest_distance(
            self.settings.distance, dimension=self.base.dimension, unit_vectors=gives_unit_vectors(self.base)
        )
        choice = choose(self.settings, found, margin_factor=margin_factor, largest=largest)
        choice = together.agreed(choice)
        say(str(choice))
        self.settings = choice.settings
        return choice

    def train(self, evaluate_dev: DevEvaluation | None, checkpoint_minutes: float) -> dict[str, Any]:
        """Take the steps, give the encoder its best weights, and say what was done."""
        if self.settings.strategy == "in-batch":
            self.collator = self.material.collator(self.encoder, self.settings, mined=False)
        if self.settings.lora_rank is not None:
            add_adapters(self.encoder.model, self.settings.lora_rank, seed=self.settings.seed)
        checkpoint = self.run.checkpoints.newest()
        memory: dict[str, Any] = {} if checkpoint is None else checkpoint[1]
        best = None
        if evaluate_dev is not None:
            history = memory.get("dev", [])
            best = BestOnDev(self.encoder, evaluate_dev, self.run, history=history, board=self.board)
        together.wait()  # all have read the checkpoint's name
        self.run.prune(best.best_step if best is not None and checkpoint is not None else None)
        if best is not None and checkpoint is None and processes.is_first():
            best()
        together.wait()
        self.log.resume(0 if checkpoint is None else memory["step"])
        steps = Steps(
            material=self.material, encoder=self.encoder, settings=self.settings, run=self.run, log=self.log,
            collator=self.collator, sampler=self.sampler,
        )  # fmt: skip
        taken, stopped = steps.take(best, checkpoint, checkpoint_minutes)
        fold_adapters(self.encoder.model)
        if best is not None:
            best.restore_best()
        return {
            "kind": KIND,
            "format": FORMAT,
            "base": self.base_identity,
            "fingerprint": self.encoder.fingerprint,
            "data": self.material.about(),
            "settings": as_json(asdict(self.settings)),
            "device": self.encoder.device,
            "steps": taken,
            "processes": processes.count(),
            "kept_step": taken if best is None else together.agreed(best.best_step if best.history else 0),
            "dev": [] if best is None else together.agreed(best.history),
            "losses": [{"step": entry["step"], "loss": entry["loss"]} for entry in self.log.entries],
            "stopped": None if stopped is None else str(stopped),
        }


# How the libraries between processes say that one is gone.
_LOST = re.compile(
    r"Connection (closed|reset) by peer|Broken pipe|Socket Timeout|[Tt]imed out|ncclRemoteError"
)


def _nothing(batch: Batch) -> torch.Tensor:
    return batch.distances.sum() * 0


@contextmanager
def _lost_peers(run: RunFolder) -> Iterator[None]:
    """Say that another of several processes has ended, and how to go on, not in gloo's or NCCL's words."""
    try:
        yield
    except RuntimeError as error:
        if processes.count() == 1 or not _LOST.search(str(error)):
            raise
        several = processes.count()
        raise TextripError(
            f"another of the {several} processes has ended, or cannot be reached; start all of them again "
            f"with: {run.whole.way_on}"
        ) from error


@contextmanager
def _memory_errors(settings: TrainSettings) -> Iterator[None]:
    """Say which option lowers the need, in place of an allocator's words."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if isinstance(error, RuntimeError) and not re.search("out of memory|allocate memory", str(error)):
            raise
        lower = "--batch-queries, --max-length-tokens or --negatives"
        if settings.cache_tokens is not None:  # a batch is encoded in parts: the parts are what is too large
            advice = f"lower --cache-tokens, which is {settings.cache_tokens:,}, or --max-length-tokens"
        elif settings.gradient_checkpointing or settings.loss in OF_PROXIES:  # refused together
            advice = f"lower {lower}"
        else:
            advice = f"lower {lower}, or set --cache-tokens 4096"
        raise OutOfMemoryError(
            f"out of memory with {settings.batch_queries} queries a batch; {advice}"
        ) from error
