"""Ctrl-C and SIGTERM that get lost on their way.

Python raises KeyboardInterrupt wherever it happens to be, and where that is a finaliser or a callback out
of a library's compiled code, the exception is dropped and the program goes on. So the handler also leaves
a note, and long loops look at it.
"""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which takes the way of Ctrl-C: what was begun is removed."""


_KINDS: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_asked: list[type[KeyboardInterrupt]] = []
# What printed exceptions that Python drops, before.
_hooks: list[Callable[[Any], object]] = []


def listen() -> None:
    """Handle both signals in this process; in another thread than the main one nothing is done.

    One that Python drops is not printed either, with a traceback through whatever was being freed.
    """
    _asked.clear()
    if sys.unraisablehook is not _print_dropped:
        _hooks[:] = [sys.unraisablehook]
        sys.unraisablehook = _print_dropped
    for number in _KINDS:
        with contextlib.suppress(ValueError):
            signal.signal(number, _handle)


def _print_dropped(dropped: Any) -> None:
    if not (_asked and issubclass(dropped.exc_type, KeyboardInterrupt)):
        _hooks[0](dropped)


def _handle(number: int, _frame: FrameType | None) -> None:
    _asked.append(_KINDS[number])
    raise _KINDS[number]


@contextlib.contextmanager
def deferring() -> Iterator[None]:
    """Inside, both signals wait for the end of the block: around a library that makes something else of one.

    In another thread than the main one nothing is done; no signal is handled there.
    """
    waiting: list[int] = []
    try:
        with _handled_by(lambda number, _: waiting.append(number)):
            yield
    finally:
        for number in waiting[:1]:
            signal.raise_signal(number)


@contextlib.contextmanager
def by_the_system() -> Iterator[None]:
    """Inside, both signals end the process at once: where compiled code waits, and nothing is begun."""
    with _handled_by(signal.SIG_DFL):
        yield


@contextlib.contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    """Inside, both signals have this handler, where this is the main thread."""
    former: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):
            for number in _KINDS:
                former[number] = signal.getsignal(number)
                signal.signal(number, handler)
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number, before in former.items():
                signal.signal(number, signal.SIG_DFL if before is None else before)


def raise_if_asked() -> None:
    """Raise the interrupt that was asked for and lost, if there was one."""
    if _asked:
        raise _asked[0]
