"""A system that is measured in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from textrip.eval.peers.apart import apart


def test_a_function_runs_in_another_process() -> None:
    assert apart(os.getpid) != os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_asked(kill: signal.Signals) -> None:
    source = "import time; from textrip.eval.peers.apart import apart; apart(time.sleep, 1000)"
    asking = subprocess.Popen([sys.executable, "-c", source], start_new_session=True)
    wait_until(lambda: len(processes(asking.pid)) == 3)  # also the one at work, and a tracker
    asking.send_signal(kill)
    asking.wait()
    wait_until(lambda: not processes(asking.pid))


def processes(session: int) -> list[int]:
    """Those of a session that are not done."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
