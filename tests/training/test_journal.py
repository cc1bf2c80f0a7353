"""A study on disk: what a kill or a full disk leaves of it, and what another process left."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from textrip.errors import DamagedError, StorageError
from textrip.training import tune as tune_module
from textrip.training.journal import load_study
from textrip.training.search_space import AS_GIVEN
from textrip.training.tune import Tuning, refuse_other

Search = Callable[..., Tuning]


def points(found: Tuning) -> list[int]:
    return sorted(trial.number for trial in found.trials)


@pytest.fixture
def journal(search: Search, tmp_path: Path) -> Path:
    """Of a study with two trials."""
    search(trials=2, evaluate_dev=lambda _: 0.5)
    return tmp_path / "study" / "study.jsonl"


@pytest.mark.timeout(120)
def test_a_lock_that_a_killed_process_left_is_none(
    journal: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna's is a link; relative, it led nowhere, and was waited for without end or pause."""
    (journal.parent / "study.jsonl.lock").symlink_to("study/study.jsonl")
    assert points(search(trials=3, evaluate_dev=lambda _: 0.5)) == [0, 1, 2]
    assert sorted(path.name for path in journal.parent.iterdir()) == [".lock", "study.jsonl"]


@pytest.mark.parametrize("left", [1, 20, 60])
def test_a_line_that_was_cut_off_is_left_out(
    left: int, journal: Path, search: Search, remarks: list[str]
) -> None:
    """The next one was written behind it, in the same line, and the study was lost."""
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":8,"worker_id":"1f6e-40","trial_id":0,"user_attr":{"best'[:left])
    assert points(search(trials=3, evaluate_dev=lambda _: 0.5)) == [0, 1, 2]
    assert f"{journal}: the last line, which was cut off as it was written, is left out" in remarks
    assert journal.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_damaged_line_is_told_with_its_number(journal: Path, search: Search) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], lines[1][:-9] + b"\n", *lines[2:]]))
    damaged = journal.read_bytes()
    for ask in (lambda: search(trials=3), lambda: refuse_other(journal.parent, {"x": 1})):
        with pytest.raises(DamagedError, match=r"study\.jsonl:2: is damaged; bring the file back"):
            ask()
    assert journal.read_bytes() == damaged


def test_a_full_disk_is_told_with_the_file_and_costs_one_trial(
    journal: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal.read_bytes()
    sync = os.fsync

    def full(handle: int) -> None:
        os.ftruncate(handle, os.fstat(handle).st_size - 7)  # it took a part
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"study\.jsonl: no space left on device"):
            search(trials=3, evaluate_dev=lambda _: 0.5)
    assert os.fsync is sync
    assert journal.read_bytes() == before
    assert points(search(trials=3, evaluate_dev=lambda _: 0.5)) == [0, 1, 2]


def test_trials_that_the_clock_ended_take_no_place(search: Search) -> None:
    """The settings as given were never tried where it ended the first one."""

    def slowly(_: Any) -> float:
        time.sleep(0.7)
        return 0.5

    with pytest.raises(Exception, match="no trial was finished: give more --minutes"):
        search(trials=1, minutes=0.01, evaluate_dev=slowly)
    (found, late) = search(trials=1, evaluate_dev=lambda _: 0.5).trials
    assert (found.state, late.state) == ("complete", "out of time")
    assert found.parameters["strategy"] == AS_GIVEN
    assert found.parameters["learning_rate"] == pytest.approx(4.8e-4)


def test_of_trials_that_ended_alike_nothing_mattered(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    study = load_study(tmp_path)
    for rate in range(1, 10):
        study.add_trial(
            optuna.trial.create_trial(
                params={"learning_rate": rate / 1e4},
                distributions={"learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-2)},
                value=1.0,
            )
        )
    assert tune_module._importance(study, study.trials) == {}
    study.add_trial(
        optuna.trial.create_trial(
            params={"learning_rate": 9e-3},
            distributions={"learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-2)},
            value=0.5,
        )
    )
    assert tune_module._importance(study, study.trials) == {"learning_rate": 1.0}
    assert not [warning for warning in recwarn if "quantile" in str(warning.message)]


@pytest.mark.parametrize(
    "line", ["3", "{}", '{"op_code": 9, "worker_id": "x"}', '{"op_code": 4, "worker_id": "x"}']
)
def test_a_line_of_something_else_is_damage(line: str, journal: Path) -> None:
    lines = journal.read_text().splitlines()
    journal.write_text("".join(f"{one}\n" for one in [*lines[:5], line, *lines[5:]]))
    with pytest.raises(
        DamagedError, match=r"study\.jsonl: holds what no search wrote .*; name another folder"
    ):
        load_study(journal.parent)


@pytest.mark.parametrize(("old", "new"), [
    ('"values":[0.5]', '"values":[NaN]'), ('"values":[0.5]', '"values":[Infinity]'),
    ('"loss"', '"lost"'), ('"epoch"', '"era"'), ('"margin"', '"margins"'), ('"start"', '"end"'),
])  # fmt: skip
def test_a_trial_that_no_search_left_is_damage(old: str, new: str, journal: Path, search: Search) -> None:
    text = journal.read_text()
    assert old in text
    journal.write_text(text.replace(old, new))
    with pytest.raises(DamagedError, match=r"study\.jsonl: trial \d is not one that a search left"):
        search(trials=3, evaluate_dev=lambda _: 0.5)
