"""Processes that are killed with -9 at a moment of the caller's choice."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def killed(worker: str, *arguments: object, seconds: float) -> bool:
    """Run a module, which prints "ready", and kill it so long after that; whether it had ended before.

    One that ended badly fails the test with what it said.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", worker, *map(str, arguments)],
        cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"ready\n", process.stderr.read().decode()
    try:
        process.wait(seconds)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
        process.kill()
    _, said = process.communicate()
    assert not ended or process.returncode == 0, said.decode()
    return ended
