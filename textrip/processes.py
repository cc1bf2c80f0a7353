"""Several processes that train together, as torchrun and accelerate's launcher start them; without torch.

Both set WORLD_SIZE, RANK and LOCAL_RANK. The first process writes and talks; the others compute.
"""

import os


def count() -> int:
    """How many processes there are: 1 where none was launched."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number; the first is 0."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """This process's number on its machine, which is the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether this process is the one that writes and talks."""
    return rank() == 0
