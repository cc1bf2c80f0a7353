"""FAISS and torch in a process that is forked: a child has none of OpenMP's threads.

What the thread that forked had computed with several of them it would ask of them again, and wait for ever.
With one thread it asks nobody. Threads that the child begins are not concerned: each has others of its own.
"""

import functools
from typing import Any

from textrip.forked import in_child


@functools.cache
def faiss_library() -> Any:
    """FAISS; after torch where that is loaded, as it is wherever both are needed (two OpenMP run-times)."""
    import faiss

    in_child(functools.partial(faiss.omp_set_num_threads, 1))
    return faiss


@functools.cache
def prepare_torch() -> None:
    """Before torch computes something."""
    import torch

    in_child(functools.partial(torch.set_num_threads, 1))
