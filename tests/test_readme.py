"""The README's commands and Python run as they stand, in their order, on a corpus of one's own."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.running import Run
from textrip.cli.main import app
from textrip.data.collection import Collection
from textrip.encoding import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    (match["language"], match["body"])
    for match in re.finditer(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", README, re.DOTALL | re.MULTILINE)
]
COMMANDS = [
    line
    for language, body in BLOCKS
    if language == "sh"
    for line in body.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
PYTHON = "\n".join(body for language, body in BLOCKS if language == "python")


@pytest.fixture
def here(
    tiny_collection: Collection, tiny_encoder_folder: Path, write_beir: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A folder that holds `my-corpus/`, as the current one; the default encoder is a tiny one."""
    monkeypatch.setattr(load, "embedded_folder", lambda: tiny_encoder_folder)
    write_beir(tiny_collection, tmp_path / "my-corpus")
    (tmp_path / "new.jsonl").write_text('{"id": "doc-17", "text": "a new document"}\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shell_commands_run(here: Path, textrip: Run) -> None:
    own = [shlex.split(line)[1:] for line in COMMANDS if re.match(r"textrip .*(my-corpus|index)", line)]
    assert len(own) >= 9
    for words in own:
        result = textrip(*words)
        assert result.code in {0, 3}, f"{words}: {result.err}"
        assert result.out, words
    assert (here / "out" / "report.json").is_file()
    assert (here / "vectors.npy").is_file()


@pytest.mark.parametrize("lacks", ["", "dev.tsv test.tsv", "train.tsv dev.tsv test.tsv"])
def test_the_python_runs(lacks: str, here: Path) -> None:
    """Also without a split for measuring, and without any judgments, as the shell does."""
    for name in lacks.split():
        (here / "my-corpus" / "qrels" / name).unlink()
    if "train" in lacks:
        (here / "my-corpus" / "qrels").rmdir()
        (here / "my-corpus" / "queries.jsonl").unlink()
        rows = [json.loads(line) for line in (here / "my-corpus" / "corpus.jsonl").read_text().splitlines()]
        for row in rows:  # of its words some are in the title, as they are in a title of one's own
            row["title"] = " ".join(row["text"].split()[::5])
        (here / "my-corpus" / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    exec(compile(PYTHON, "README.md", "exec"), {"__name__": "readme"})
    assert (here / "index" / "index.json").is_file()


def test_every_command_and_option_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "best.toml").touch()
    group = typer.main.get_command(app)
    checked = set()
    for line in COMMANDS:
        words = shlex.split(line.split("  #")[0].split(" | ")[0])
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        if words[0] == "textrip":
            command = group.commands[words[1]]  # type: ignore[attr-defined]
            command.make_context(words[1], [word.replace("$", "") for word in words[2:]]).close()
            checked.add(words[1])
    assert checked >= {"fit", "mine", "train", "eval", "index", "search", "cluster", "encode"}


def test_the_layout_names_what_is_there() -> None:
    layout = next(body for language, body in BLOCKS if language == "text" and "textrip/\n" in body)
    for line in layout.splitlines():
        name, indented = line.split()[0], line.startswith("  ")
        assert (ROOT / ("textrip" if indented else "") / name).exists(), line


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
