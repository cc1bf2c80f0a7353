"""Tuning: the given settings come first, a study goes on, and a bad trial ends nothing."""

import json
import shlex
import signal
import time
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from datasets import Dataset

from tests.running import Run
from tests.training.conftest import SETTINGS
from textrip import progress
from textrip.cli.tune import _mining
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError, MissingDependencyError, StorageError, TextripError
from textrip.mining.dense import DenseRanker
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.shares import with_fewer
from textrip.mining.triples import Triples
from textrip.training import plots
from textrip.training.names import STRATEGIES
from textrip.training.search_space import AS_GIVEN, Search
from textrip.training.settings import TrainSettings
from textrip.training.tune import Trial, Tuning, tune


@pytest.fixture
def triples(tiny_collection: Collection) -> Triples:
    return mine(tiny_collection, settings=MineSettings(negatives=3))


def test_the_settings_as_given_come_first_and_the_best_is_found(search: Callable[..., Tuning]) -> None:
    found = search()
    assert sorted(trial.number for trial in found.trials) == [0, 1, 2]
    first = next(trial for trial in found.trials if trial.number == 0)
    assert first.parameters["learning_rate"] == pytest.approx(4.8e-4)  # auto, for a width of 32
    assert first.parameters["negatives"] == 1
    assert first.parameters["strategy"] == AS_GIVEN
    scores = [trial.score for trial in found.trials if trial.score is not None]
    assert scores == sorted(scores, reverse=True)
    best = found.trials[0]
    assert found.settings.learning_rate == best.parameters["learning_rate"]
    assert found.settings.margin == best.parameters["margin"]
    assert found.settings.strategy in STRATEGIES  # what was chosen, and no auto
    assert found.negatives == best.parameters["negatives"]
    assert found.settings.epochs in {1, 2}


def test_a_study_goes_on_where_it_was_and_only_as_it_was_begun(
    search: Callable[..., Tuning], tmp_path: Path
) -> None:
    begun = search(trials=1)
    assert [trial.number for trial in begun.trials] == [0]
    gone_on = search(trials=2)
    assert sorted(trial.number for trial in gone_on.trials) == [0, 1]
    assert begun.trials[0] in gone_on.trials
    assert search(trials=2) == gone_on  # nothing more to do
    rates = {trial.parameters["learning_rate"] for trial in search(trials=3).trials}
    assert len(rates) == 3  # a sampler that began anew would propose the second one again
    with pytest.raises(MismatchError, match=r"was begun with another epochs \(2, now 5\) and another .*; a"):
        search(settings=TrainSettings(epochs=5))
    (tmp_path / "study" / "study.jsonl").unlink()
    with pytest.raises(InputError, match="exists and holds no study; name another place"):
        search()


def test_an_interruption_costs_the_trial_that_was_running(
    search: Callable[..., Tuning], remarks: list[str], tmp_path: Path
) -> None:
    measured, told = 0, list[Any]()

    def interrupted(_: Encoder) -> float:
        nonlocal measured
        measured += 1
        if measured == 5:  # three measurements a trial: in the second one
            raise KeyboardInterrupt
        return 0.1 * measured

    with pytest.raises(KeyboardInterrupt):
        search(evaluate_dev=interrupted, after_trial=lambda found: told.append(found.trials))
    assert [[trial.number for trial in trials] for trials in told] == [[0]]
    assert remarks[-1] == f"1 trial is kept in {tmp_path / 'study'}; the same command goes on with the study"
    finished = [trial for trial in search(evaluate_dev=lambda _: 0.2, trials=3).trials if trial.score]
    assert len(finished) == 3


@pytest.mark.parametrize("moment", ["told", "stored"])
def test_what_is_told_is_kept(
    moment: str, search: Callable[..., Tuning], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """A signal that comes while the library stores a trial, or while its line is written."""
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, heard))
    found: list[Any] = []
    tell = optuna.Study.tell

    def signalled(*given: Any, **how: Any) -> Any:
        if moment == "stored":
            signal.raise_signal(signal.SIGINT)
        return tell(*given, **how)

    def say(line: str) -> None:
        if moment == "told" and line.startswith("trial 0: dev"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(optuna.Study, "tell", signalled)
    with progress.reporting(bars=False, say=say), pytest.raises(KeyboardInterrupt):
        search(after_trial=found.append)
    assert [[trial.number for trial in tuning.trials] for tuning in found] == [[0]]
    monkeypatch.undo()
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append):
        search(trials=1)
    assert remarks == [f"1 trial is in {tmp_path / 'study'}"]


def test_an_interrupted_search_leaves_its_best_settings(
    textrip: Run, tiny_collection: Collection, write_beir: Any, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    options = ["--model", tiny_encoder_folder, "--epochs", 1, "--batch-queries", 8]
    with pytest.MonkeyPatch.context() as patch:
        trial = Search.trial

        def stops(self: Search, given: optuna.Trial) -> float:
            if given.number == 1:
                raise KeyboardInterrupt
            return trial(self, given)

        patch.setattr(Search, "trial", stops)
        done = textrip("tune", write_beir(tiny_collection, tmp_path / "data"), "-o", study, *options)
    assert done.code == 130
    assert done.err.splitlines()[-2:] == [
        f"1 trial is kept in {study}; the same command goes on with the study",
        "Interrupted: nothing is left half-written.",
    ]
    assert tomllib.loads((study / "best.toml").read_text())["train"]["strategy"]


def test_two_searches_in_one_folder_are_refused(search: Callable[..., Tuning]) -> None:
    """Each would count its own trials, and both propose the same."""

    def meanwhile(_: Encoder) -> float:
        with pytest.raises(StorageError, match="another process is searching there; wait for it"):
            search()
        return 0.5

    assert len(search(evaluate_dev=meanwhile, trials=1).trials) == 1


def test_the_first_trial_is_as_given_also_after_an_interruption_of_it(search: Callable[..., Tuning]) -> None:
    def interrupted(_: Encoder) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(evaluate_dev=interrupted)
    (trial,) = search(trials=1).trials
    assert trial.parameters["strategy"] == AS_GIVEN
    assert trial.parameters["learning_rate"] == pytest.approx(4.8e-4)


def test_a_trial_that_was_measured_for_the_last_time_is_not_thrown_away(
    search: Callable[..., Tuning],
) -> None:
    def slowly(_: Encoder) -> float:
        time.sleep(0.5)
        return 0.5

    (trial,) = search(settings=replace(SETTINGS, epochs=1), minutes=0.01, evaluate_dev=slowly).trials
    assert trial.state == "complete"


def test_a_trial_that_the_clock_ends_is_not_called_pruned(
    search: Callable[..., Tuning], remarks: list[str]
) -> None:
    search(trials=1)

    def slowly(_: Encoder) -> float:
        time.sleep(0.7)
        return 0.5

    complete, late = search(trials=2, minutes=0.01, evaluate_dev=slowly).trials
    assert (complete.state, late.state) == ("complete", "out of time")
    assert late.score is None
    assert any(remark.startswith("trial 1: out of time, learning_rate") for remark in remarks)


def test_what_no_trial_could_use_is_said_at_once(search: Callable[..., Tuning]) -> None:
    with pytest.raises(InputError, match=r"matryoshka is 512; .* has 32 dimensions"):
        search(settings=replace(SETTINGS, matryoshka=(512,)))
    with pytest.raises(InputError, match="loss is proxy-nca, which compares labels"):
        search(settings=replace(SETTINGS, loss="proxy-nca"))
    with pytest.raises(InputError, match="texts_per_label is 9, and nothing is trained by label"):
        search(settings=replace(SETTINGS, texts_per_label=9))


def test_a_rate_beyond_what_is_searched_is_the_first_all_the_same(search: Callable[..., Tuning]) -> None:
    (trial,) = search(settings=replace(SETTINGS, learning_rate=3e-3), trials=1).trials
    assert trial.parameters["learning_rate"] == pytest.approx(3e-3)


def test_a_trial_trains_with_the_negatives_and_the_margin_that_were_proposed(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, float]] = []

    def trained(_: Collection, given: Triples, *__: Any, margin_factor: float, **___: Any) -> dict[str, Any]:
        seen.append((max(len(group.negatives) for group in given.groups), margin_factor))
        dev = [{"epoch": epoch, "nDCG@10": 0.5} for epoch in (0.0, 1.0)]
        return {"dev": dev, "settings": {"margin": 0.1, "loss": "triplet", "strategy": "semi-hard"}}

    monkeypatch.setattr("textrip.training.search_space.train", trained)
    found = Search(tiny_collection, triples, lambda: tiny_encoder, lambda _: 0.5, SETTINGS, None)
    point = {"learning_rate": 1e-3, "strategy": "semi-hard", "margin_factor": 1.7, "negatives": 2}
    assert found.trial(optuna.trial.FixedTrial(point)) == 0.5  # type: ignore[arg-type]
    assert seen == [(2, 1.7)]


def test_a_study_goes_on_with_the_dev_that_it_was_begun_with(search: Callable[..., Tuning]) -> None:
    """Figures over other documents cannot be compared."""
    for _ in range(2):
        with pytest.raises(TextripError, match="no trial was finished: give more --minutes"):
            search(minutes=0.0, dev={"dev_documents": 30, "analyzer": None})
    with pytest.raises(MismatchError, match=r"was begun with another dev_documents \(30, now 60\); a"):
        search(minutes=0.0, dev={"dev_documents": 60, "analyzer": None})


def test_the_largest_seed_goes_on_too(search: Callable[..., Tuning]) -> None:
    largest = replace(SETTINGS, seed=2**32 - 1, epochs=1)
    assert len(search(settings=largest, trials=1).trials) == 1
    assert len(search(settings=largest, trials=2).trials) == 2


def test_where_every_trial_failed_the_last_one_says_why(search: Callable[..., Tuning]) -> None:
    def broken(_: Encoder) -> float:
        raise TextripError("out of memory with 8 queries a batch; lower --batch-queries")

    with pytest.raises(TextripError, match="no trial was finished; 2 failed, the last one so: out of memory"):
        search(evaluate_dev=broken, trials=2)


def test_a_margin_that_was_given_stays(search: Callable[..., Tuning]) -> None:
    found = search(settings=replace(SETTINGS, margin=0.2), trials=2)
    assert {trial.parameters["margin"] for trial in found.trials} == {0.2}


@pytest.mark.parametrize(("given", "ways"), [
    (TrainSettings(margin=0.0), {AS_GIVEN, "smooth", "smooth, in-batch"}),  # a hinge wants a margin above 0
    (TrainSettings(strategy="mined", batch_queries=1), {AS_GIVEN}),  # the others compare within a batch
    (SETTINGS, {AS_GIVEN, "smooth", "smooth, in-batch", "batch-hard", "semi-hard", "in-batch", "mixed"}),
])  # fmt: skip
def test_only_ways_that_what_was_given_allows_are_proposed(
    given: TrainSettings, ways: set[str], tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder
) -> None:
    found = Search(tiny_collection, triples, lambda: tiny_encoder, lambda _: 0.5, given, None)
    assert found.ways.keys() == ways


def test_a_temperature_is_of_the_ways_that_have_one(search: Callable[..., Tuning]) -> None:
    found = search(settings=replace(SETTINGS, loss="smooth", strategy="auto", temperature=0.1), trials=6)
    tried = {trial.parameters["strategy"] for trial in found.trials if trial.state != "fail"}
    assert tried & {"batch-hard", "semi-hard", "in-batch", "mixed"}  # their losses have none


def test_a_trial_that_fails_ends_no_search(search: Callable[..., Tuning]) -> None:
    measured = 0

    def broken_once(_: Encoder) -> float:
        nonlocal measured
        measured += 1
        if measured == 5:
            raise TextripError("out of memory")
        return 0.3

    found = search(evaluate_dev=broken_once)
    assert sorted(trial.state for trial in found.trials) == ["complete", "complete", "fail"]


def test_the_time_is_a_limit(search: Callable[..., Tuning]) -> None:
    with pytest.raises(Exception, match="no trial was finished: give more --minutes"):
        search(minutes=0.0)


def test_triples_without_negatives_are_refused(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    bare = replace(triples, groups=[replace(group, negatives=()) for group in triples.groups])
    with pytest.raises(InputError, match="the triples have no negatives"):
        tune(tiny_collection, bare, lambda: tiny_encoder, tmp_path / "s", evaluate_dev=lambda _: 0.0)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_a_table_and_leaves_a_config_that_trains(
    textrip: Run, tmp_path: Path, tiny_encoder_folder: Path, tiny_collection: Collection,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "tiny")
    common = [
        "--model", tiny_encoder_folder, "--epochs", 1, "--batch-queries", 8, "--trials", 2, "--skip", 1,
        "--plot",
    ]  # fmt: skip
    done = textrip("tune", data, "-o", tmp_path / "study", *common)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split()[:2] == ["trial", "state"]
    assert "Train with it: textrip train" in done.out
    assert "What mattered: too early to say, 2 of 8 trials are complete, each in " in done.out
    config = tmp_path / "study" / "best.toml"
    assert float(tomllib.loads(config.read_text())["train"]["margin"]) > 0
    for name in ("study.png", "study.html"):
        assert (tmp_path / "study" / name).stat().st_size > 1000
    again = textrip("tune", data, "-o", tmp_path / "study", *common, "--json")
    *rows, summary = again.json_lines()
    assert [row["trial"] for row in sorted(rows, key=lambda row: row["trial"])] == [0, 1]
    told = f"untuned {summary['untuned dev nDCG@10']:.4f}, best {summary['best dev nDCG@10']:.4f}"
    assert f"dev nDCG@10: {told}\n" in done.out
    assert f"Train with it: {summary['train with it']}\n" in done.out
    assert summary["better than untuned"] is not ("No trial was better" in done.out)
    assert summary["what mattered"] == {}
    other = textrip("tune", data, "-o", tmp_path / "study", *common, "--depth", 50)
    assert other.code == 2
    assert other.err == (  # before anything is read or mined
        f"Error: {tmp_path / 'study'} was begun with another depth (100, now 50); "
        "a study can only go on as it was begun\n"
    )
    given = ["--config", config, "--plot", "--json"]
    trained = textrip("train", data, "-o", tmp_path / "m", *given)
    (manifest,) = trained.json_lines()
    best = max((row for row in rows if row["dev nDCG@10"]), key=lambda row: row["dev nDCG@10"])
    assert manifest["settings"]["learning_rate"] == pytest.approx(best["learning_rate"])
    assert manifest["settings"]["margin"] == pytest.approx(best["margin"])
    assert manifest["base"]["name"] == str(tiny_encoder_folder)  # the one that was searched with
    assert manifest["data"]["mining"]["skip"] == 1
    page = (tmp_path / "m" / "training.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "m" / "training.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_that_tune_prints_reads_the_same_data(
    textrip: Run, tmp_path: Path, tiny_encoder_folder: Path, tiny_collection: Collection
) -> None:
    """It lacked the names of the columns, and was no command where a path has a blank."""
    data = tmp_path / "my pairs.jsonl"
    texts = dict(zip(tiny_collection.doc_ids, tiny_collection.texts, strict=True))
    pairs = [
        {"frage": tiny_collection.query_texts[query_id], "antwort": texts[doc_id]}
        for query_id, judged in tiny_collection.qrels["train"].items()
        for doc_id in judged
    ]
    data.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    options = ["--model", tiny_encoder_folder, "--epochs", 1, "--batch-queries", 8, "--trials", 1]
    named = ["--anchor-column", "frage", "--positive-column", "antwort"]
    done = textrip("tune", data, "-o", tmp_path / "my study", *options, *named)
    assert done.code == 0, done.err
    printed = shlex.split(done.out.splitlines()[-1].partition("Train with it: ")[2])
    assert printed[:2] == ["textrip", "train"]
    place = printed.index("model")
    trained = textrip(*printed[1:place], tmp_path / "model", *printed[place + 1 :], "--json", "--force")
    assert trained.code == 0, trained.err
    (manifest,) = trained.json_lines()
    assert manifest["data"]["collection"] == "my pairs"


def test_a_place_that_holds_something_else_is_refused_before_any_work(
    textrip: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textrip.data.formats.read", pytest.fail)  # a large corpus is read for minutes
    (tmp_path / "notes.txt").write_text("years of work")
    for place in (tmp_path / "notes.txt", tmp_path):
        done = textrip("tune", "stdlib", "-o", place, "--model", "no/such/model")
        assert done.code == 2
        assert f"{place} exists and holds no study; name another place" in done.err


def found(scores: list[float], margins: list[float], start: float = 0.4) -> Tuning:
    """What a search could have found."""
    rows = [
        Trial(number, "complete", score, 1.0, {"learning_rate": 1e-4 * (1 + number), "margin": margin,
              "strategy": AS_GIVEN, "negatives": 1 + number % 3}, 2.0)
        for number, (score, margin) in enumerate(zip(scores, margins, strict=True))
    ]  # fmt: skip
    return Tuning(rows, start, replace(SETTINGS, learning_rate=1e-4, margin=0.1, strategy="batch-all"), 1, {})


@pytest.mark.parametrize(("scores", "mattered", "worse"), [
    ([0.4] * 8, "nothing, all complete trials ended alike", True),
    ([0.3, 0.2], "too early to say, 2 of 8 trials are complete", True),
    ([0.5, 0.2], "too early to say, 2 of 8 trials are complete", False),
])  # fmt: skip
def test_the_command_says_where_nothing_was_gained(
    scores: list[float], mattered: str, worse: bool, textrip: Run, tmp_path: Path,
    tiny_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.jsonl").touch()
    monkeypatch.setattr(
        "textrip.pipeline.tune.tune", lambda *_args, **_how: found(scores, [0.1] * len(scores))
    )
    done = textrip("tune", "stdlib", "-o", tmp_path / "study", "--model", tiny_encoder_folder)
    assert done.code == 0, done.err
    assert f"What mattered: {mattered}" in done.out
    assert ("No trial was better than the untuned encoder" in done.out) == worse


@pytest.mark.parametrize(
    "margins", [[0.0] * 9, [0.0, 0.1, 0.2] * 3, [0.3 + 0.05 * n for n in range(9)], [0.1] * 9]
)
def test_margins_of_any_kind_are_drawn(margins: list[float], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.plot_study(found([0.5 - 0.01 * n for n in range(9)], margins), tmp_path)
    assert (tmp_path / "study.png").stat().st_size > 10_000


def test_what_stands_in_a_page_is_text(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    manifest = {
        "base": {"name": attack}, "data": {"collection": attack}, "stopped": attack, "dev": [],
        "kept_step": 0, "settings": asdict(TrainSettings(margin=0.1)),
    }  # fmt: skip
    plots.plot_training(manifest, [], tmp_path)
    assert "<script" not in (tmp_path / "training.html").read_text()


def test_a_plot_without_matplotlib_is_refused_before_any_work(
    textrip: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(
        MissingDependencyError, match=r"a plot needs the package matplotlib; .*textrip\[plot\]"
    ):
        plots.require_matplotlib()
    done = textrip("train", "nowhere", "-o", tmp_path / "m", "--plot")
    assert done.code == 2
    assert "a plot needs the package matplotlib" in done.err


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("how", [
    {}, {"random": 2}, {"sample": True}, {"sample": True, "random": 1, "positives": 2}, {"dense": 2},
    {"sample": True, "dense": 1, "random": 1, "positives": 2}, {"depth": 1, "random": 2, "dense": 1},
])  # fmt: skip
def test_the_best_trial_is_trained_on_the_negatives_that_it_had(
    sparse: bool, how: dict[str, Any], tiny_collection: Collection, tiny_encoder_folder: Path
) -> None:
    """A trial takes the first of those that were mined: they stood in the order of their ranks and ids.

    Where BM25 finds hardly anything, an encoder's and random ones do not take its share.
    """
    judged = {
        split: {query_id: {**docs, "d59": 1} for query_id, docs in part.items()}
        for split, part in tiny_collection.qrels.items()
    }
    texts = [f"q{row} {text}" if row % 3 else f"w{row} {text.split()[-1]}" for row, text in enumerate(
        tiny_collection.query_texts.values())] if not sparse else [
        f"nothing{row}" if row % 2 else f"{text.split()[-1]}" for row, text in enumerate(
        tiny_collection.query_texts.values())]  # fmt: skip
    queries = Dataset.from_dict({"query_id": list(tiny_collection.query_texts), "text": texts})
    collection = replace(tiny_collection, queries=queries, qrels=judged)
    if how.get("dense"):
        how = {**how, "dense_model": str(tiny_encoder_folder)}
    settings = MineSettings(negatives=4, seed=3, denoise="none", **how)
    dense = DenseRanker(Encoder.load(tiny_encoder_folder, device="cpu"), collection)
    mined = mine(collection, settings=settings, dense=dense if settings.dense else None)
    for negatives in (1, 2, 3):
        asked = MineSettings(negatives=negatives, seed=3, **_mining(settings, negatives))
        again = mine(collection, settings=asked, dense=dense if asked.dense else None)
        assert with_fewer(mined, negatives).groups == again.groups
