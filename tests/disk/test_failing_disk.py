"""The Nth write, sync, rename or unlink fails, or is the last thing that a process does, for every N."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.disk.worker import HOW, OPERATIONS

ROOT = Path(__file__).parents[2]
# How far apart the calls are that fail in the suite: at least three of each operation.
STEPS = {"note": 4, "build": 89, "build over": 89}


def run(operation: str, folder: Path, library: Path, *, every: int) -> Counter[str]:
    """How often it ended in which way; all of it has to be whole."""
    worker = subprocess.run(
        [sys.executable, "-m", "tests.disk.worker", operation, str(folder), str(every)],
        cwd=ROOT, env={**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert worker.returncode == 0, worker.stderr
    lines = [json.loads(line) for line in worker.stdout.splitlines()]
    broken = [line for line in lines if not line["whole"]]
    assert not broken, f"{broken}\n{worker.stderr[-6000:]}"
    assert sum(line["ended"] == "over" for line in lines) == len(HOW)
    return Counter(line["ended"] for line in lines)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_nth_call_fails(operation: str, failing_disk: Path, tmp_path: Path) -> None:
    found = run(operation, tmp_path, failing_disk, every=STEPS.get(operation, 61))
    assert found["died"] >= 3
    assert found["raised"] >= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_call_fails(operation: str, failing_disk: Path, tmp_path: Path) -> None:
    found = run(operation, tmp_path, failing_disk, every=1)
    assert found["died"] >= (15 if operation == "note" else 100)
