"""FAISS, as it can be used in a process that is forked."""

import functools
from typing import Any

from textrip.forked import in_child


@functools.cache
def faiss_library() -> Any:
    """FAISS; after torch where that is loaded, as it is wherever both are needed (two OpenMP run-times)."""
    import faiss

    # A child has none of OpenMP's threads, and what the thread that forked asks of several waits for ever.
    in_child(functools.partial(faiss.omp_set_num_threads, 1))
    return faiss
