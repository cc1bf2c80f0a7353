"""The demo, on a few modules of the library so that it takes seconds; the whole of it is marked slow."""

import shlex
import shutil
import sysconfig
from pathlib import Path

import pytest

from tests.running import Run
from textrip.cli.demo import QUESTIONS
from textrip.encoding import load

MODULES = ("argparse.py", "threading.py", "ipaddress.py", "shlex.py", "textwrap.py")


@pytest.fixture
def small_library(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard library of five modules, and only where the default encoder is there without a hub."""
    if load.embedded_folder() is None:
        pytest.skip("the extra `offline` is not installed: no default encoder")
    whole = Path(sysconfig.get_paths()["stdlib"])
    part = tmp_path_factory.mktemp("stdlib")
    for name in MODULES:
        copy = shutil.copytree if (whole / name).is_dir() else shutil.copy
        copy(whole / name, part / name)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(part)})


def test_the_demo_for_a_program(
    small_library: None,
    tiny_encoder_folder: Path,
    textrip: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "embedded_folder", lambda: tiny_encoder_folder)
    result = textrip("demo", "--json", "--out", tmp_path / "out")
    (report,) = result.json_lines()
    assert [row["system"] for row in report["rows"]] == ["bm25", "untuned", "tuned", "hybrid"]
    assert report["collection"] == "stdlib"
    assert report["verdict"] in {"IMPROVED", "NO DIFFERENCE", "REGRESSION"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "index", "model", "report.json", "triples.parquet",
    ]  # fmt: skip


def test_the_demo_for_a_person_and_its_steps_by_hand(
    small_library: None, tiny_encoder_folder: Path, textrip: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(load, "embedded_folder", lambda: tiny_encoder_folder)
    monkeypatch.chdir(tmp_path)
    shown = textrip("demo", "--out", "kept")
    assert shown.code in {0, 3}, shown.err
    for question in QUESTIONS:
        assert f"? {question}\n  1  " in shown.out
    assert "over " in shown.out
    assert "Clusters, the largest first:" in shown.out
    steps = [line.strip() for line in shown.out.splitlines() if line.startswith("  textrip ")]
    assert len(steps) >= 6
    assert any(" train " in step and "--epochs 1 " in step for step in steps)  # whatever auto would take
    shutil.rmtree("kept")
    for step in steps:
        done = textrip(*shlex.split(step)[1:])
        assert done.code == 0, f"{step}: {done.err}"
        if " eval " in step:
            by_hand = done.out
    # By hand the figures are those of the demo.
    systems = ("bm25 ", "untuned ", "tuned ")
    rows = [line.split()[1:5] for line in shown.out.splitlines() if line.startswith(systems)]
    assert rows == [line.split()[1:5] for line in by_hand.splitlines()[4:7]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tuned_encoder_beats_bm25_and_the_untuned_one(textrip: Run) -> None:
    (report,) = textrip("demo", "--json").json_lines()
    found = {row["system"]: row["nDCG@10"] for row in report["rows"]}
    assert found["tuned"] > max(found["bm25"], found["untuned"])
