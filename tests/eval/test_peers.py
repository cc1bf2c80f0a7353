"""The comparisons: each system deals with the same triples, and the table's ratios are those of one run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from textrip.data.collection import Collection
from textrip.eval.peers.rows import Row, table, write_rows
from textrip.eval.peers.training import Case, measure


@pytest.mark.parametrize(("system", "encodings"), [
    ("TripletLoss", 3.0),
    ("TripletLoss, no dropout", 3.0),
    ("BatchHardTripletLoss", 2.0),
    ("MultipleNegativesRankingLoss", 2.0),
    ("CachedMultipleNegativesRankingLoss", 4.0),
    ("textrip, dropout on", 2.0),
    ("textrip", 2.0),
])  # fmt: skip
def test_every_system_takes_its_steps_and_its_encodings_are_counted(
    system: str, encodings: float, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "tiny")
    case = Case(str(data), str(tiny_encoder_folder), 2, 24, 4, 2, "cpu")
    found = measure(system, case)
    assert found["triples"] > 0
    assert found["memory"] > 10
    if system.startswith("textrip"):  # a text that two groups share is encoded once
        assert 1.0 < found["encodings"] <= encodings
    else:
        assert found["encodings"] == encodings


def test_too_few_queries_are_said(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "tiny")
    with pytest.raises(SystemExit, match="queries with 2 negatives, 320 needed"):
        measure("textrip", Case(str(data), str(tiny_encoder_folder), 2, 24, 64, 4, "cpu"))


def test_the_table_has_ratios_to_the_baseline_of_the_same_case(tmp_path: Path) -> None:
    rows = [
        Row("slow", "k = 1", "triples", 2.0, "per second"),
        Row("fast", "k = 1", "triples", 5.0, "per second"),
        Row("fast", "k = 8", "triples", 7.0, "per second"),
    ]
    lines = table(rows, baseline="slow").splitlines()
    assert lines[0] == "triples (per second)"
    assert lines[-2:] == ["| slow | 2 (1.00x) | - |", "| fast | 5 (2.50x) | 7 |"]
    write_rows(tmp_path / "r" / "rows.json", rows)
    assert json.loads((tmp_path / "r" / "rows.json").read_text())[1] == {
        "peer": "fast", "case": "k = 1", "measure": "triples", "value": 5.0, "unit": "per second",
    }  # fmt: skip
    assert "torch" in json.loads((tmp_path / "r" / "rows.about.json").read_text())["versions"]
