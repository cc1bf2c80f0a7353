"""`textrip train --resume`: after the real signal, and what it refuses."""

import json
import os
import random
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.running import Run, stopped_at
from textrip.cli.request import Request
from textrip.data.columns import Columns
from textrip.files import write_sealed_json
from textrip.mining.settings import MineSettings
from textrip.training import plots
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings


def test_kill_9_of_the_command_and_resume(
    beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """The real signal, to the real command, at a step that the clock chooses."""
    words = [
        sys.executable, "-m", "textrip", "train", str(beir_folder), "--model", str(tiny_encoder_folder),
        "--epochs", "8", "--batch-queries", "4", "--checkpoint-minutes", "0", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = tmp_path / "whole"
    subprocess.run([*words, "-o", str(whole)], check=True, env=environment, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [*words, "-o", str(killed)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    unfinished = tmp_path / "killed.unfinished"
    while process.poll() is None and not list(unfinished.glob("checkpoint-*")):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert unfinished.is_dir()
    resume = [sys.executable, "-m", "textrip", "train", "--resume", str(unfinished)]
    subprocess.run(resume, check=True, env=environment, capture_output=True)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not unfinished.exists()


@pytest.mark.slow
def test_kill_9_at_three_random_moments_in_one_run(
    beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Each time after another checkpoint, at a moment that no step knows: inside one that is written, too."""
    seed = secrets.randbits(32)
    draw = random.Random(seed)
    command = [sys.executable, "-m", "textrip", "train"]
    words = [
        str(beir_folder), "--model", str(tiny_encoder_folder), "--epochs", "40", "--batch-queries", "4",
        "--checkpoint-minutes", "0", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, killed, unfinished = (tmp_path / name for name in ("whole", "killed", "killed.unfinished"))
    subprocess.run([*command, *words, "-o", str(whole)], check=True, env=environment, capture_output=True)
    begin, resume = [*command, *words, "-o", str(killed)], [*command, "--resume", str(unfinished)]
    for number in range(3):
        before = {path.name for path in unfinished.glob("checkpoint-*")}
        process = subprocess.Popen(
            resume if number else begin, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and not {path.name for path in unfinished.glob("checkpoint-*")} - before:
            pass
        time.sleep(draw.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it had ended before it was killed (seed {seed})"
    subprocess.run(resume, check=True, env=environment, capture_output=True)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes(), seed
    assert not unfinished.exists()


@pytest.mark.parametrize(("words", "reason"), [
    (["--resume", "{tmp}/none"], "no such folder; --resume takes OUTPUT.unfinished of a stopped run"),
    (["--resume", "{tmp}"], "run.json: no such file or directory"),
    (["{beir}", "--resume", "{tmp}"], "--resume takes data, output and settings from the run; give nothing"),
    (["--resume", "{tmp}", "--batch-queries", "8", "--device", "cpu"], "leave --device, --batch-queries out"),
    (["{beir}"], "-o MODEL is missing: textrip train DATA -o MODEL, or textrip train --resume FOLDER"),
    (["-o", "{tmp}/m"], "DATA-or-TRIPLES is missing"),
    (["--resume", "{tmp}/none", "--sampling", "positive"], "leave --sampling out"),
])  # fmt: skip
def test_what_cannot_be_resumed_is_said(
    words: list[str], reason: str, textrip: Run, beir_folder: Path, tmp_path: Path
) -> None:
    done = textrip("train", *(word.format(tmp=tmp_path, beir=beir_folder) for word in words))
    assert done.code == 2
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_beside_the_training_is_there_after_a_resume(
    textrip: Run,
    beir_folder: Path,
    tiny_encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Begun with a relative base, a plot and a file of triples that is gone; resumed with nothing."""
    shutil.copytree(tiny_encoder_folder, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    assert textrip("mine", beir_folder, "-o", "t.parquet").code == 0
    with stopped_at(3):
        words = ["--data", beir_folder, "--model", "base", "--batch-queries", 4, "--max-length-tokens", 16]
        stopped = textrip(
            "train", "t.parquet", "-o", "m", *words, "--plot", "--checkpoint-minutes", 0, "--device", "cpu"
        )
    assert stopped.code == 130
    assert "go on with: textrip train --resume" in stopped.err
    Path("t.parquet").unlink()
    monkeypatch.chdir("/")
    done = textrip("train", "--resume", tmp_path / "m.unfinished")
    assert done.code == 0, done.err
    assert (tmp_path / "m" / "training.png").is_file()


def test_data_that_changed_is_what_is_said_to_differ(
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """It named the triples, and advised what cannot be given beside --resume."""
    data = shutil.copytree(beir_folder, tmp_path / "data")
    with stopped_at(3):
        textrip(
            "train", data, "-o", tmp_path / "m", "--model", tiny_encoder_folder, "--checkpoint-minutes", 0
        )
    with (data / "corpus.jsonl").open("a") as stream:
        stream.write('{"_id": "another", "title": "", "text": "rose"}\n')
    refused = textrip("train", "--resume", tmp_path / "m.unfinished")
    assert refused.code == 2
    assert "m.unfinished was begun with another collection (its texts or judgments differ)" in refused.err


def test_a_fit_goes_on_with_what_it_says(
    textrip: Run,
    beir_folder: Path,
    tiny_encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the figures of one that was not stopped; from another folder, as all of it was named."""
    monkeypatch.chdir(tmp_path)
    common = ["--model", tiny_encoder_folder, "--batch-queries", 8, "--device", "cpu"]
    whole = textrip("fit", beir_folder, "-o", "whole", *common, "--json").json_lines()
    with stopped_at(4):  # the first epoch has 3
        stopped = textrip("fit", beir_folder, "-o", "my out", *common)
    assert stopped.code == 130
    (way_on,) = (line for line in stopped.err.splitlines() if line.startswith("go on with: "))
    words = shlex.split(way_on.removeprefix("go on with: "))
    assert words[:3] == ["textrip", "fit", "--resume"]
    again = textrip("fit", beir_folder, "-o", "my out", *common)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert f"go on with {shlex.join(words)}, or begin anew with --force" in again.err
    other = textrip("train", *words[2:])
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert f"was begun by textrip fit; go on with: {shlex.join(words)}" in other.err
    monkeypatch.setattr("textrip.pipeline.fit.mined", None)  # it is not called again
    part = textrip("fit", "--resume", tmp_path / "my out.unfinished" / "model.unfinished")
    assert (part.code, part.err.count("\n")) == (2, 1)
    whole_run = f"{tmp_path}/my out.unfinished"
    assert f"is a part of {whole_run}; go on with: textrip fit --resume '{whole_run}'" in part.err
    done = textrip(*words[1:], "--json")
    assert done.code == whole_code(whole), done.err
    assert without_seconds(done.json_lines()) == without_seconds(whole)
    resumed = [lines[0]["provenance"]["resumed"] for lines in (whole, done.json_lines())]
    assert resumed == [False, True]  # so that nobody takes its seconds for an encoder's
    assert sorted(path.name for path in Path("my out").iterdir()) == [
        "index", "model", "report.json", "triples.parquet",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my out", "whole"]
    for folder, what in (("my out", "fit"), ("my out/model", "model")):
        assert f"is a finished {what}, and nothing of it" in textrip("fit", "--resume", folder).err


def test_a_run_of_the_first_format_goes_on_as_a_training(
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """One that fit began, too: it was a training's then."""
    common = ["--model", tiny_encoder_folder, "--batch-queries", 8, "--epochs", 1, "--device", "cpu"]
    common += ["--loss", "smooth", "--strategy", "batch-all"]
    with stopped_at(2):
        assert textrip("train", beir_folder, "-o", tmp_path / "m", *common).code == 130
    path = tmp_path / "m.unfinished" / "run.json"
    run = json.loads(path.read_text())
    run["settings"]["strategy"] = run["request"]["settings"]["strategy"] = "batch-hard"  # as it was called
    run["request"]["of_fit"] = True
    write_sealed_json(path, {**run, "format": 1, "of": None})
    done = textrip("train", "--resume", tmp_path / "m.unfinished")
    assert done.code == 0, done.err
    assert (tmp_path / "m" / "manifest.json").is_file()


def whole_code(lines: list[Any]) -> int:
    return 3 if lines[0]["verdict"] == "REGRESSION" else 0


def without_seconds(lines: list[Any]) -> list[Any]:
    rows = [{**row, "seconds": None} for row in lines[0]["rows"]]
    return [{**lines[0], "rows": rows, "provenance": None}]


def test_data_of_standard_input_is_to_be_piped_again(textrip: Run, tmp_path: Path) -> None:
    request = Request(
        source="-", data=None, output=str(tmp_path / "m"), columns=Columns(), mining=MineSettings(),
        settings=TrainSettings(), model="all-MiniLM-L6-v2", dev_documents=10, by_label=False,
        stemmer="english", device="cpu", checkpoint_minutes=5.0,
    )  # fmt: skip
    with RunFolder(tmp_path / "m.unfinished").held({"request": request.to_dict()}):
        pass
    way_on = f"cat DATA | textrip train --resume {tmp_path}/m.unfinished"
    assert RunFolder(tmp_path / "m.unfinished").way_on == way_on  # in a script, too
    done = textrip("train", "--resume", tmp_path / "m.unfinished", stdin=None)
    assert done.code == 2
    assert "was begun with data on standard input; pipe the same in again: cat DATA | textrip" in done.err


def test_a_run_that_goes_on_is_not_begun_anew_or_gone_on_with(
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Each would take the other's files from under it, and neither would end."""
    output, unfinished = tmp_path / "m", tmp_path / "m.unfinished"
    given = [beir_folder, "--model", tiny_encoder_folder, "--batch-queries", 4, "-o", output]
    train = ["train", *given, "--epochs", 400, "--checkpoint-minutes", 0]
    running = subprocess.Popen(
        [sys.executable, "-m", "textrip", *map(str, train)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while running.poll() is None and not list(unfinished.glob("checkpoint-*")):
            time.sleep(0.05)
        for words in ([*train, "--force"], ["train", "--resume", unfinished], ["fit", *given, "--force"]):
            done = textrip(*words)
            assert (done.code, done.out) == (2, "")
            assert done.err == (
                f"Error: {unfinished}: another process is training there; wait for it, "
                "or name another output\n"
            )
        assert running.poll() is None
    finally:
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert f"go on with: textrip train --resume {unfinished}" in said
    assert list(unfinished.glob("checkpoint-*"))


def test_a_model_that_mining_asks_is_found_from_elsewhere(
    textrip: Run,
    beir_folder: Path,
    tiny_encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second round is mined by another process, which may stand in another folder."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    shutil.copytree(tiny_encoder_folder, here / "filter")
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    with stopped_at(3):
        stopped = textrip(
            "train", beir_folder, "-o", tmp_path / "m", "--model", tiny_encoder_folder, "--denoise", "filter",
            "--epochs", 2, "--batch-queries", 8, "--rounds", 2,
        )  # fmt: skip
    assert stopped.code == 130, stopped.err
    monkeypatch.chdir(elsewhere)
    done = textrip("train", "--resume", tmp_path / "m.unfinished")
    assert done.code == 0, done.err


def test_a_name_that_leaves_no_room_for_what_is_added_is_told_at_once(
    textrip: Run, beir_folder: Path, tmp_path: Path
) -> None:
    for name in ("x" * 235, "x" * 300):
        result = textrip("train", beir_folder, "-o", tmp_path / name)
        assert result.code == 2
        assert "this name is too long" in result.err or "file name too long" in result.err
        assert "mined" not in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("stops", "told"), [
    ("textrip.training.plots.plot_training", "m is written and complete, but for its plot"),
    ("textrip.training.run_folder.RunFolder.remove", "m is written and complete; what is left of"),
])  # fmt: skip
def test_stopped_after_all_is_there_that_is_said(
    stops: str, told: str, textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stops, stop)
    result = textrip(
        "train", beir_folder, "-o", tmp_path / "m", "--model", tiny_encoder_folder, "--denoise", "none",
        "--epochs", 1, "--batch-queries", 8, "--plot",
    )  # fmt: skip
    assert result.code == 130
    assert told in result.err
    assert (tmp_path / "m" / "manifest.json").is_file()


def test_a_plot_that_was_not_drawn_is_drawn_later(
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of a finished model; a run that was stopped and goes on gets one, too."""
    model = tmp_path / "a model"
    asked = ["train", beir_folder, "-o", model, "--model", tiny_encoder_folder, "--denoise", "none"]
    asked += ["--epochs", 1, "--batch-queries", 8]
    assert textrip(*asked, "--plot").code == 0
    drawn = (model / "training.png").read_bytes()
    (model / "training.png").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(plots, "plot_training", _stopped)
        result = textrip(*asked, "--force", "--plot")
    assert result.code == 130
    way = result.err.split("drawn by: ")[1].splitlines()[0]
    assert not (model / "training.png").exists()
    (told,) = textrip(*shlex.split(way)[1:], "--json").json_lines()
    assert told["output"] == str(model)
    assert (model / "training.png").read_bytes()[:4] == drawn[:4]
    (model / "log.jsonl").unlink()
    result = textrip("train", "--resume", model, "--plot")
    assert (result.code, result.err) == (
        2, f"Error: {model}/log.jsonl: is missing or empty, so there is nothing to draw\n"
    )  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr("textrip.training.run_folder.RunFolder.prune", _stopped)
        assert textrip(*asked, "--force").code == 130
    shutil.rmtree(model)
    assert textrip("train", "--resume", f"{model}.unfinished", "--plot").code == 0
    assert (model / "training.png").is_file()


def _stopped(*_: Any) -> None:
    raise KeyboardInterrupt
