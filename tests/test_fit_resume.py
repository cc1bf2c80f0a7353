"""A fit that was stopped goes on: nothing is encoded, mined or trained twice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.stub import StubEncoder
from tests.running import stopped_at, without_export
from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError, StorageError, TextripError
from textrip.mining.settings import MineSettings
from textrip.pipeline.fit import Fit, fit
from textrip.pipeline.mined import mined as real_mined
from textrip.pipeline.train import train as real_train
from textrip.records import Document
from textrip.retrieval.index import Index
from textrip.training.diagnosis import DivergedError
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings

# Dev is measured over fewer documents than there are, so that nobody takes it for the corpus.
OPTIONS: dict[str, Any] = {
    "settings": TrainSettings(epochs=2, batch_queries=8, seed=3), "mining": MineSettings(seed=3),
    "dev_documents": 30, "device": "cpu",
}  # fmt: skip
MEASURING, MINING, TRAINING, TUNED, INDEXING = (
    "measuring BM25 and the untuned encoder on test", "mining", "training",
    "measuring the tuned encoder on test", "indexing",
)  # fmt: skip


class Stopped(BaseException):
    """As a signal would."""


def test_documents_that_go_with_the_index_of_a_former_fit_are_told_at_once(
    run: Callable[..., Fit], tiny_collection: Collection, tmp_path: Path, remarks: list[str]
) -> None:
    """They were added to it since, and are not in the data."""
    with Index.build(tiny_collection, StubEncoder(), tmp_path / "out" / "index", onnx=False) as index:
        index.add([Document("new", "", "zeppelin")])
    (tmp_path / "out" / "report.json").write_text('{"kind": "textrip-report"}')
    with pytest.raises(Stopped):
        run(tmp_path / "out", force=True, stage=stopping_at(MINING))
    assert any("1 document that the data lacks (new): gone with it" in remark for remark in remarks)


def stopping_at(stage: str) -> Callable[[str], None]:
    """For `stage`: stops where a stage begins."""

    def tell(name: str) -> None:
        if name == stage:
            raise Stopped

    return tell


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with without_export():
        yield


@pytest.fixture
def run(tiny_collection: Collection, tiny_encoder_folder: Path) -> Callable[..., Fit]:
    return partial(fit, tiny_collection, model=tiny_encoder_folder, **OPTIONS)


@pytest.fixture(scope="module")
def whole(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Fit:
    """One that was not stopped."""
    return fit(
        tiny_collection, tmp_path_factory.mktemp("whole") / "out", model=tiny_encoder_folder, **OPTIONS
    )


def figures(done: Fit) -> dict[str, Any]:
    """A report without what a clock says."""
    report = json.loads((done.folder / "report.json").read_text())
    rows = [{**row, "seconds": None} for row in report["rows"]]
    return {**report, "rows": rows, "provenance": None}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What costs: windows of texts that are encoded, mining and training."""
    done: list[str] = []
    encode, mined, train = Encoder._encode_window, real_mined, real_train

    def counted_encode(self: Encoder, texts: list[str], *rest: Any) -> Any:
        if len(texts) == 60:  # the corpus
            done.append("encoded")
        return encode(self, texts, *rest)

    def counted_mined(*given: Any, **how: Any) -> Any:
        done.append("mined")
        return mined(*given, **how)

    def counted_train(*given: Any, **how: Any) -> Any:
        done.append("trained")
        return train(*given, **how)

    monkeypatch.setattr(Encoder, "_encode_window", counted_encode)
    monkeypatch.setattr("textrip.pipeline.fit.mined", counted_mined)
    monkeypatch.setattr("textrip.pipeline.fit.train", counted_train)
    return done


@pytest.mark.parametrize("stage", [MINING, TRAINING, TUNED, INDEXING])
def test_stopped_at_a_stage_it_goes_on_there(
    stage: str, run: Callable[..., Fit], whole: Fit, work: list[str], tmp_path: Path
) -> None:
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append), pytest.raises(Stopped):
        run(tmp_path / "out", stage=stopping_at(stage))
    assert [path.name for path in tmp_path.iterdir()] == ["out.unfinished"]
    assert remarks[-1] == "go on with: textrip.fit with the same arguments and resume=True"
    done = run(tmp_path / "out", resume=True)
    assert work == ["encoded", "mined", "trained", "encoded"]  # each once, in the two together
    assert figures(done) == figures(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_stopped_in_training_it_ends_as_one_that_was_not(
    run: Callable[..., Fit], whole: Fit, tmp_path: Path
) -> None:
    with stopped_at(4, Stopped), pytest.raises(Stopped):  # the first epoch has 3
        run(tmp_path / "out")
    done = run(tmp_path / "out", resume=True)
    assert figures(done) == figures(whole)
    weights = [(each.folder / "model" / "model.safetensors").read_bytes() for each in (done, whole)]
    assert weights[0] == weights[1]


def test_a_full_disk_at_the_end_costs_no_training(
    run: Callable[..., Fit], whole: Fit, work: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: Any, **_how: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "build", full)
        with pytest.raises(StorageError, match="no space left on device"):
            run(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out.unfinished"]
    work.clear()
    run(tmp_path / "out", resume=True)
    assert work == []


def test_rounds_go_on_in_the_round_that_was_stopped(
    run: Callable[..., Fit], work: list[str], tmp_path: Path
) -> None:
    once = run(tmp_path / "once", rounds=2)
    remarks: list[str] = []
    begun = 0

    def tell(message: str) -> None:
        nonlocal begun
        begun += message.startswith("epoch 1:")
        remarks.append(message)
        if begun == 2:
            begun += 1
            raise Stopped

    with progress.reporting(bars=False, say=tell), pytest.raises(Stopped):
        run(tmp_path / "out", rounds=2)
    assert sum(remark.startswith("go on with: ") for remark in remarks) == 1
    assert (tmp_path / "out.unfinished" / "model.unfinished" / "round-1").is_dir()
    work.clear()
    assert figures(run(tmp_path / "out", rounds=2, resume=True)) == figures(once)
    assert work == ["trained", "encoded"]  # not the base's, nor what round 2 was mined with
    assert sorted(path.name for path in tmp_path.iterdir()) == ["once", "out"]


def test_before_anything_is_made_nothing_is_left(run: Callable[..., Fit], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "out", stage=stopping_at(MEASURING))
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_leaves_nothing(run: Callable[..., Fit], work: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="margin"):
        run(tmp_path / "out", settings=TrainSettings(margin=5.0, strategy="batch-hard", loss="triplet"))
    assert list(tmp_path.iterdir()) == []
    assert work == []  # before anything is encoded or mined


@pytest.mark.parametrize("command", [fit, real_train])
def test_a_disk_that_is_too_small_is_told_before_anything_is_encoded(
    command: Callable[..., Any], tiny_collection: Collection, tiny_encoder_folder: Path, work: list[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("textrip.training.run_folder.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match=r"has 0 MB left; the run needs \d+ MB"):
        command(tiny_collection, tmp_path / "out", model=tiny_encoder_folder, **OPTIONS)
    assert work == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damaged", ["triples.parquet", "model/manifest.json"])
def test_what_is_damaged_is_made_again(
    damaged: str, run: Callable[..., Fit], whole: Fit, work: list[str], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "out", stage=stopping_at(TUNED))
    path = tmp_path / "out.unfinished" / damaged
    path.write_bytes(path.read_bytes()[:-20])
    work.clear()
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append):
        done = run(tmp_path / "out", resume=True)
    assert figures(done) == figures(whole)
    again = "mined" if damaged.startswith("triples") else "trained"
    assert work == [again, "encoded"]
    assert any(remark.endswith(f": {again} again") for remark in remarks)


def test_triples_of_another_run_are_not_taken_for_its_own(
    run: Callable[..., Fit], whole: Fit, work: list[str], tmp_path: Path
) -> None:
    for name, mining in (("other", MineSettings(seed=3, negatives=2)), ("out", OPTIONS["mining"])):
        with pytest.raises(Stopped):
            run(tmp_path / name, stage=stopping_at(TRAINING), mining=mining)
    own, other = (tmp_path / f"{name}.unfinished" / "triples.parquet" for name in ("out", "other"))
    own.write_bytes(other.read_bytes())
    work.clear()
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append):
        done = run(tmp_path / "out", resume=True)
    assert work == ["mined", "trained", "encoded"]
    assert f"{own}: was mined from something else: mined again" in remarks
    assert figures(done) == figures(whole)


def test_resumed_and_stopped_again_before_it_trains_it_says_the_way_on(
    run: Callable[..., Fit], tmp_path: Path
) -> None:
    with stopped_at(4, Stopped), pytest.raises(Stopped):
        run(tmp_path / "out")
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append), pytest.raises(Stopped):
        run(tmp_path / "out", resume=True, stage=stopping_at(MEASURING))
    assert remarks[-1] == "go on with: textrip.fit with the same arguments and resume=True"
    assert (tmp_path / "out.unfinished" / "model.unfinished").is_dir()


def test_what_is_there_when_it_goes_on_is_not_replaced(run: Callable[..., Fit], tmp_path: Path) -> None:
    """It was killed after its last step, or somebody else wrote there."""
    with pytest.raises(Stopped):
        run(tmp_path / "out", stage=stopping_at(INDEXING))
    half_written = tmp_path / ".out.0123abcd.tmp"
    half_written.mkdir()
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"out exists: move it away, .* was to become, remove that$"):
        run(tmp_path / "out", resume=True)
    (tmp_path / "out").rmdir()
    run(tmp_path / "out", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_after_too_little_memory_other_settings_cost_no_second_encoding(
    run: Callable[..., Fit], work: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_given: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate")

    remarks: list[str] = []
    with monkeypatch.context() as patch, progress.reporting(bars=False, say=remarks.append):
        patch.setattr("textrip.training.train.Steps.take", too_large)
        with pytest.raises(TextripError, match="out of memory with 8 queries a batch"):
            run(tmp_path / "out")
    assert remarks[-1] == "ask again with other settings: what was encoded is not encoded again"
    work.clear()
    run(tmp_path / "out", settings=replace(OPTIONS["settings"], batch_queries=4))
    assert work == ["mined", "trained", "encoded"]


@pytest.mark.parametrize(("step", "force"), [(1, False), (4, True)])  # before and after the first epoch
def test_after_a_divergence_nothing_is_encoded_again(
    step: int, force: bool, run: Callable[..., Fit], work: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    remarks: list[str] = []
    lower = replace(OPTIONS["settings"], learning_rate=1e-4)
    scores = iter([0.1, 0.2])  # the weights after the first epoch are worth keeping
    with monkeypatch.context() as patch, progress.reporting(bars=False, say=remarks.append):
        patch.setattr("textrip.eval.dev.DevSearch.__call__", lambda *_: next(scores))
        with stopped_at(step, DivergedError("not a number")), pytest.raises(DivergedError):
            run(tmp_path / "out")
    forced = " and --force" if force else ""
    assert remarks[-1] == f"ask again with other settings{forced}: what was encoded is not encoded again"
    if force:
        best = tmp_path / "out.unfinished" / "model.unfinished" / "best-3"
        with pytest.raises(InputError, match=rf"ended \(not a number\), with the weights {best}; begin anew"):
            run(tmp_path / "out", settings=lower)
    work.clear()
    run(tmp_path / "out", settings=lower, force=force)
    assert work == ["mined", "trained", "encoded"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_differs_is_told_by_its_name(run: Callable[..., Fit], work: list[str], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "out", stage=stopping_at(TRAINING))
    before = sorted(tmp_path.rglob("*"))
    work.clear()
    others: list[tuple[dict[str, Any], str]] = [
        ({"mining": MineSettings(seed=3, negatives=2)}, r"negatives \(1, now 2\)"),
        ({"rounds": 2}, r"rounds \(1, now 2\)"),
        ({"dev_documents": 20}, r"dev_documents \(30, now 20\)"),
    ]  # fmt: skip
    for other, told in others:
        with pytest.raises(MismatchError, match=f"was begun with another {told}; a run can only go on"):
            run(tmp_path / "out", resume=True, **other)
    with pytest.raises(InputError, match=r"holds a run that was not finished; go on with textrip\.fit"):
        run(tmp_path / "out")
    assert work == []
    assert sorted(tmp_path.rglob("*")) == before
    assert run(tmp_path / "out", force=True).folder.is_dir()


def test_where_the_place_goes_with_the_process_no_way_on_is_told(
    run: Callable[..., Fit], tmp_path: Path
) -> None:
    remarks: list[str] = []
    passing = RunFolder.beside(tmp_path / "out", of="fit", passing=True)
    with (
        progress.reporting(bars=False, say=remarks.append),
        stopped_at(4, Stopped),
        pytest.raises(Stopped),
    ):
        run(tmp_path / "out", run=passing)
    assert not any("go on with" in remark or str(tmp_path) in remark for remark in remarks)
