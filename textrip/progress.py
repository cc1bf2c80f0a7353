"""Progress for long loops: a library is silent, a command line shows bars on a terminal's stderr.

The reporter is a context variable, so that the functions that loop need not hand one another a bar.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Advance = Callable[[int], None]
Say = Callable[[str], None]

_bars: ContextVar[bool] = ContextVar("textrip_bars", default=False)
_say: ContextVar[Say | None] = ContextVar("textrip_say", default=None)


@contextmanager
def reporting(*, bars: bool, say: Say | None) -> Iterator[None]:
    """Show bars (where stderr is a terminal) and hand remarks to `say` inside the block."""
    tokens = _bars.set(bars and sys.stderr.isatty()), _say.set(say)
    try:
        yield
    finally:
        _bars.reset(tokens[0])
        _say.reset(tokens[1])


def shows_bars() -> bool:
    """Whether a bar is seen: a library's own ones go by it, too."""
    return _bars.get()


def say(remark: str) -> None:
    """One line for the person who waits; nothing where nobody listens."""
    listener = _say.get()
    if listener is not None:
        listener(remark)


@contextmanager
def advancing(description: str, total: int | None) -> Iterator[Advance]:
    """Yield a function that moves a bar on by n steps."""
    if not _bars.get():
        yield lambda _steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)
