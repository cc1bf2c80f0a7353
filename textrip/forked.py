"""A process that is forked off this one, as a web server's workers are: what it may not share with it."""

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


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


class cached_property(functools.cached_property[T]):  # noqa: N801  # as the library's
    """The library's, whose lock of Python 3.11 is one for all objects of a class.

    A thread of the parent that was working one out held it when the process was forked, and nobody in the new
    one lets it go: who asked any other object there waited for ever.
    """

    def __init__(self, func: Callable[[Any], T]) -> None:
        super().__init__(func)
        watch(self)

    def after_fork(self) -> None:
        """A lock that nobody holds."""
        if hasattr(self, "lock"):
            self.lock = threading.RLock()
