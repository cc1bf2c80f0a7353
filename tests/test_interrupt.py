"""Ctrl-C that Python drops: the program ends, and prints nothing of where it was lost."""

import os
import subprocess
import sys

import pytest

DROPS = """
import os, signal, sys
from textrip import interrupt
class Freed:
    def __del__(self):
        {}
interrupt.listen()
interrupt.listen()
freed = Freed()
del freed
interrupt.raise_if_asked()
print("went on")
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_one_that_a_finaliser_drops_is_raised_later_and_not_printed(number: str) -> None:
    code = DROPS.format(f"signal.raise_signal(signal.{number})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Exception ignored" not in done.stderr
    assert done.stderr.count("Traceback") == 1  # of the one that is raised later
    assert "went on" not in done.stdout


def test_other_errors_that_are_dropped_are_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DROPS.format("raise ValueError('lost')")], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "Exception ignored" in done.stderr
    assert "ValueError: lost" in done.stderr
    assert done.stdout == "went on\n"
