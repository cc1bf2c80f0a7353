"""Ctrl-C and SIGTERM that get lost on their way.

Python raises KeyboardInterrupt wherever it happens to be, and where that is a finaliser or a callback out
of a library's compiled code, the exception is dropped and the program goes on. So the handler also leaves
a note, and long loops look at it.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which takes the way of Ctrl-C: what was begun is removed."""


_KINDS: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_asked: list[type[KeyboardInterrupt]] = []


def listen() -> None:
    """Handle both signals in this process; in another thread than the main one nothing is done."""
    _asked.clear()
    for number in _KINDS:
        with contextlib.suppress(ValueError):
            signal.signal(number, _handle)


def _handle(number: int, _frame: FrameType | None) -> None:
    _asked.append(_KINDS[number])
    raise _KINDS[number]


@contextlib.contextmanager
def deferring() -> Iterator[None]:
    """Inside, both signals wait for the end of the block: around a library that makes something else of one.

    In another thread than the main one nothing is done; no signal is handled there.
    """
    waiting: list[int] = []
    former: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):
            for number in _KINDS:
                former[number] = signal.getsignal(number)
                signal.signal(number, lambda number, _: waiting.append(number))
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number, handler in former.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in waiting[:1]:
            signal.raise_signal(number)


def raise_if_asked() -> None:
    """Raise the interrupt that was asked for and lost, if there was one."""
    if _asked:
        raise _asked[0]
