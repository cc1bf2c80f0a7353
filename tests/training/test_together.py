"""Several processes on one batch, for real: torchrun starts two, with gloo on the CPU."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.running import Run
from textrip.data.collection import Collection

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# On CPUs, too: its name for processes of torch's own launcher; --cpu would want MPI.
ACCELERATE = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
    "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
]  # fmt: skip
TEXTRIP = ["-m", "textrip", "train"]


def start(command: list[Any], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(
            list(map(str, command)), env=ENVIRONMENT, stdout=stream, stderr=stream, start_new_session=True
        )


def succeed(command: list[Any], log: Path) -> str:
    code = start(command, log).wait(timeout=200)
    said = log.read_text()
    assert code == 0, said
    return said


@pytest.fixture
def words(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> list[Any]:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "data")
    return [
        data, "--model", tiny_encoder_folder, "--batch-queries", 8, "--learning-rate", 1e-3,
        "--negatives", 2, "--matryoshka", 16,
    ]  # fmt: skip


def labelled(folder: Path, model: Path) -> list[Any]:
    folder.mkdir()
    texts = {"a": ["rose", "tulip", "soil", "rain"], "b": ["wave", "boat", "tide"], "c": ["drum", "choir"]}
    rows = [
        {"text": f"{word} {other}", "label": label}
        for label, own in texts.items()
        for word in own
        for other in ["oven", "star", "moon", "salt", word]
    ]
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows[split == "dev" :: 2])
        )
    return [
        folder / "train.jsonl", "--model", model, "--by-label", "--loss", "proxy-anchor",
        "--batch-queries", 3, "--texts-per-label", 3, "--learning-rate", 1e-3,
    ]  # fmt: skip


def assert_same(one: Path, two: Path) -> None:
    """Weights and losses within 1e-5."""
    alone, together = (load_file(folder / "model.safetensors") for folder in (one, two))
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, atol=1e-5, rtol=0)
    losses = [
        [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert json.loads((two / "manifest.json").read_text())["processes"] == 2


@pytest.mark.parametrize(
    ("kind", "launcher"),
    [
        ("triples", TORCHRUN),
        pytest.param("triples", ACCELERATE, marks=pytest.mark.slow, id="triples-accelerate"),
        pytest.param("labels", TORCHRUN, marks=pytest.mark.slow),
    ],
)
def test_two_processes_take_the_steps_of_one(
    kind: str, launcher: list[str], words: list[Any], tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    if kind == "labels":
        words = labelled(tmp_path / "labelled", tiny_encoder_folder)
    words = [*TEXTRIP, *words, "--epochs", 4, "--json"]
    alone = json.loads(succeed([sys.executable, *words, "-o", tmp_path / "one", "-q"], tmp_path / "one.log"))
    said = succeed([*launcher, *words, "-o", tmp_path / "two", "-q"], tmp_path / "two.log")
    # The last line is the manifest, once: the second process is silent.
    manifests = [line for line in said.splitlines() if line.startswith("{")]
    assert len(manifests) == 1
    together = json.loads(manifests[0])
    assert [step["nDCG@10"] for step in together["dev"]] == [step["nDCG@10"] for step in alone["dev"]]
    assert together["kept_step"] == alone["kept_step"] > 0
    assert_same(tmp_path / "one", tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith("unfinished")) == []


@pytest.mark.slow
def test_two_processes_that_are_killed_go_on_to_the_same_weights(words: list[Any], tmp_path: Path) -> None:
    words = [*TEXTRIP, *words, "--epochs", 12, "--checkpoint-minutes", 0, "-q"]
    succeed([*TORCHRUN, *words, "-o", tmp_path / "whole"], tmp_path / "whole.log")
    process = start([*TORCHRUN, *words, "-o", tmp_path / "killed"], tmp_path / "killed.log")
    unfinished = tmp_path / "killed.unfinished"
    while process.poll() is None and not list(unfinished.glob("checkpoint-*")):
        pass
    os.killpg(process.pid, signal.SIGKILL)  # torchrun and, by the end of its pipes, its children
    process.wait()
    subprocess.run(["pkill", "-9", "-f", str(tmp_path / "killed")], check=False)
    assert unfinished.is_dir()
    assert not (tmp_path / "killed").exists()
    succeed([*TORCHRUN, *TEXTRIP, "--resume", unfinished], tmp_path / "resumed.log")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("ended", "code", "lines"), [(True, -signal.SIGTERM, 0), (False, 2, 1)])
def test_bad_input_is_for_the_first_process_to_tell(ended: bool, code: int, lines: int) -> None:
    """The second process waits to be ended by the launcher, and says it itself where it was not."""
    wait = "os.kill(os.getpid(), signal.SIGTERM)" if ended else "None"
    source = "import os, signal, time; from textrip.cli.main import app; time.sleep = lambda _: {}; app()"
    done = subprocess.run(
        [sys.executable, "-c", source.format(wait), "train", "no-such-folder", "-o", "x"],
        env={**ENVIRONMENT, "WORLD_SIZE": "2", "RANK": "1"}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == lines


@pytest.mark.slow
def test_what_several_processes_cannot_do_is_one_line(words: list[Any], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    log = tmp_path / "refused.log"
    assert start([*TORCHRUN, *TEXTRIP, *words, "-o", tmp_path / "there"], log).wait(timeout=100) != 0
    said = [line for line in log.read_text().splitlines() if line.startswith("Error: ")]
    assert len(said) == 1, log.read_text()
    assert "exists; name another place" in said[0]


@pytest.mark.parametrize(("command", "more", "reason"), [
    ("fit", [], "textrip fit runs in one process; only train is for torchrun"),
    ("train", ["--cache-tokens", 100], "several processes share a batch already"),
])  # fmt: skip
def test_what_is_not_for_several_processes(
    command: str, more: list[Any], reason: str, words: list[Any], tmp_path: Path, textrip: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = textrip(command, *words, *more, "-o", tmp_path / "x")
    assert done.code == 2
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
