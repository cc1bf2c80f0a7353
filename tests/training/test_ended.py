"""A run that would come to the same end again gives way to another, and costs no mining."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.running import stopped_at
from textrip.data.collection import Collection
from textrip.errors import InputError, TextripError
from textrip.pipeline.train import train
from textrip.training.diagnosis import DivergedError
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings

train_module = import_module("textrip.training.train")
SETTINGS = TrainSettings(epochs=2, batch_queries=8, learning_rate=1e-3)
DIVERGED = DivergedError("not a number")


@pytest.fixture
def given(tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "data": tiny_collection, "output": tmp_path / "m", "model": tiny_encoder_folder, "device": "cpu",
        "settings": SETTINGS,
    }  # fmt: skip


@pytest.mark.parametrize("error", [DIVERGED, InputError("no"), RuntimeError("CUDA out of memory")])
def test_what_was_mined_for_it_is_kept_and_gives_way(
    error: Exception, given: dict[str, Any], tmp_path: Path, remarks: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(*_given: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("textrip.training.train.survey", fail)
        with pytest.raises(TextripError):
            train(**given)
    left = RunFolder(tmp_path / "m.unfinished")
    assert remarks[-2:] == [
        f"no checkpoint was written yet; the triples are kept: {left.triples_file}",
        f"with other settings: textrip train {left.triples_file} --data DATA -o MODEL",
    ]
    assert left.ended is not None
    assert left.ended["kept"] is None
    train(**given, triples=left.triples())
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_weights_that_are_worth_keeping_are_not_removed_unasked(
    given: dict[str, Any], tmp_path: Path, remarks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    monkeypatch.setattr("textrip.eval.dev.DevSearch.__call__", lambda *_: next(scores))
    with stopped_at(4, DIVERGED), pytest.raises(DivergedError):
        train(**given)
    best = tmp_path / "m.unfinished" / "best-3"
    assert remarks[-1] == f"the best weights so far on dev are kept: {best}"
    assert not any(remark.startswith("go on with") for remark in remarks)
    with pytest.raises(InputError, match=rf"ended \(not a number\), with the weights {best}; begin"):
        train(**given)
    assert best.is_dir()
    train(**given, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("rounds", [1, 2])
def test_what_a_killed_process_wrote_half_is_removed_by_the_one_that_goes_on(
    rounds: int, given: dict[str, Any], tmp_path: Path
) -> None:
    with stopped_at(4), pytest.raises(KeyboardInterrupt):
        train(**given, rounds=rounds)
    (tmp_path / ".m.0123abcd.tmp").mkdir()
    train(**given, rounds=rounds, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_one_that_goes_on_all_the_same_has_not_ended(given: dict[str, Any], tmp_path: Path) -> None:
    """Who resumes it knows why."""
    with stopped_at(4, DIVERGED), pytest.raises(DivergedError):
        train(**given)
    folder = RunFolder(tmp_path / "m.unfinished")
    assert (folder.path / "ended.json").exists()
    with stopped_at(5), pytest.raises(KeyboardInterrupt):
        train(**given, resume=True)
    assert not (folder.path / "ended.json").exists()
    with pytest.raises(InputError, match="holds a run that was not finished; go on with"):
        train(**given)


def test_what_lies_there_alone_outlives_a_second_failure(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows the advice with the same output tries batch sizes until one fits."""

    def fail(*_given: object) -> None:
        raise RuntimeError("CUDA out of memory")

    left = RunFolder(tmp_path / "m.unfinished")
    with monkeypatch.context() as patch:
        patch.setattr("textrip.training.train.survey", fail)
        with pytest.raises(TextripError):
            train(**given)
        triples = left.triples()
        for _ in range(2):
            with pytest.raises(TextripError):
                train(**given, triples=left.triples())
            assert left.triples().fingerprint == triples.fingerprint


def test_what_has_checkpoints_is_gone_on_with_after_an_error_of_its_last_step(
    given: dict[str, Any], tmp_path: Path, remarks: list[str]
) -> None:
    """Its settings can be used: a place that was taken meanwhile is no reason to begin anew."""

    def taken(_: Any) -> float:
        (tmp_path / "m").mkdir(exist_ok=True)
        return 0.5

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrip.eval.dev.DevSearch.__call__", lambda _, encoder: taken(encoder))
        with pytest.raises(InputError, match="m exists; name another place"):
            train(**given)
    (tmp_path / "m").rmdir()
    assert any(remark.startswith("go on with") for remark in remarks)
    assert RunFolder(tmp_path / "m.unfinished").checkpoints
    train(**given, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_refusal_in_a_later_round_costs_no_round(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = train_module.survey

    def second_refused(*how: Any) -> Any:
        asked.append(how)
        if len(asked) == 2:
            raise InputError("no margin can be chosen")
        return real(*how)

    monkeypatch.setattr(train_module, "survey", second_refused)
    with pytest.raises(InputError, match="no margin"):
        train(**given, rounds=2)
    best = tmp_path / "m.unfinished" / "round-1"
    with pytest.raises(
        InputError, match=rf"ended \(no margin can be chosen\), with the weights {best}; begin"
    ):
        train(**given, rounds=2)
    assert best.is_dir()
