"""Documents as blocks of term numbers, cut into terms on several processors where they are many.

A block has its own vocabulary, in the order in which its terms were met. Blocks come in the order of their
documents, so that what is counted from them is the same on any number of processes.
"""

import multiprocessing
import os
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from textrip import processes
from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer

_DOCUMENTS_A_BLOCK = 2000
# Fewer documents are done before other processes have started.
_PARALLEL_FROM = 60_000
# So many blocks a process are on their way: what waits is memory.
_WAITING = 3
# So often a worker looks whether its parent is there.
_WATCH_SECONDS = 1.0

Tokens = Sequence[str]
T = TypeVar("T")


class Block(NamedTuple):
    """Some documents.

    Attributes:
        terms: That occur in them, in the order in which they were met.
        occurrences: (tokens,) int32, places in `terms`, document by document.
        lengths: (documents,) int32.
    """

    terms: list[str]
    occurrences: NDArray[np.int32]
    lengths: NDArray[np.int32]


class Analyzed:
    """Texts and what cuts them into terms: a corpus for BM25 that need not be cut in one process.

    Args:
        texts: Read once.
        analyzer: Cuts them.
        workers: How many processes; as many as processors where None, and one where the texts are few.
    """

    def __init__(self, texts: Iterable[str], analyzer: Analyzer, *, workers: int | None = None) -> None:
        self._texts = texts
        self._analyzer = analyzer
        self._workers = workers

    def blocks(self) -> Iterator[Block]:
        """The documents, in their order."""
        workers = processes.threads() if self._workers is None else self._workers
        # One of several that train together shares the processors; a daemon may have no children.
        if processes.count() > 1 or multiprocessing.current_process().daemon:
            workers = 1
        texts = iter(self._texts)
        if workers > 1:
            first = list(islice(texts, _PARALLEL_FROM))
            if len(first) < _PARALLEL_FROM:
                workers = 1
            texts = chain(first, texts)
            del first
        if workers == 1:
            return (block_of(part, self._analyzer) for part in _parts(texts))
        return _on(workers, _parts(texts), self._analyzer)


def block_of(documents: Iterable[Any], analyzer: Callable[[Any], Tokens]) -> Block:
    """The block of some documents.

    Raises:
        InputError: the analyzer gives a string, which would be read letter by letter.
    """
    numbers: dict[str, int] = {}
    occurrences, lengths = array("i"), array("i")
    for document in documents:
        tokens = analyzer(document)
        if isinstance(tokens, str):
            raise InputError("a document is a string, a list of tokens was expected; analyze it first")
        occurrences.extend([numbers.setdefault(token, len(numbers)) for token in tokens])
        lengths.append(len(tokens))
    return Block(list(numbers), np.asarray(occurrences, np.int32), np.asarray(lengths, np.int32))


def blocks_of_tokens(corpus: Iterable[Tokens]) -> Iterator[Block]:
    """The blocks of documents that are lists of tokens already."""
    return (block_of(part, lambda tokens: tokens) for part in _parts(corpus))


def _parts(documents: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(documents)
    return iter(lambda: list(islice(rest, _DOCUMENTS_A_BLOCK)), [])


def _end_with(parent: int) -> None:
    """End when the parent is gone: loky's workers wait for ever for one that was killed."""

    def watch() -> None:
        # Elsewhere than on Windows an orphan has another parent, at once.
        while psutil.Process().ppid() == parent and psutil.pid_exists(parent):
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _block(texts: list[str], about: tuple[tuple[str, Any], ...]) -> Block:
    return block_of(texts, _analyzer(about))


@lru_cache(1)
def _analyzer(about: tuple[tuple[str, Any], ...]) -> Analyzer:
    return Analyzer.from_dict(dict(about))


def _on(workers: int, parts: Iterator[list[str]], analyzer: Analyzer) -> Iterator[Block]:
    # Its processes do not import the program that runs: one without a main guard would begin again in each.
    from loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(max_workers=workers, initializer=_end_with, initargs=(os.getpid(),))
    pending: deque[Any] = deque()
    try:
        for part in parts:
            pending.append(executor.submit(_block, part, tuple(analyzer.to_dict().items())))
            if len(pending) >= _WAITING * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=True, kill_workers=bool(pending))
