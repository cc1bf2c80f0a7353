"""Threads that share a torch model take turns: its mode and its tokenizer's are states of the whole model.

One that ended its work while another was in the middle would bring back dropout, or the cutting of texts,
under the other's hands. Compiled code takes all processors for one batch anyway.
"""

import threading
import weakref
from typing import Any

from textrip.forked import in_child

_turns: "weakref.WeakKeyDictionary[Any, threading.RLock]" = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def turn(model: Any) -> "threading.RLock":
    """What a thread holds while it works with a torch module, or asks its tokenizer; it may be held again."""
    with _guard:
        return _turns.setdefault(model, threading.RLock())


def _after_fork() -> None:
    """A thread that held one is none of the new process."""
    global _guard  # noqa: PLW0603  # the lock itself may have been held
    _guard = threading.Lock()
    _turns.clear()


in_child(_after_fork)
