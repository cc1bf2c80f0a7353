"""A process that is forked off this one, as a web server's workers are: what it may not share with it."""

import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol


class Parted(Protocol):
    """What a forked process must have of its own."""

    def after_fork(self) -> None:
        """Leave what is open to the process that opened it; the new one has a single thread yet."""


_open: "weakref.WeakSet[Parted]" = weakref.WeakSet()


def in_child(function: Callable[[], Any]) -> None:
    """Call a function first in every process that is forked, where systems fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def watch(opened: Parted) -> None:
    """Call `after_fork` of this in every process that is forked, while somebody holds it."""
    _open.add(opened)


def _part() -> None:
    for opened in list(_open):
        opened.after_fork()


in_child(_part)
