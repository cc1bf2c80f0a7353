"""Tuning: a search over rate, margin, strategy and negatives, judged by the dev split alone.

Optuna's tree-structured Parzen estimator (Akiba et al., KDD 2019, arXiv 1907.10902) proposes; a trial that is
worse than the median of the others after the same epoch is pruned. The study lies on disk after every trial:
the same command goes on with it.
"""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError, TextripError
from textrip.files import refuse_existing
from textrip.mining.triples import Triples
from textrip.progress import say
from textrip.training.dev import DEV_MEASURE, DevEvaluation
from textrip.training.material import GroupedTriples, Material
from textrip.training.names import OF_PROXIES, WITHOUT_MARGIN, Loss, Strategy
from textrip.training.rate import usual_rate
from textrip.training.requirements import require_fitting
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.train import train
from textrip.training.trainer import measured_steps

AS_GIVEN = "as given"
_STUDY = "textrip-tune"
_ERROR = "error"
_RATES = (0.25, 5.0)  # times the usual one for the base
# Times the margin that auto would choose: its unit and size depend on distance and data.
_MARGIN_FACTORS = (0.35, 2.8)
# By name: a loss, and which negatives it sees.
_WAYS: dict[str, tuple[Loss, Strategy]] = {
    "smooth": ("smooth", "batch-hard"),
    "smooth, in-batch": ("smooth", "in-batch"),
    "batch-hard": ("triplet", "batch-hard"),
    "semi-hard": ("triplet", "semi-hard"),
    "in-batch": ("triplet", "in-batch"),
    "mixed": ("triplet", "mixed"),
}


class _FailedError(TextripError):
    """A training failed, as another need not."""


@dataclass(frozen=True)
class Trial:
    """One training of the search."""

    number: int
    state: str
    score: float | None
    epoch: float | None
    parameters: dict[str, Any]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A row for a table or for JSON."""
        shown = {"trial": self.number, "state": self.state, "dev nDCG@10": self.score, "epoch": self.epoch}
        return {**shown, **self.parameters, "seconds": round(self.seconds, 1)}


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes:
        trials: Every one, the best first; pruned and failed ones last.
        start: Dev nDCG@10 of the untuned encoder.
        settings: The best trial's, without an auto.
        negatives: The best trial's number of mined negatives.
        importance: By parameter the share of the variance that it explains; empty with too few trials.
    """

    trials: list[Trial]
    start: float
    settings: TrainSettings
    negatives: int
    importance: dict[str, float]


def tune(
    collection: Collection,
    triples: Triples,
    load_encoder: Callable[[], Encoder],
    folder: str | Path,
    *,
    evaluate_dev: DevEvaluation,
    settings: TrainSettings | None = None,
    trials: int = 20,
    minutes: float | None = None,
) -> Tuning:
    """Search for settings; nothing but the dev split is looked at.

    The first trial is the settings as they are given. An interruption loses the trial that was running.

    Args:
        collection: What is trained on.
        triples: With as many negatives as a trial may use.
        load_encoder: Gives the base encoder anew.
        folder: Holds the study; one that is there goes on.
        evaluate_dev: nDCG@10 of an encoder on the dev split.
        settings: What is not searched for, and how many epochs a trial has at most. Its seed is the search's.
        trials: How many trainings there are to be in the end, those of earlier calls included.
        minutes: No trial begins after so much time, and one that runs then ends at its next measurement (or
            is kept, where that is its last).

    Raises:
        InputError: the folder holds something else; the settings cannot be used.
        MismatchError: the study was begun with other data, another base or other settings.
    """
    search = _Search(collection, triples, load_encoder, evaluate_dev, settings or TrainSettings(), minutes)
    study = _open(Path(folder), search)
    done = _ended(study)
    if not done and not study.get_trials(states=(TrialState.WAITING,)):
        study.enqueue_trial(search.given())
    if len(done) < trials:
        study.optimize(
            search.trial,
            n_trials=trials - len(done),
            timeout=None if minutes is None else minutes * 60,
            catch=(_FailedError,),  # a diverged training is a bad trial, and no end of the search
        )
    return _result(study, search)


@dataclass
class _Search:
    """What a trial needs."""

    collection: Collection
    triples: Triples
    load_encoder: Callable[[], Encoder]
    evaluate_dev: DevEvaluation
    settings: TrainSettings
    minutes: float | None

    def __post_init__(self) -> None:
        base = self.load_encoder()
        self.base_fingerprint = base.fingerprint
        usual = usual_rate(base, adapters=self.settings.lora_rank is not None)
        rate = usual if self.settings.learning_rate == "auto" else self.settings.learning_rate
        self.settings = replace(self.settings, learning_rate=rate)
        # What was given is within what is searched, wherever it lies.
        self.rates = min(_RATES[0] * usual, rate), max(_RATES[1] * usual, rate)
        self.until = None if self.minutes is None else time.monotonic() + 60 * self.minutes
        loss = self.settings.loss
        assert loss != "auto"
        # A loss that was asked for stays; only which negatives it sees is searched for. What was given comes
        # first, an auto as the auto it is.
        if loss in OF_PROXIES:
            raise InputError(f"loss is {loss}, which compares labels; tune searches over mined triples")
        others: dict[str, tuple[Loss, Strategy]] = (
            _WAYS
            if loss in {"smooth", "triplet"}
            else {loss: (loss, "batch-hard"), f"{loss}, in-batch": (loss, "in-batch")}
        )
        given = (loss, self.settings.strategy)
        possible = partial(self._possible, GroupedTriples(self.collection, self.triples), base)
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
            settings = replace(self.settings, loss=loss, strategy=strategy)
            require_fitting(material, base, settings)
        except InputError:
            return False
        return True

    def identity(self) -> dict[str, Any]:
        """What a study that goes on must have in common with the one that was begun."""
        return {
            "collection_sha256": self.collection.fingerprint,
            "triples_sha256": self.triples.fingerprint,
            "base": self.base_fingerprint,
            "settings": repr(self.settings),
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
        """Train once, and say how it went: the best dev nDCG@10 of its epochs."""
        try:
            score = self._train(trial)
        except InputError:  # what was given cannot be used, by no trial
            raise
        except TextripError as error:
            trial.set_user_attr(_ERROR, str(error))
            say(f"trial {trial.number} failed: {error}")
            raise _FailedError(str(error)) from error
        except optuna.TrialPruned:
            say(f"trial {trial.number}: pruned, {_point(trial)}")
            raise
        say(f"trial {trial.number}: dev {DEV_MEASURE} {score:.4f}, {_point(trial)}")
        return score

    def _train(self, trial: optuna.Trial) -> float:
        learning_rate = trial.suggest_float("learning_rate", *self.rates, log=True)
        loss, strategy = self.ways[trial.suggest_categorical("strategy", tuple(self.ways))]
        factor = 1.0
        if self._searches_margin(loss):
            factor = trial.suggest_float("margin_factor", *_MARGIN_FACTORS, log=True)
        negatives = trial.suggest_int("negatives", 1, self.most_negatives)
        groups = [replace(group, negatives=group.negatives[:negatives]) for group in self.triples.groups]
        settings = replace(self.settings, learning_rate=learning_rate, loss=loss, strategy=strategy)
        triples = replace(self.triples, groups=groups)
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
                    raise optuna.TrialPruned
            measured += 1
            return score

        # A run of its own, with nothing of it to be kept but the figures.
        with tempfile.TemporaryDirectory() as scratch, progress.reporting(bars=True, say=None):
            manifest = train(
                self.collection, triples, self.load_encoder(),
                Path(scratch) / "model", settings=settings, margin_factor=factor, evaluate_dev=evaluate,
                run=RunFolder(Path(scratch) / "run"), checkpoint_minutes=float("inf"),
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


def _open(folder: Path, search: _Search) -> optuna.Study:
    if folder.exists() and not (folder / "study.jsonl").is_file():
        raise InputError(f"{folder} exists and holds no study; name another place")
    if not folder.exists():
        refuse_existing(folder, force=False)
        folder.mkdir(parents=True)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what matters is said by textrip
    study = optuna.create_study(
        study_name=_STUDY,
        storage=JournalStorage(JournalFileBackend(str(folder / "study.jsonl"))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
        direction="maximize",
        load_if_exists=True,
    )
    # A sampler begins where its seed says: of a study that goes on it is not to propose the same again.
    study.sampler = optuna.samplers.TPESampler(seed=search.settings.seed + len(study.trials))
    identity = search.identity()
    begun = study.user_attrs.get("identity")
    if begun is None:
        study.set_user_attr("identity", identity)
    elif begun != identity:
        different = next(name for name in identity if begun.get(name) != identity[name])
        raise MismatchError(
            f"{folder} was begun with another {different}; a study can only go on as it was begun"
        )
    say(f"{len(study.trials)} trials are in {folder}" if study.trials else f"a new study in {folder}")
    return study


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end of their own: not those that an interruption cut off."""
    return [
        trial
        for trial in study.trials
        if trial.state in {TrialState.COMPLETE, TrialState.PRUNED} or _ERROR in trial.user_attrs
    ]


def _result(study: optuna.Study, search: _Search) -> Tuning:
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise TextripError("no trial was finished: give more --minutes, or fewer --epochs")
    best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
    ended = sorted(
        _ended(study),
        key=lambda trial: (trial.state != TrialState.COMPLETE, -(trial.value or 0.0), trial.number),
    )
    settings = replace(
        search.settings,
        learning_rate=best.params["learning_rate"],
        loss=best.user_attrs["loss"],
        strategy=best.user_attrs["strategy"],
        margin=best.user_attrs["margin"],
        epochs=_down(best.user_attrs["epoch"]),
    )
    return Tuning(
        [_row(trial) for trial in ended],
        best.user_attrs["start"],
        settings,
        best.params["negatives"],
        _importance(study, complete),
    )


def _down(epoch: float) -> float:
    """A little less, where it is no whole number: times the steps of an epoch it is to be no step more."""
    return math.floor(epoch * 1e6) / 1e6


def _row(trial: FrozenTrial) -> Trial:
    seconds = trial.duration.total_seconds() if trial.duration is not None else 0.0
    parameters = {
        "learning_rate": trial.params.get("learning_rate"),
        "margin": trial.user_attrs.get("margin"),
        "strategy": trial.params.get("strategy"),
        "negatives": trial.params.get("negatives"),
    }
    finished = trial.state == TrialState.COMPLETE
    return Trial(
        trial.number,
        trial.state.name.lower(),
        trial.value if finished else None,
        trial.user_attrs.get("epoch"),
        parameters,
        seconds,
    )


def _importance(study: optuna.Study, complete: list[FrozenTrial]) -> dict[str, float]:
    """PED-ANOVA's shares (Watanabe et al., IJCAI 2023); none where the trials are too few to say."""
    if len(complete) < 8:  # twice the number of parameters
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return {
        name: float(share)
        for name, share in optuna.importance.get_param_importances(study, evaluator=evaluator).items()
    }
