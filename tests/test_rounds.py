"""Rounds: later ones mine with what was tuned, and the round that is best on dev is kept."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.running import Run
from textrip import progress, replacing
from textrip import rounds as rounds_module
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.mining.verdicts import Verdicts
from textrip.pipeline.fit import fit
from textrip.pipeline.prepare import prepare
from textrip.pipeline.train import train
from textrip.retrieval.index import Index
from textrip.rounds import Rounds
from textrip.training.diagnosis import DivergedError
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.trainer import GroupTrainer

LEARN = TrainSettings(epochs=6, batch_queries=8, learning_rate=5e-3, seed=0)


def test_a_later_round_mines_with_the_tuned_encoder_and_the_best_is_kept(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mined: list[Any] = []

    def watched(*args: Any, **options: Any) -> Any:
        triples = mine(*args, **options)
        mined.append((options, triples))
        return triples

    monkeypatch.setattr(rounds_module, "mine", watched)
    out = tmp_path / "model"
    manifest = train(
        tiny_collection, out, model=tiny_encoder_folder, settings=LEARN, device="cpu", rounds=3,
        mining=MineSettings(negatives=4, denoise="none"), dense_share=0.25,
    )  # fmt: skip
    assert [entry["round"] for entry in manifest["rounds"]] == [1, 2, 3]
    scores = [entry["nDCG@10"] for entry in manifest["rounds"]]
    assert len(mined) == 2
    for options, triples in mined:
        assert options["settings"].dense == 1
        assert options["dense"].encoder.fingerprint != Encoder.load(tiny_encoder_folder).fingerprint
        sources = {negative.source for group in triples.groups for negative in group.negatives}
        assert sources == {"bm25", "dense"}
    assert max(entry["nDCG@10"] for entry in manifest["dev"]) == max(scores)
    assert json.loads((out / "manifest.json").read_text())["rounds"] == manifest["rounds"]
    assert Encoder.load(out).fingerprint == manifest["fingerprint"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_person_rejected_stays_out_of_later_rounds(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = prepare(tiny_collection)
    pairs = negative_pairs(mine(collection, settings=MineSettings(negatives=2)))
    verdicts = Verdicts(rejected=frozenset(pairs))
    triples = mine(collection, settings=MineSettings(negatives=2), verdicts=verdicts)
    triples.write(tmp_path / "t.parquet")
    mined: list[Triples] = []

    def watched(*args: Any, **options: Any) -> Triples:
        mined.append(mine(*args, **options))
        return mined[-1]

    monkeypatch.setattr(rounds_module, "mine", watched)
    train(
        collection, tmp_path / "model", triples=Triples.read(tmp_path / "t.parquet"), device="cpu", rounds=2,
        model=tiny_encoder_folder, settings=replace(LEARN, epochs=1),
        mining=MineSettings(negatives=2, denoise="none"),
    )  # fmt: skip
    (later,) = mined
    assert later.count
    assert not negative_pairs(later) & pairs


def test_later_rounds_say_how_they_mine_otherwise(tiny_collection: Collection, remarks: list[str]) -> None:
    german, skipping = Analyzer(stemmer="german"), MineSettings(negatives=6, skip=3)
    triples = mine(prepare(tiny_collection), settings=skipping, analyzer=german)
    Rounds(count=2, mining=MineSettings(negatives=6)).say_what_differs(triples, Analyzer())
    assert remarks.pop() == (
        "later rounds mine otherwise than the triples were mined: skip 0 (there 3), stemmer english (there "
        "german)"
    )
    Rounds(count=2, mining=skipping).say_what_differs(triples, german)
    assert not remarks


def test_a_round_without_negatives_of_bm25_has_no_window_of_its_scores() -> None:
    mining = MineSettings(negatives=2, most_score=0.9)
    assert Rounds(count=2, mining=mining).later("m").most_score == 0.9
    assert Rounds(count=2, mining=mining, dense_share=1).later("m").most_score == 1


@pytest.mark.parametrize(("negatives", "random", "share", "dense"), [
    (1, 0, 0.5, 1), (3, 0, 0.5, 2), (4, 0, 0.25, 1), (3, 1, 0.4, 1), (25, 0, 0.28, 7), (50, 0, 0.14, 7),
    (4, 0, 0.01, 1), (4, 3, 1, 1), (4, 0, 1, 4),
])  # fmt: skip
def test_the_share_of_dense_negatives_is_the_nearest_that_there_can_be(
    negatives: int, random: int, share: float, dense: int
) -> None:
    mining = MineSettings(negatives=negatives, random=random)
    assert Rounds(count=2, mining=mining, dense_share=share).later("m").dense == dense


def negative_pairs(triples: Triples) -> set[tuple[str, str]]:
    return {(group.query_id, negative.doc_id) for group in triples.groups for negative in group.negatives}


def test_fit_goes_in_rounds_and_indexes_with_the_best(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    done = fit(
        tiny_collection, tmp_path / "out", model=tiny_encoder_folder, settings=LEARN, device="cpu", rounds=2,
        mining=MineSettings(denoise="none"),
    )  # fmt: skip
    assert [entry["round"] for entry in done.manifest["rounds"]] == [1, 2]
    tuned = Encoder.load(tmp_path / "out" / "model", device="cpu")
    assert tuned.fingerprint == done.manifest["fingerprint"]
    with Index.open(tmp_path / "out" / "index") as index:
        built = index.about["encoder"]["fingerprint"]
        assert index.fusion.tuned_on == "tiny, split dev"
    base = Encoder.load(tiny_encoder_folder, device="cpu")
    assert built == (base if done.verdict == "REGRESSION" else tuned).fingerprint
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "index", "model", "report.json", "triples.parquet",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("figures", "kept"), [((0.5, 0.7, 0.6), 2), ((0.5, 0.4, 0.3), 1), ((0.5, 0.5, 0.9), 3)]
)
def test_only_a_better_round_takes_the_place(
    figures: tuple[float, ...], kept: int, tiny_collection: Collection, tiny_encoder_folder: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    said: list[str] = []
    left = list(figures)

    def trained(collection: Any, triples: Any, encoder: Encoder, output: Path, **options: Any) -> Any:
        encoder.save(output)
        score = left.pop(0)
        (Path(output) / "manifest.json").write_text("{}")
        return {
            "dev": [{"nDCG@10": 0.1}, {"nDCG@10": score}], "score": score, "data": {"triples": 1}
        }  # fmt: skip

    monkeypatch.setattr(rounds_module, "train", trained)
    with progress.reporting(bars=False, say=said.append):
        manifest = train(
            tiny_collection, tmp_path / "m", model=tiny_encoder_folder, settings=LEARN, rounds=3, device="cpu"
        )
    assert manifest["score"] == figures[kept - 1]
    assert sum("the best so far" in line for line in said) == {1: 0, 2: 1, 3: 1}[kept]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.fixture(scope="module")
def go(tiny_collection: Collection, tiny_encoder_folder: Path) -> Callable[..., dict[str, Any]]:
    def train_in_three(folder: Path, **more: Any) -> dict[str, Any]:
        return train(
            tiny_collection, folder, model=tiny_encoder_folder, device="cpu", rounds=3, checkpoint_minutes=0,
            settings=replace(LEARN, epochs=2, batch_queries=4),
            mining=MineSettings(negatives=2, denoise="none"), **more,
        )  # fmt: skip

    return train_in_three


@pytest.fixture(scope="module")
def whole(go: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of rounds that were not stopped."""
    return go(tmp_path_factory.mktemp("whole") / "model")


def without_time(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name not in {"seconds", "created"}}


@pytest.mark.parametrize(("number", "moment"), [
    (1, "training"), (2, "mining"), (3, "training"), (4, "end"),
])  # fmt: skip
def test_killed_in_any_round_and_resumed_it_ends_as_if_it_had_not_been(
    number: int, moment: str, whole: dict[str, Any], go: Callable[..., dict[str, Any]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    trained: list[str] = []
    mined: list[Any] = []

    said: list[str] = []
    with monkeypatch.context() as patch, progress.reporting(bars=False, say=said.append):
        training_step, replaced = GroupTrainer.training_step, replacing.replacing

        def step(self: GroupTrainer, *args: Any, **kwargs: Any) -> Any:
            trained.append(self.run.path.name)
            here = moment == "training" and trained[-1] == f"round-{number}.unfinished"
            if here and trained.count(trained[-1]) > 8:
                raise KeyboardInterrupt
            return training_step(self, *args, **kwargs)

        def mining(*args: Any, **options: Any) -> Any:
            mined.append(options)
            if moment == "mining" and len(mined) == number - 1:
                raise KeyboardInterrupt
            return mine(*args, **options)

        def write(path: Path, **options: Any) -> Any:
            if moment == "end" and path.name == "killed":
                raise KeyboardInterrupt
            return replaced(path, **options)

        patch.setattr(GroupTrainer, "training_step", step)
        patch.setattr(rounds_module, "mine", mining)
        patch.setattr(rounds_module, "replacing", write)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / "killed", request={"by": "a test"})
    assert not (tmp_path / "killed").exists()
    assert said.count(f"go on with: textrip train --resume {tmp_path}/killed.unfinished") == 1
    kept = [line for line in said if line.startswith("the best round so far on dev is kept: ")]
    assert len(kept) == (number > 1)
    trained.clear()
    resumed = go(tmp_path / "killed", resume=True)
    assert without_time(resumed) == without_time(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]
    assert json.loads((tmp_path / "killed" / "manifest.json").read_text()) == resumed


@pytest.mark.parametrize(("error", "goes_on"), [(DivergedError("not a number"), False), (OSError(), True)])
def test_only_what_can_go_on_is_told_how(
    error: Exception, goes_on: bool, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, remarks: list[str],
) -> None:  # fmt: skip
    """A second round that diverges would diverge again: the first is kept."""

    def trained(collection: Any, triples: Any, encoder: Encoder, output: Path, **options: Any) -> Any:
        if Path(output).name == "round-2":
            raise error
        encoder.save(output)
        (Path(output) / "manifest.json").write_text("{}")
        return {"dev": [{"nDCG@10": 0.5}], "data": {"triples": 1}}

    monkeypatch.setattr(rounds_module, "train", trained)
    with pytest.raises(type(error)):
        train(
            tiny_collection, tmp_path / "m", model=tiny_encoder_folder, settings=LEARN, rounds=2, device="cpu"
        )
    assert any(line.startswith("go on with") for line in remarks) is goes_on
    assert any(line.startswith("the best round so far on dev is kept") for line in remarks)


def test_a_run_on_another_disk_ends_all_the_same(
    whole: dict[str, Any], go: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def across(source: Any, target: Any) -> None:
        if Path(source).name == f"round-{kept}":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    scores = [entry["nDCG@10"] for entry in whole["rounds"]]
    kept = 1 + scores.index(max(scores))
    monkeypatch.setattr("shutil.os.rename", across)
    manifest = go(tmp_path / "m", run=RunFolder(tmp_path / "elsewhere"))
    assert manifest["fingerprint"] == whole["fingerprint"]
    assert Encoder.load(tmp_path / "m", device="cpu").fingerprint == whole["fingerprint"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_several_processes_are_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="rounds mine between trainings, in one process"):
        train("no-such-folder", tmp_path / "m", rounds=2)


def test_rounds_that_make_no_sense(
    tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="dense_share 0; at least 2 and a share above 0"):
        train(
            tiny_collection, tmp_path / "m", model=tiny_encoder, settings=LEARN, rounds=2, dense_share=0,
            device="cpu",
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_the_command_takes_rounds(
    textrip: Run, tiny_collection: Collection, write_beir: Any, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    data = write_beir(tiny_collection, tmp_path / "tiny")
    two = ["--rounds", 2, "--epochs", 1, "--json"]
    (manifest,) = textrip(
        "train", data, "-o", tmp_path / "m", "--model", tiny_encoder_folder, *two
    ).json_lines()
    assert [entry["round"] for entry in manifest["rounds"]] == [1, 2]
    refused = textrip(
        "train", data, "-o", tmp_path / "n", "--model", tiny_encoder_folder, "--rounds", 2, "--dense-share", 3
    )
    assert refused.code == 2
    assert "dense_share 3" in refused.err
    assert not (tmp_path / "n").exists()


def test_a_place_that_is_taken_at_the_end_costs_no_round(
    go: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree = shutil.copytree

    def meanwhile(source: Any, target: Any, *rest: Any, **how: Any) -> Any:
        if Path(target).suffix == ".tmp":
            (tmp_path / "m").mkdir()
        return copytree(source, target, *rest, **how)

    with monkeypatch.context() as patch, pytest.raises(InputError, match="by somebody else meanwhile"):
        patch.setattr("textrip.rounds.shutil.copytree", meanwhile)
        go(tmp_path / "m")
    assert {path.name for path in (tmp_path / "m.unfinished").glob("round-?")} == {
        "round-1", "round-2", "round-3",
    }  # fmt: skip
    (tmp_path / "m").rmdir()
    assert len(go(tmp_path / "m", resume=True)["rounds"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
