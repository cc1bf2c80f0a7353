"""Tuning: a search over rate, margin, strategy and negatives, judged by the dev split alone.

Optuna's tree-structured Parzen estimator (Akiba et al., KDD 2019, arXiv 1907.10902) proposes; a trial that is
worse than the median of the others after the same epoch is pruned. The study lies on disk after every trial:
the same command goes on with it.
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from textrip.alone import holding
from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.encoding.encoder import Encoder
from textrip.errors import DamagedError, InputError, TextripError
from textrip.files import as_json
from textrip.interrupt import deferring
from textrip.mining.triples import Triples
from textrip.place import place_of, require_utf8
from textrip.progress import say
from textrip.replacing import storage_errors
from textrip.training.begun import require_same
from textrip.training.dev import DevEvaluation
from textrip.training.journal import JOURNAL, load_study
from textrip.training.search_space import ERROR, LATE, FailedError, Search
from textrip.training.settings import TrainSettings
from textrip.typed import require_whole
from textrip.writable import refuse_existing

_HELD = "another process is searching there; wait for it, or name another place"
# Where optuna notes of a trial that its point was given and not drawn: here of the first one alone.
_GIVEN = "fixed_params"
# Where the best epoch lies within the trial's warm-up, the rate rises to the end.
_MOST_WARMUP = 0.999


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


# Complete trials to say what mattered: twice the number of parameters.
ENOUGH = 8


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes:
        trials: Every one, the best first; pruned and failed ones last.
        start: Dev nDCG@10 of the untuned encoder.
        settings: The best trial's up to its best epoch, without an auto.
        negatives: The best trial's number of mined negatives.
        importance: By parameter the share of the variance that it explains; empty with too few trials, and
            where there is none, as all ended alike.
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
    dev: dict[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
    after_trial: Callable[[Tuning], None] | None = None,
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
        trials: How many trainings there are to be in the end, those of earlier calls included, but not those
            that the clock ended.
        minutes: No trial begins after so much time, and one that runs then ends at its next measurement (or
            is kept, where that is its last).
        dev: What `evaluate_dev` measures over; a study goes on with the same alone.
        asked: Kept with the study, as JSON: what `refuse_other` compares before there are triples.
        after_trial: Told what is found so far, once a trial was complete, after each one.

    Raises:
        InputError: the folder holds something else; the settings cannot be used.
        MismatchError: the study was begun with other data, another base, other settings or another dev.
        StorageError: another process searches in the folder, or the disk refused.
    """
    require_whole("trials", trials, least=1)
    settings = settings or TrainSettings()
    folder = Path(folder)
    refuse_other(folder)
    search = Search(collection, triples, load_encoder, evaluate_dev, settings, minutes, dev or {})
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with holding(folder, _HELD):
        study = _open(folder, search, asked)
        done = [trial for trial in _ended(study) if not trial.user_attrs.get(LATE)]
        waiting = study.get_trials(states=(TrialState.WAITING,))
        if not any(_GIVEN in trial.system_attrs for trial in (*done, *waiting)):
            study.enqueue_trial(search.given())

        told = len(_ended(study))

        def tell() -> None:
            nonlocal told
            known = len(_ended(study))
            complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if after_trial is not None and known > told and complete:
                after_trial(_result(study, search))
            told = known  # not before: who is interrupted in it is told again

        end = math.inf if minutes is None else time.monotonic() + minutes * 60
        try:
            for _ in range(trials - len(done)):
                if time.monotonic() >= end:
                    break
                _take_trial(study, search)
                tell()
        except KeyboardInterrupt:
            tell()
            _say_what_is_there(study, folder, "kept in", "; the same command goes on with the study")
            raise
        return _result(study, search)


def _take_trial(study: optuna.Study, search: Search) -> None:
    """One trial, from its point to what the study keeps of it.

    The library's own loop makes an error of its own of a signal that comes while it stores a trial, which
    is lost then.
    """
    trial = study.ask()
    value: float | None = None
    state = TrialState.FAIL
    try:
        value, state = search.trial(trial), TrialState.COMPLETE
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except FailedError:  # a diverged training is a bad trial, and no end of the search
        pass
    finally:
        with deferring():
            study.tell(trial, value, state=state)
            search.say_how_it_went(trial, value)


def refuse_other(folder: str | Path, asked: dict[str, Any] | None = None) -> None:
    """Raise InputError where a folder holds anything but a study as it is asked for, or could not hold one.

    Args:
        folder: Where a study is to go on or to begin.
        asked: Of what `tune` is given under this name, or of a search's identity, what is known already.

    Raises:
        InputError: it holds something else, or cannot be made.
        MismatchError: the study was begun with something else.
        StorageError: another process searches there.
    """
    folder = Path(folder)
    require_utf8(place_of(folder))
    if not folder.exists():
        refuse_existing(folder, force=False)
        return
    if not (folder / JOURNAL).is_file():
        raise InputError(f"{folder} exists and holds no study; name another place")
    with holding(folder, _HELD):
        if asked is None:
            return
        kept = load_study(folder).user_attrs
        begun = {**(kept.get("identity") or {}), **(kept.get("asked") or {})}
        if begun:
            require_same(begun, as_json(asked), place=folder, kind="study")


def _open(folder: Path, search: Search, asked: dict[str, Any] | None) -> optuna.Study:
    study = load_study(folder)
    _require_sound(study, folder / JOURNAL)
    # A sampler begins where its seed says: of a study that goes on it is not to propose the same again.
    seed = (search.settings.seed + len(study.trials)) % 2**32  # what the library's generator takes
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    identity = as_json(search.identity())
    begun = study.user_attrs.get("identity")
    if begun is None:
        study.set_user_attr("identity", identity)
        study.set_user_attr("asked", asked)
        say(f"a new study in {folder}")
    else:
        require_same(begun, identity, place=folder, kind="study")
        _say_what_is_there(study, folder, "in")
    return study


def _say_what_is_there(study: optuna.Study, folder: Path, where: str, then: str = "") -> None:
    say(f"{many(len(_ended(study)), 'trial is', 'trials are')} {where} {folder}{then}")


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end of their own: not those that an interruption cut off."""
    return [
        trial
        for trial in study.trials
        if trial.state in {TrialState.COMPLETE, TrialState.PRUNED} or ERROR in trial.user_attrs
    ]


def _require_sound(study: optuna.Study, path: Path) -> None:
    """Raise DamagedError for a trial that a search did not leave so."""
    for trial in study.trials:
        if trial.state != TrialState.COMPLETE:
            continue
        about = trial.user_attrs
        numbers = [trial.value, *map(about.get, ("margin", "start", "epoch"))]
        numbers += [trial.params.get(name) for name in ("learning_rate", "negatives")]
        names = [about.get("loss"), about.get("strategy")]
        if (
            all(isinstance(value, int | float) and math.isfinite(value) for value in numbers)
            and all(isinstance(name, str) for name in names)
            and about["epoch"] > 0
        ):
            continue
        raise DamagedError(
            f"{path}: trial {trial.number} is not one that a search left: the file is damaged; name another "
            "folder"
        )


def _result(study: optuna.Study, search: Search) -> Tuning:
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if not complete:
        failed = [trial.user_attrs[ERROR] for trial in study.trials if ERROR in trial.user_attrs]
        if failed:
            raise TextripError(f"no trial was finished; {len(failed)} failed, the last one so: {failed[-1]}")
        raise TextripError("no trial was finished: give more --minutes, or fewer --epochs")
    best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
    ended = sorted(
        _ended(study),
        key=lambda trial: (trial.state != TrialState.COMPLETE, -(trial.value or 0.0), trial.number),
    )
    settings = replace(
        search.settings_of(best.user_attrs["loss"], best.user_attrs["strategy"]),
        learning_rate=best.params["learning_rate"],
        margin=best.user_attrs["margin"],
    )
    return Tuning(
        [_row(trial) for trial in ended],
        best.user_attrs["start"],
        _up_to(best.user_attrs["epoch"], settings),
        best.params["negatives"],
        _importance(study, complete),
    )


def _up_to(epoch: float, settings: TrainSettings) -> TrainSettings:
    """Settings that take a trial's steps again, up to the epoch that was its best.

    The warm-up is a share of all steps: of fewer it has to be a larger one. A rate that falls to 0 in the end
    would fall faster, so that with one only a training of the trial's length passes its best epoch.
    """
    if settings.schedule == "linear":
        return settings
    assert settings.epochs != "auto"
    epochs = _down(epoch)
    share = min(settings.warmup_share * settings.epochs / epochs, _MOST_WARMUP)
    return replace(settings, epochs=epochs, warmup_share=float(f"{share:.6g}"))


def _down(epoch: float) -> float:
    """With 6 digits, rounded down: times the steps of an epoch it is to be no step more."""
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
        "out of time" if trial.user_attrs.get(LATE) else trial.state.name.lower(),
        trial.value if finished else None,
        trial.user_attrs.get("epoch"),
        parameters,
        seconds,
    )


def _importance(study: optuna.Study, complete: list[FrozenTrial]) -> dict[str, float]:
    """PED-ANOVA's shares (Watanabe et al., IJCAI 2023); none where the trials are too few, or all alike."""
    values = {trial.value for trial in complete}
    if len(complete) < ENOUGH or len(values) == 1:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    with warnings.catch_warnings():  # of few trials that are alike it says that to itself
        warnings.simplefilter("ignore", UserWarning)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}
