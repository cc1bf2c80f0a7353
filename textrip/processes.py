"""Several processes that train together, as torchrun and accelerate's launcher start them; without torch.

Both set WORLD_SIZE, RANK and LOCAL_RANK. The first process writes and talks; the others compute. And how many
threads each of them may use.
"""

import os
import signal
import time

from textrip.errors import InputError

PATIENCE = 30.0  # seconds; a busy machine's other process is there by then, and nobody waits for long


def _number(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal():
        raise InputError(f"{name} is {value!r} in the environment; a launcher's number was expected")
    return int(value)


def count() -> int:
    """How many processes there are: 1 where none was launched."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """This process's number; the first is 0, and so is one alone, whatever a job of a cluster says."""
    return _number("RANK", 0) if count() > 1 else 0


def require_launched() -> None:
    """Raise InputError where there are to be several processes, and no launcher started this one.

    What is left of a launcher in the environment would wait for the others, which never come.
    """
    world = count()
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if world > 1 and missing:
        raise InputError(
            f"WORLD_SIZE is {world} in the environment and {', '.join(missing)} not there: start it with "
            "torchrun or accelerate launch, or unset WORLD_SIZE"
        )
    if rank() >= world:
        raise InputError(
            f"RANK is {rank()} and WORLD_SIZE {world} in the environment; 0 to {world - 1} was expected"
        )


def local_rank() -> int:
    """This process's number on its machine, which is the number of its GPU."""
    return _number("LOCAL_RANK", 0)


def is_first() -> bool:
    """Whether this process is the one that writes and talks."""
    return rank() == 0


def leave_it_to_the_first() -> None:
    """Wait, in another process than the first, until the launcher ends this one or PATIENCE is over.

    A launcher ends all processes once one has ended. Bad input is found by all of them and told by the first:
    one that left before would take the first with it, and nothing would be said. What only this process found
    is its own to say, after the wait.
    """
    if not is_first():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # an end without a word
        time.sleep(PATIENCE)


def threads() -> int:
    """How many threads, or processes in their place, may compute: OMP_NUM_THREADS, else the processors."""
    return threads_wanted() or (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def threads_wanted() -> int:
    """What OMP_NUM_THREADS asks for, which may be a list by level; 0 where it says nothing."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() else 0
