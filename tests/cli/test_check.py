"""`textrip check`: what it prints, its exit codes, and that train and fit stop at errors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.running import Run
from textrip.data.collection import Collection
from textrip.mining.triples import Group, Negative, Triples


def test_sound_data_exits_with_0(textrip: Run, beir_folder: Path) -> None:
    (report,) = textrip("check", beir_folder, "--json").json_lines()
    assert list(report) == ["collection", "errors", "warnings", "findings"]
    assert (report["collection"], report["errors"]) == ("tiny", 0)
    person = textrip("check", beir_folder)
    assert person.code == 0
    assert person.out.splitlines()[0].startswith("Collection('tiny', 60 documents")
    assert "0 errors" in person.out or "nothing is wrong" in person.out


@pytest.fixture
def unsound(tiny_collection: Collection, write_beir: Any, tmp_path: Path) -> Path:
    """A collection whose train and dev disagree."""
    folder: Path = write_beir(tiny_collection, tmp_path / "unsound")
    with (folder / "queries.jsonl").open("a") as stream:
        stream.write(json.dumps({"_id": "again", "text": tiny_collection.query_texts["q00"]}) + "\n")
    with (folder / "qrels" / "dev.tsv").open("a") as stream:
        stream.write("again\td00\t0\nagain\td01\t1\n")
    return folder


def test_errors_exit_with_2_and_stop_train_and_fit(
    textrip: Run, unsound: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    result = textrip("check", unsound)
    assert result.code == 2
    assert "error: 1 pair of texts judged relevant and not relevant" in result.out
    assert "train: q00 d00, and dev: again d00" in result.out
    assert "1 query text of dev also in train" in result.out
    for command in ("train", "fit"):
        stopped = textrip(command, unsound, "-o", tmp_path / command, "--model", tiny_encoder_folder)
        assert stopped.code == 2
        (line,) = [line for line in stopped.err.splitlines() if not line.startswith("·")]
        assert line.startswith("Error: 1 pair of texts judged relevant and not relevant")
        assert line.endswith("--force goes on all the same")
        assert not (tmp_path / command).exists()
    one = ["--epochs", 1, "--force", "--json"]
    forced = textrip("train", unsound, "-o", tmp_path / "train", "--model", tiny_encoder_folder, *one)
    assert forced.code == 0
    assert "left out of train: 1 query whose text is asked in dev or test" in forced.err


def test_triples_are_looked_through_too(textrip: Run, beir_folder: Path, tmp_path: Path) -> None:
    triples = Triples([Group("q00", "d00", (Negative("d00", 1, 1.0, "bm25"),))])
    triples.write(tmp_path / "bad.parquet")
    result = textrip("check", beir_folder, "--triples", tmp_path / "bad.parquet", "--no-near", "--json")
    assert result.code == 2
    report = json.loads(result.out)
    assert "positive-equals-negative" in {finding["kind"] for finding in report["findings"]}
    assert textrip("check", beir_folder, "--triples", tmp_path / "none.parquet").code == 2


def test_a_length_without_an_encoder_is_refused(textrip: Run, beir_folder: Path) -> None:
    result = textrip("check", beir_folder, "--max-length-tokens", 8)
    assert result.code == 2
    assert result.err.startswith("Error: without --model no text is cut: --max-length-tokens has nothing")


def test_an_encoder_says_what_it_cuts(textrip: Run, beir_folder: Path, tiny_encoder_folder: Path) -> None:
    result = textrip(
        "check", beir_folder, "--model", tiny_encoder_folder, "--max-length-tokens", 8, "--no-near", "--json"
    )
    (report,) = result.json_lines()
    cut = [finding for finding in report["findings"] if finding["kind"] == "texts-cut"]
    assert "100% of the documents are longer than the encoder reads (8 tokens" in cut[0]["message"]


@pytest.mark.parametrize(("split", "words"), [
    ("dev", ["train", "-o", "{tmp}/m", "--force"]),
    ("dev", ["tune", "-o", "{tmp}/m", "--force"]),
    ("dev", ["index", "-o", "{tmp}/m", "--tune-hybrid"]),
    ("test", ["fit", "-o", "{tmp}/m", "--force"]),
    ("test", ["eval", "--bm25"]),
])  # fmt: skip
def test_a_split_without_a_relevant_document_measures_nothing(
    split: str, words: list[str], textrip: Run, tiny_collection: Collection, write_beir: Any,
    tiny_encoder_folder: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """Zeros would be printed, "no difference" found in them, and settings chosen by them."""
    qrels = {name: dict(judged) for name, judged in tiny_collection.qrels.items()}
    qrels[split] = {query: dict.fromkeys(judged, 0) for query, judged in qrels[split].items()}
    folder = write_beir(replace(tiny_collection, qrels=qrels), tmp_path / "data")
    command, *options = [word.format(tmp=tmp_path) for word in words]
    done = textrip(command, folder, "--model", tiny_encoder_folder, *options)
    assert done.code == 2
    line = next(line for line in done.err.splitlines() if line.startswith("Error: "))
    assert f"judged queries of split '{split}' has a relevant document (a judgment above 0)" in line
    assert not list(tmp_path.glob("m*"))


def test_tune_stops_at_errors(textrip: Run, unsound: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")  # no encoder: nobody gets to its loading
    done = textrip("tune", unsound, "-o", tmp_path / "study", "--model", tmp_path / "model")
    assert done.code == 2
    assert done.err.startswith("Error: 1 pair of texts judged relevant and not relevant")
    assert not (tmp_path / "study").exists()
