"""The comparison of strategies: every system really trains, on the same budget, and a stopped one goes on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from textrip import progress
from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.errors import DamagedError, StorageError
from textrip.eval.peers import strategies
from textrip.eval.peers.contenders import epochs_of, measure, subject_of
from textrip.eval.peers.strategies import compare, read_results, rows, table
from textrip.eval.peers.systems import AS_IT_COMES, LIBRARY, OURS, RANKING, SYSTEMS, UNTUNED, Case
from textrip.training.names import LOSSES, OF_PROXIES, STRATEGIES


@pytest.fixture
def case(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> Case:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "tiny")
    return Case(str(data), str(tiny_encoder_folder), 2.0, None, 24, 4, 1e-3, "cpu")


def test_every_loss_and_every_strategy_is_compared() -> None:
    settings = [options for _, options in OURS.values()]
    assert {options.get("strategy") for options in settings} >= set(STRATEGIES)
    assert {options.get("loss", "triplet") for options in settings} >= set(LOSSES) - set(OF_PROXIES)
    assert set(SYSTEMS) == {UNTUNED, *OURS, *LIBRARY}


@pytest.mark.parametrize("system", [
    RANKING, f"{RANKING}, without mined", "TripletLoss", "TripletLoss at its defaults",
    "batch-hard", "in-batch", f"{AS_IT_COMES}, by positive, weighted", f"{AS_IT_COMES}, a document once",
])  # fmt: skip
def test_every_system_trains_and_keeps_to_the_budget(system: str, case: Case) -> None:
    found = measure(system, 0, case)
    queries = 24  # of the tiny collection's train
    budget = 3 * queries * case.epochs
    # A text that two queries of a batch share is encoded once by ours, and avoided by NO_DUPLICATES.
    assert 0.6 * budget <= found["encodings"] <= budget
    assert found["queries"].keys() == {f"q{number}" for number in range(32, 40)}
    assert found["nDCG@10"] != measure(UNTUNED, 0, case)["nDCG@10"]


def test_held_out_queries_are_of_train_and_dev_and_test_is_left_alone(case: Case) -> None:
    held_out = replace(case, held_out=0.25)
    before, after = subject_of(case), subject_of(held_out)
    known = before.qrels["train"].keys() | before.qrels["dev"].keys()
    measured = after.qrels["test"].keys()
    assert len(measured) == round(0.25 * len(known))
    assert measured < known
    assert known == after.qrels["train"].keys() | after.qrels["dev"].keys() | measured
    found = measure(UNTUNED, 0, held_out)
    assert found["queries"].keys() == measured
    made = list(rows(held_out, {(UNTUNED, 0): found}, systems=[UNTUNED], seeds=[0]))
    assert table(made).startswith("| held out nDCG@10 | tiny |")


def test_what_test_asks_is_not_trained_on(case: Case) -> None:
    folder = Path(case.data)
    with (folder / "queries.jsonl").open("a") as lines:
        words = read(folder).query_texts["q39"].split()
        lines.write(json.dumps({"_id": "copy", "text": " ".join(reversed(words)).upper()}) + "\n")
    with (folder / "qrels" / "train.tsv").open("a") as lines:
        lines.write("copy\td39\t1\n")
    collection = subject_of(case)
    assert "q39" in collection.qrels["test"]
    assert "copy" not in collection.qrels["train"]


def test_as_it_comes_looks_at_dev_and_the_others_do_not(case: Case) -> None:
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        measure("batch-hard", 0, case)
        assert not any("dev nDCG@10" in remark for remark in said)
        measure(AS_IT_COMES, 0, case)
    assert any("dev nDCG@10" in remark for remark in said)


def test_the_rate_auto_is_the_one_that_training_takes(case: Case) -> None:
    """Of this encoder, 32 wide: 4e-5 * 384 / 32."""
    found = [measure(RANKING, 0, replace(case, learning_rate=rate)) for rate in ("auto", 4.8e-4, 1e-5)]
    assert found[0]["nDCG@10"] == found[1]["nDCG@10"] != found[2]["nDCG@10"]


def test_a_budget_of_encodings_gives_more_steps_to_who_encodes_less() -> None:
    assert epochs_of(1, 3) == 1
    assert epochs_of(1, 2) == 1.5


def test_a_comparison_that_was_stopped_goes_on(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here, and not in a process for each system, which is tests/eval/test_apart.py's.
    monkeypatch.setattr(strategies, "apart", lambda function, *arguments: function(*arguments))
    folder = tmp_path / "found"
    compare(case, systems=[UNTUNED, RANKING], seeds=[0], folder=folder)
    path = folder / "tiny.jsonl"
    before = path.read_text()
    found = compare(case, systems=[UNTUNED, RANKING], seeds=[0], folder=folder)
    assert path.read_text() == before  # nothing was measured twice
    assert len(before.splitlines()) == 2
    assert {row.peer for row in found} == {UNTUNED, RANKING}
    assert read_results(path, replace(case, epochs=1.0)) == {}  # another budget is another comparison


def test_of_what_was_measured_a_line_that_was_cut_off_is_measured_again(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "measured"
    (first,) = compare(case, systems=[UNTUNED], seeds=[0], folder=folder)[-1:]
    path = folder / "tiny.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-20])
    assert compare(case, systems=[UNTUNED], seeds=[0], folder=folder)[-1] == first
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-20] + b"\n" + whole)
    with pytest.raises(DamagedError, match=r"tiny\.jsonl:1: is damaged"):
        compare(case, systems=[UNTUNED], seeds=[0], folder=folder)
    with pytest.raises(StorageError, match=r"tiny\.jsonl"):
        compare(case, systems=[UNTUNED], seeds=[0], folder=path)


def test_the_table_has_means_seeds_and_the_difference_to_the_baseline(case: Case) -> None:
    def result(value: float) -> dict[str, object]:
        queries = {f"q{number}": value for number in range(20)}
        return {"nDCG@10": value, "encodings": 10, "queries": queries}

    found = {
        (RANKING, 0): result(0.5),
        (RANKING, 1): result(0.6),
        ("mined", 0): result(0.6),
        ("mined", 1): result(0.8),
    }
    made = list(rows(case, found, systems=SYSTEMS, seeds=[0, 1]))
    assert table(made).splitlines() == [
        "| test nDCG@10 | tiny |",
        "|---|---|",
        f"| {RANKING} | 0.550 (0.500, 0.600) |",
        "| mined | 0.700 (0.600, 0.800); +0.150, p 0.0001 |",
    ]
    json.dumps([vars(row) for row in made])
