"""A run that was killed goes on where it was, and ends with the weights of one that was not."""

import contextlib
import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.running import stopped_at
from textrip import interrupt, progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError, StorageError, TextripError
from textrip.mining.mine import mine
from textrip.mining.triples import Triples
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.train import _memory_errors, train
from textrip.training.trainer import GroupTrainer

# Dropout on: its random state has to be restored too.
SETTINGS = TrainSettings(epochs=3, batch_queries=4, learning_rate=1e-3, dropout=True, seed=5)
STEPS_AN_EPOCH = 6


@pytest.fixture
def triples(tiny_collection: Collection) -> Triples:
    return mine(tiny_collection)


def dev(encoder: Encoder) -> float:
    """A measure that depends on the weights, so that a wrong resume shows."""
    return round(float(encoder.encode(["rose tulip"])[0, 0]), 6)


class Killed(BaseException):
    """What stops a run in the middle, as a signal would."""


@pytest.fixture
def run(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> Callable[..., dict[str, object]]:
    return partial(go, tiny_collection, triples, tiny_encoder_folder, tmp_path)


def go(
    collection: Collection, triples: Triples, encoder_folder: Path, folder: Path, name: str, **options: object
) -> dict[str, object]:
    encoder = Encoder.load(encoder_folder, device="cpu")
    return train(
        collection, triples, encoder, folder / name, evaluate_dev=dev,
        **{"settings": SETTINGS, "checkpoint_minutes": 0, **options},  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """The manifest of a run that was not stopped."""
    folder = tmp_path_factory.mktemp("whole")
    return go(tiny_collection, mine(tiny_collection), tiny_encoder_folder, folder, "whole")


def without_time(manifest: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in manifest.items() if name not in {"seconds", "created"}}


@pytest.mark.parametrize("step", [1, 5, 6, 7, 11, 13, 17])
def test_killed_at_a_step_and_resumed_it_ends_as_if_it_had_not_been(
    step: int,
    run: Callable[..., dict[str, object]],
    whole: dict[str, object],
    tmp_path: Path,
) -> None:
    with stopped_at(step, Killed), pytest.raises(Killed):
        run("killed")
    assert not (tmp_path / "killed").exists()
    resumed = run("killed", resume=True)
    assert without_time(resumed) == without_time(whole)
    assert not (tmp_path / "killed.unfinished").exists()


@pytest.mark.parametrize("step", [6, 13])
def test_adapters_go_on_too(step: int, run: Callable[..., dict[str, object]]) -> None:
    settings = replace(SETTINGS, lora_rank=2, learning_rate=5e-3)
    whole = run("whole", settings=settings)
    stop_at(run, step, settings=settings)
    assert without_time(run("killed", resume=True, settings=settings)) == without_time(whole)


def test_killed_inside_the_saving_of_a_checkpoint(
    run: Callable[..., dict[str, object]],
    whole: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        save = GroupTrainer._save_optimizer_and_scheduler

        def die(self: GroupTrainer, folder: str) -> None:
            if self.state.global_step == 9:
                Path(folder, "optimizer.pt").write_bytes(b"half")
                raise Killed
            save(self, folder)

        patch.setattr(GroupTrainer, "_save_optimizer_and_scheduler", die)
        with pytest.raises(Killed):
            run("killed")
    assert [path.name for path in RunFolder(tmp_path / "killed.unfinished").checkpoints.complete()] == [
        "checkpoint-8", "checkpoint-7",
    ]  # fmt: skip
    assert without_time(run("killed", resume=True)) == without_time(whole)


@pytest.mark.parametrize("name", ["optimizer.pt", "weights.safetensors", "checkpoint.json", "rng_state.pth"])
def test_a_damaged_checkpoint_is_passed_over(
    name: str, run: Callable[..., dict[str, object]], whole: dict[str, object], tmp_path: Path
) -> None:
    stop_at(run, 10)
    newest = RunFolder(tmp_path / "killed.unfinished").checkpoints.complete()[0]
    damaged = bytearray((newest / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (newest / name).write_bytes(damaged)
    assert without_time(run("killed", resume=True)) == without_time(whole)


def stop_at(run: Callable[..., dict[str, object]], step: int, **options: object) -> None:
    with stopped_at(step, Killed), pytest.raises(Killed):
        run("killed", **options)


def test_a_run_is_not_resumed_with_something_else_and_not_begun_over_another(
    run: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    stop_at(run, 10)
    with pytest.raises(MismatchError, match=r"was begun with another .*seed \(5, now 6\); a run can only"):
        run("killed", resume=True, settings=TrainSettings(epochs=3, batch_queries=4, seed=6))
    with pytest.raises(
        InputError, match=r"holds a run that was not finished; go on with textrip\.train with the same"
    ):
        run("killed")
    assert run("killed", force=True)["steps"] == 3 * STEPS_AN_EPOCH
    with pytest.raises(
        InputError, match=r"no such folder; --resume takes OUTPUT\.unfinished of a stopped run"
    ):
        run("other", resume=True)


def test_what_is_left_of_a_stopped_run_is_its_newest_checkpoints_and_its_best_weights(
    run: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    stop_at(run, 13)
    folder = RunFolder(tmp_path / "killed.unfinished")
    assert [path.name for path in folder.checkpoints.complete()] == ["checkpoint-13", "checkpoint-12"]
    entries = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [10]
    kept = list(folder.path.glob("best-*"))
    assert kept
    for best in kept:
        assert SentenceTransformer(str(best), device="cpu").encode("rose").shape == (32,)


@pytest.mark.parametrize("step", [0, 4])
def test_a_run_that_is_stopped_before_its_first_checkpoint_keeps_its_triples_and_goes_on(
    step: int, run: Callable[..., dict[str, object]], whole: dict[str, object], tmp_path: Path
) -> None:
    """In the survey, too: what was mined may have taken an hour."""
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append):
        stop_at(run, step, checkpoint_minutes=60)
    folder = tmp_path / "killed.unfinished"
    assert list(tmp_path.iterdir()) == [folder]
    assert remarks[-2:] == [
        f"no checkpoint was written yet; the triples are kept: {folder}/triples.parquet",
        "go on with: textrip.train with the same arguments and resume=True",
    ]
    assert without_time(run("killed", resume=True)) == without_time(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]


def test_stopped_while_the_margin_is_chosen_the_triples_are_kept(
    run: Callable[..., dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_given: object) -> None:
        raise Killed

    monkeypatch.setattr("textrip.training.train.survey", stop)
    with pytest.raises(Killed):
        run("killed")
    assert (tmp_path / "killed.unfinished" / "triples.parquet").is_file()


@pytest.mark.parametrize(("mined", "left"), [(False, []), (True, ["killed.unfinished"])])
def test_after_an_error_triples_are_kept_that_lie_nowhere_else(
    mined: bool, left: list[str], run: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    """Who trains on a file of triples may name it again, with other options and without --force."""
    folder = RunFolder.beside(tmp_path / "killed")
    folder.mined = mined
    with stopped_at(2, OSError), pytest.raises(OSError):
        run("killed", run=folder, checkpoint_minutes=60)
    assert [path.name for path in tmp_path.iterdir()] == left
    if mined:  # and a second error does not take them away
        with stopped_at(2, OSError), pytest.raises(OSError):
            run("killed", run=RunFolder.beside(tmp_path / "killed"), checkpoint_minutes=60, resume=True)
        assert folder.has_triples


def test_a_full_disk_is_said_before_any_step(
    run: Callable[..., dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("textrip.training.run_folder.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match=r"has 0 MB left; the run needs \d+ MB for checkpoints"):
        run("m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_out_of_memory_says_which_option_lowers_it(
    error: Exception, run: Callable[..., dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(GroupTrainer, "training_step", fail)
    with pytest.raises(Exception, match="out of memory with 4 queries a batch; lower --batch-queries"):
        run("m")
    assert list(tmp_path.iterdir()) == []


def test_what_failed_late_is_kept_where_a_checkpoint_is(
    run: Callable[..., dict[str, object]], whole: dict[str, object], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    said: list[str] = []
    with monkeypatch.context() as patch, progress.reporting(bars=False, say=said.append):
        training_step = GroupTrainer.training_step

        def fail(self: GroupTrainer, *args: object, **kwargs: object) -> object:
            if self.state.global_step == 5:  # before dev was measured for the first time
                raise MemoryError
            return training_step(self, *args, **kwargs)

        patch.setattr(GroupTrainer, "training_step", fail)
        with pytest.raises(TextripError, match="out of memory"):
            run("killed")
    assert "go on with: textrip.train with the same arguments and resume=True" in said
    assert without_time(run("killed", resume=True)) == without_time(whole)


def test_a_base_is_the_same_by_whatever_path_it_was_loaded(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., dict[str, object]],
) -> None:  # fmt: skip
    settings = replace(SETTINGS, max_length_tokens=16, document_prompt="text: ")
    stop_at(run, 10, settings=settings)
    shutil.copytree(tiny_encoder_folder, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    resumed = train(
        tiny_collection, triples, Encoder.load("base", device="cpu"), "killed", evaluate_dev=dev,
        settings=settings, resume=True,
    )  # fmt: skip
    assert resumed["steps"] == 3 * STEPS_AN_EPOCH


def test_an_interrupt_that_a_library_dropped_comes_back_at_the_end_of_the_step(
    run: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    training_step = GroupTrainer.training_step

    def drop(self: GroupTrainer, *args: object, **kwargs: object) -> object:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(GroupTrainer, "training_step", drop)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        interrupt.listen()
        with pytest.raises(interrupt.Terminated):
            run("m")
    finally:
        interrupt.listen()  # forgets what was asked
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(("options", "advice"), [
    ({}, "lower --batch-queries, --max-length-tokens or --negatives, or set --cache-tokens 4096"),
    ({"cache_tokens": 2048}, "lower --cache-tokens, which is 2,048, or --max-length-tokens"),
    ({"gradient_checkpointing": True}, "lower --batch-queries, --max-length-tokens or --negatives"),
])  # fmt: skip
def test_too_little_memory_is_told_what_helps_and_is_not_in_use(options: dict[str, Any], advice: str) -> None:
    settings = TrainSettings(**options)
    with pytest.raises(TextripError) as told, _memory_errors(settings):
        raise MemoryError
    assert str(told.value) == f"out of memory with 16 queries a batch; {advice}"


def test_a_run_that_was_begun_anew_meanwhile_is_not_gone_on_with(
    run: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what was asked and the first step the folder is not held yet."""
    stop_at(run, 13)
    refuse_held = RunFolder.refuse_held

    def meanwhile(self: RunFolder) -> None:
        monkeypatch.setattr(RunFolder, "refuse_held", refuse_held)
        stop_at(run, 8, settings=replace(SETTINGS, seed=77), force=True)
        self.refuse_held()

    monkeypatch.setattr(RunFolder, "refuse_held", meanwhile)
    with pytest.raises(MismatchError, match=r"was begun with another seed \(77, now 5\)"):
        run("killed", resume=True)


def test_another_training_in_the_folder_of_a_run_is_refused(
    run: Callable[..., dict[str, object]], whole: dict[str, object], tmp_path: Path
) -> None:
    """Of the same process, too; the one that holds the folder loses nothing, and lets go of it."""
    stop_at(run, 7)
    folder = RunFolder(tmp_path / "killed.unfinished")
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    with folder.held({}, resume=True):
        for options in ({"resume": True}, {"force": True}):
            with pytest.raises(StorageError, match="another process is training there"):
                run("killed", **options)
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before
    assert without_time(run("killed", resume=True)) == without_time(whole)
