"""What a process that is forked has of the one it comes from."""

import os
import re
import threading
from pathlib import Path

import pytest

from tests.running import exit_code_of, forked
from textrip.forked import cached_property


class Slow:
    """What it has is worked out once, and takes as long as it is told."""

    def __init__(self, begun: threading.Event, over: threading.Event) -> None:
        self.begun, self.over = begun, over

    @cached_property
    def value(self) -> int:
        """Seven, in the end."""
        self.begun.set()
        self.over.wait(60)
        return 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_what_another_object_is_working_out_is_waited_for_by_nobody_in_a_fork() -> None:
    """Python 3.11 has one lock for all objects of a class: the child waited for ever."""
    begun, over, at_once = threading.Event(), threading.Event(), threading.Event()
    at_once.set()
    thread = threading.Thread(target=lambda: Slow(begun, over).value)
    thread.start()
    assert begun.wait(10)
    child = forked(lambda: Slow(threading.Event(), at_once).value == 7)
    over.set()
    thread.join()
    assert exit_code_of(child) == 0


def test_nobody_takes_the_librarys_own() -> None:
    """Where it is used anyway a server's workers hang, one time in a hundred."""
    root = Path(__file__).parent.parent / "textrip"
    own = re.compile(r"from functools import .*cached_property|functools\.cached_property")
    found = [path for path in root.rglob("*.py") if own.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found] == ["forked.py"]
