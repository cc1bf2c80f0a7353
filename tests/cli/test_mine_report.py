"""`textrip mine --report` and `--verdicts`: the page, the lines, and the way back."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.running import Run
from textrip.errors import StorageError
from textrip.mining.filters import REJECTED
from textrip.mining.triples import Triples


def test_the_command_writes_page_and_lines_and_mines_again(
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    out, page = tmp_path / "t.parquet", tmp_path / "audit.html"
    result = textrip(
        "mine", beir_folder, "-o", out, "--report", page, "--report-queries", 5, "--report-model",
        tiny_encoder_folder, "--json",
    )  # fmt: skip
    assert result.code == 0
    assert "5 of 24 queries" in page.read_text()
    lines = [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines()]
    assert len(lines) == 5
    shown = [one for line in lines for one in (*line["positives"], *line["negatives"])]
    assert all(one["bm25_rank"] is not None and one["model"] is not None for one in shown)
    rejected = [
        {"query_id": line["query_id"], "doc_id": negative["doc_id"], "verdict": "reject"}
        for line in lines
        for negative in line["negatives"]
    ]
    (tmp_path / "v.jsonl").write_text("\n".join(map(json.dumps, rejected)))
    again = textrip("mine", beir_folder, "-o", out, "--verdicts", tmp_path / "v.jsonl", "--force", "--json")
    assert again.json_lines()[0][f"left out: {REJECTED}"] == len(rejected)
    pairs = {
        (group.query_id, negative.doc_id)
        for group in Triples.read(out).groups
        for negative in group.negatives
    }
    assert not pairs & {(row["query_id"], row["doc_id"]) for row in rejected}
    first, others = tmp_path / "first.jsonl", tmp_path / "others.jsonl"
    first.write_text(json.dumps(rejected[0]))
    others.write_text("\n".join(map(json.dumps, rejected[1:])))
    both = textrip(
        "mine", beir_folder, "-o", out, "--verdicts", first, "--verdicts", others, "--report", page,
        "--force", "--json",
    )  # fmt: skip
    assert both.json_lines()[0][f"left out: {REJECTED}"] == len(rejected)
    assert page.read_text().count("&quot;reject&quot;") == len(rejected)  # known to the page that comes of it
    refused = textrip("mine", beir_folder, "-o", tmp_path / "u.parquet", "--report", page)
    assert refused.code == 2
    assert not (tmp_path / "u.parquet").exists()
    assert textrip("mine", beir_folder, "-o", tmp_path / "u.parquet", "--verdicts", page).code == 2


@pytest.mark.parametrize(("arguments", "message"), [
    (["--dense-model", "m"], "dense_model is 'm' and dense 0"),
    (["--dense-nearest", "hnsw"], "--dense is 0: --dense-nearest has nothing to do"),
    (["--denoise-margin", 0.5],
     "--denoise auto filters only where an encoder is trained: --denoise-margin has nothing to do"),
    (["--denoise-margin", 0.5, "--denoise", "none"], "denoise_margin is 0.5 and denoise none"),
    (["--report-model", "m", "--report-queries", 3],
     "without --report there is no page: --report-queries and --report-model have nothing to do"),
])  # fmt: skip
def test_an_option_that_nothing_would_read_is_refused(
    textrip: Run, beir_folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = textrip("mine", beir_folder, "-o", tmp_path / "t.parquet", *arguments)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"Error: {message}")
    assert not (tmp_path / "t.parquet").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["-o", "t.parquet", "--jsonl", "a.jsonl", "--report", "a.html"],
     "--jsonl and the audit's lines beside --report are both a.jsonl"),
    (["-o", "a.jsonl", "--report", "a.html"],
     "--output and the audit's lines beside --report are both a.jsonl"),
    (["-o", "t.parquet", "--jsonl", "../here/t.parquet"], "--output and --jsonl are both t.parquet"),
    (["-o", "t.html", "--report", "link.html"], "--output and --report are both t.html"),
    (["-o", "t.parquet", "--report", "a.jsonl"], "--report is a.jsonl: an HTML page was expected"),
    (["-o", "t.parquet", "--report", "a.pdf"], "--report is a.pdf: an HTML page was expected"),
    (["-o", "t.parquet", "--report", "."], "--report is .: an HTML page was expected"),
    (["-o", "t.parquet", "--verdicts", "said.jsonl", "--report", "said.html"],
     "--verdicts and the audit's lines beside --report are both said.jsonl"),
    (["-o", "t.parquet", "--jsonl", "data.jsonl"], "DATA and --jsonl are both data.jsonl"),
])  # fmt: skip
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_no_two_files_are_one(
    textrip: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *,
    arguments: list[str], message: str, force: list[str],
) -> None:  # fmt: skip
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    rows = [{"anchor": f"question {n} about rose", "positive": f"rose answer {n}"} for n in range(9)]
    Path("data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("said.jsonl").touch()
    Path("link.html").symlink_to("t.html")
    before = sorted(here.iterdir())
    result = textrip("mine", "data.jsonl", *arguments, *force)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(f"Error: {message}")
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("name", ["write_page", "write_jsonl"])
def test_a_page_that_cannot_be_written_leaves_nothing_that_refuses_the_next(
    name: str, textrip: Run, beir_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The triples were there, nobody said so, and the same command was refused for them."""
    asked = "mine", beir_folder, "-o", tmp_path / "t.parquet", "--report", tmp_path / "a.html"

    def full(*_given: Any, **_how: Any) -> None:
        raise StorageError("a.html: no space left on device")

    module = "audit_page" if name == "write_page" else "audited"
    with monkeypatch.context() as patch:
        patch.setattr(f"textrip.mining.{module}.{name}", full)
        refused = textrip(*asked)
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "Error: a.html: no space left on device")
    assert not list(tmp_path.glob("[!.]*"))
    assert textrip(*asked).code == 0
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["a.html", "a.jsonl", "t.parquet"]


def test_what_would_be_read_as_data_the_next_time_is_refused(
    textrip: Run, beir_folder: Path, tmp_path: Path
) -> None:
    """corpus.parquet beside corpus.jsonl made the folder one that nothing reads."""
    data = tmp_path / "data"
    shutil.copytree(beir_folder, data)
    for name in ("corpus.parquet", "qrels/x.parquet", "dev.parquet"):
        result = textrip("mine", data, "-o", data / name)
        assert (result.code, result.err) == (
            2, f"Error: {data / name}: would be of the data that is mined; name another place\n"
        )  # fmt: skip
    assert textrip("mine", data, "-o", data / "mined.parquet").code == 0
    assert textrip("check", data).code == 0


def test_a_circle_of_links_is_a_place_like_others(textrip: Run, beir_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one.parquet").symlink_to("two")
    (tmp_path / "two").symlink_to("one.parquet")
    result = textrip("mine", beir_folder, "-o", tmp_path / "two" / "t.parquet")
    assert result.code == 2
    assert result.err.startswith("Error: ") and result.err.count("\n") == 1
    assert textrip("mine", beir_folder, "-o", tmp_path / "one.parquet").code == 0
    assert (tmp_path / "one.parquet").is_file()


def test_what_a_killed_one_had_half_written_goes_with_the_next(
    textrip: Run, beir_folder: Path, tmp_path: Path
) -> None:
    names = ("t.parquet", "t.jsonl", "a.html", "a.jsonl")
    for name in names:
        (tmp_path / f".{name}.0123abcd.tmp").write_text("half")
    done = textrip(
        "mine", beir_folder, "-o", tmp_path / "t.parquet", "--jsonl", tmp_path / "t.jsonl", "--report",
        tmp_path / "a.html",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
