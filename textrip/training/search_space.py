"""What a search for settings tries: its space, and one trial of it."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import optuna

from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, TextripError
from textrip.mining.shares import with_fewer
from textrip.mining.triples import Triples
from textrip.progress import say
from textrip.training.dev import DEV_MEASURE, DevEvaluation
from textrip.training.length import epochs_of
from textrip.training.material import GroupedTriples, Material
from textrip.training.names import (
    OF_PROXIES,
    WITH_TEMPERATURE,
    WITHOUT_MARGIN,
    Loss,
    Strategy,
    of_the_whole_batch,
)
from textrip.training.rate import usual_rate
from textrip.training.requirements import refuse_what_is_for_labels, require_fitting
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.train import train
from textrip.training.trainer import measured_steps

AS_GIVEN = "as given"
ERROR = "error"
LATE = "late"
_RATES = (0.25, 5.0)  # times the usual one for the base
# Times the margin that auto would choose: its unit and size depend on distance and data.
_MARGIN_FACTORS = (0.35, 2.8)
# By name: a loss, and which negatives it sees.
_WAYS: dict[str, tuple[Loss, Strategy]] = {
    "smooth": ("smooth", "batch-all"),
    "smooth, in-batch": ("smooth", "in-batch"),
    "batch-hard": ("triplet", "batch-hard"),
    "semi-hard": ("triplet", "semi-hard"),
    "in-batch": ("triplet", "in-batch"),
    "mixed": ("triplet", "mixed"),
}


class FailedError(TextripError):
    """A training failed, as another need not."""


@dataclass
class Search:
    """What a trial needs."""

    collection: Collection
    triples: Triples
    load_encoder: Callable[[], Encoder]
    evaluate_dev: DevEvaluation
    settings: TrainSettings
    minutes: float | None
    dev: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = self.load_encoder()
        self.base_fingerprint = base.fingerprint
        usual = usual_rate(base, adapters=self.settings.lora_rank is not None)
        rate = usual if self.settings.learning_rate == "auto" else self.settings.learning_rate
        material = GroupedTriples(self.collection, self.triples)
        epochs = epochs_of(self.settings.epochs, len(material.sampler(self.settings)))
        self.settings = replace(self.settings, learning_rate=rate, epochs=epochs)
        # What was given is within what is searched, wherever it lies.
        self.rates = min(_RATES[0] * usual, rate), max(_RATES[1] * usual, rate)
        self.until = None if self.minutes is None else time.monotonic() + 60 * self.minutes
        loss = self.settings.loss
        assert loss != "auto"
        # A loss that was asked for stays; only which negatives it sees is searched for. What was given comes
        # first, an auto as the auto it is.
        if loss in OF_PROXIES:
            raise InputError(f"loss is {loss}, which compares labels; tune searches over mined triples")
        refuse_what_is_for_labels(self.settings, by_label=False)
        others: dict[str, tuple[Loss, Strategy]] = (
            _WAYS
            if loss in {"smooth", "triplet"}
            else {loss: (loss, of_the_whole_batch(loss)), f"{loss}, in-batch": (loss, "in-batch")}
        )
        given = (loss, self.settings.strategy)
        possible = partial(self._possible, material, base)
        self.ways: dict[str, tuple[Loss, Strategy | Literal["auto"]]] = {
            AS_GIVEN: given,
            **{name: way for name, way in others.items() if way != given and possible(*way)},
        }
        self.most_negatives = max((len(group.negatives) for group in self.triples.groups), default=0)
        if not self.most_negatives:
            raise InputError(
                "the triples have no negatives: there is nothing to search for (with --denoise none they may)"
            )

    def _possible(self, material: Material, base: Encoder, loss: Loss, strategy: Strategy) -> bool:
        """Whether what was given goes with a way: no hinge has a margin of 0, say."""
        try:
            require_fitting(material, base, self.settings_of(loss, strategy))
        except InputError:
            return False
        return True

    def settings_of(self, loss: Loss, strategy: Strategy | Literal["auto"]) -> TrainSettings:
        """What was given, with another loss and strategy; a temperature is of the losses that have one."""
        temperature = self.settings.temperature if loss in WITH_TEMPERATURE else TrainSettings.temperature
        return replace(self.settings, loss=loss, strategy=strategy, temperature=temperature)

    def identity(self) -> dict[str, Any]:
        """What a study that goes on must have in common with the one that was begun."""
        return {
            "collection_sha256": self.collection.fingerprint,
            "triples_sha256": self.triples.fingerprint,
            "base": self.base_fingerprint,
            "settings": asdict(self.settings),
            **self.dev,
        }

    def given(self) -> dict[str, Any]:
        """The settings as they were given, with one negative as training has by default."""
        point: dict[str, Any] = {
            "learning_rate": self.settings.learning_rate,
            "negatives": 1,
            "strategy": AS_GIVEN,
        }
        if self._searches_margin(self.ways[AS_GIVEN][0]):
            point["margin_factor"] = 1.0
        return point

    def _searches_margin(self, loss: Loss) -> bool:
        """A margin that was given stays, and some losses have none."""
        return self.settings.margin == "auto" and loss not in WITHOUT_MARGIN

    def trial(self, trial: optuna.Trial) -> float:
        """Train once: the best dev nDCG@10 of its epochs."""
        try:
            return self._train(trial)
        except InputError:  # what was given cannot be used, by no trial
            raise
        except TextripError as error:
            trial.set_user_attr(ERROR, str(error))
            raise FailedError(str(error)) from error

    @staticmethod
    def say_how_it_went(trial: optuna.Trial, score: float | None) -> None:
        """One line, once the study has it; of one that was interrupted there is nothing to say."""
        about = trial.user_attrs
        if score is not None:
            say(f"trial {trial.number}: dev {DEV_MEASURE} {score:.4f}, {_point(trial)}")
        elif ERROR in about:
            say(f"trial {trial.number} failed: {about[ERROR]}")
        elif LATE in about:
            say(f"trial {trial.number}: {'out of time' if about[LATE] else 'pruned'}, {_point(trial)}")

    def _train(self, trial: optuna.Trial) -> float:
        learning_rate = trial.suggest_float("learning_rate", *self.rates, log=True)
        loss, strategy = self.ways[trial.suggest_categorical("strategy", tuple(self.ways))]
        factor = 1.0
        if self._searches_margin(loss):
            factor = trial.suggest_float("margin_factor", *_MARGIN_FACTORS, log=True)
        negatives = trial.suggest_int("negatives", 1, self.most_negatives)
        settings = replace(self.settings_of(loss, strategy), learning_rate=learning_rate)
        triples = with_fewer(self.triples, negatives)
        per_epoch = len(GroupedTriples(self.collection, triples).sampler(settings))
        measurements = len(measured_steps(settings, per_epoch))
        measured = 0

        def evaluate(encoder: Encoder) -> float:
            nonlocal measured
            score = self.evaluate_dev(encoder)
            if measured:
                trial.report(score, measured)
                late = self.until is not None and time.monotonic() > self.until
                # After its last measurement there is nothing left to save.
                if measured < measurements and (late or trial.should_prune()):
                    trial.set_user_attr(LATE, late)
                    raise optuna.TrialPruned
            measured += 1
            return score

        # A run of its own, with nothing of it to be kept but the figures.
        with tempfile.TemporaryDirectory() as scratch, progress.reporting(bars=True, say=None):
            manifest = train(
                self.collection, triples, self.load_encoder(),
                Path(scratch) / "model", settings=settings, margin_factor=factor, evaluate_dev=evaluate,
                run=RunFolder(Path(scratch) / "run", passing=True), checkpoint_minutes=float("inf"),
            )  # fmt: skip
        best = max(manifest["dev"][1:], key=lambda entry: entry[DEV_MEASURE])
        for name in ("margin", "loss", "strategy"):
            trial.set_user_attr(name, manifest["settings"][name])
        trial.set_user_attr("epoch", best["epoch"])
        trial.set_user_attr("start", manifest["dev"][0][DEV_MEASURE])
        return float(best[DEV_MEASURE])


def _point(trial: optuna.Trial) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in trial.params.items()
    )
