"""The states of an index: what a search reads is of one of them, the newest there is when it begins."""

import contextlib
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from textrip.encoding.approximate import GoneError, Kind
from textrip.errors import InputError
from textrip.forked import watch
from textrip.lexical.analyzer import Analyzer
from textrip.progress import say
from textrip.retrieval.connection import connect_reading, state_of
from textrip.retrieval.derived import Derived, derive, has_newer, open_newest
from textrip.retrieval.layout import STORE, rebuilding
from textrip.retrieval.snapshot import Snapshot
from textrip.retrieval.store import DocumentStore

# A state that was superseded before it was read is given up for the next one so often.
_ATTEMPTS = 20

T = TypeVar("T")


class _SupersededError(Exception):
    """What was derived from the state that a transaction sees has given way to something newer."""

    def __init__(self, generation: int) -> None:
        super().__init__(generation)
        self.generation = generation


class States:
    """Holds the newest state that was read, for all threads, and reads the next one when there is one.

    Args:
        folder: The index.
        store: Its documents.
        index_id: Its id.
        analyzer: Counts the words of what came since the derivation.
        nearest: For a derivation of its own, where the index has none that is whole.
    """

    def __init__(
        self, folder: Path, store: DocumentStore, *, index_id: str, analyzer: Analyzer, nearest: Kind
    ) -> None:
        self._folder = folder
        self._store = store
        self._index_id = index_id
        self._analyzer = analyzer
        self._nearest = nearest
        self._lock = threading.RLock()
        self._held: Snapshot | None = None
        # Of what it worked out for itself, the folder's removal.
        self._temporary: weakref.finalize[..., Any] | None = None
        watch(self)

    def read(self, function: Callable[[Snapshot], T]) -> T:
        """What a function reads of one state.

        Raises:
            InputError: the index was built anew, is being rebuilt faster than it can be opened, or its
                documents are of an earlier day than what was derived from them.
        """
        superseded = -1
        for _ in range(_ATTEMPTS):
            try:
                with self._store.snapshot():
                    return function(self._snapshot())
            except _SupersededError as error:
                superseded = error.generation
            except GoneError:  # taken away for another of the same documents
                self.forget()
        with contextlib.closing(connect_reading(self._store.path)) as connection:
            newest = state_of(connection, "generation")
        # What is derived was committed before: but for the transaction that is open here, it is there.
        if newest == str(superseded):
            raise InputError(
                f"{self._folder}: its documents are older than what was derived from them (a former {STORE}, "
                "or one without the -wal that was beside it); put the newer one back, or take them as they "
                f"are: {rebuilding(self._folder)}"
            )
        raise InputError(f"{self._folder}: is being rebuilt faster than it can be opened; search again")

    def forget(self) -> None:
        """Open what is derived anew at the next reading."""
        with self._lock:
            self._held = None

    def close(self) -> None:
        """Let go of what is held."""
        self.forget()
        if self._temporary is not None:
            self._temporary()

    def after_fork(self) -> None:
        """A lock that another thread had is nobody's here, and the temporary folder is the parent's."""
        self._lock = threading.RLock()
        if self._temporary is not None:
            self._temporary.detach()

    def _snapshot(self) -> Snapshot:
        """The state that the thread's transaction sees."""
        generation = self._store.generation
        with self._lock:
            held = self._held
            if held is None or held.generation != generation:
                held = Snapshot(self._store, self._derived(generation), self._analyzer, held)
                # A thread that began earlier sees an older state, and keeps it to itself.
                if self._held is None or self._held.generation < generation:
                    self._held = held
            return held

    def _derived(self, generation: int) -> Derived:
        since = int(self._store.state("known_since"))
        found = open_newest(self._folder, index_id=self._index_id, since=since, until=generation)
        held = self._held.base if self._held is not None else None
        if (
            held is not None
            and since <= held.generation <= generation
            and (found is None or found.generation <= held.generation)
        ):
            return held  # though its files be gone, what is mapped is there
        if found is not None:
            return found
        if has_newer(self._folder, generation):
            raise _SupersededError(generation)
        say(
            f"{self._folder}: has nothing derived that is whole; working it out from the documents, as every "
            f"search will until {rebuilding(self._folder)}"
        )
        if self._temporary is not None:
            self._temporary()
        temporary = Path(tempfile.mkdtemp(prefix="textrip-"))
        self._temporary = weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        folder = temporary / "derived"
        derive(self._store, folder, index_id=self._index_id, analyzer=self._analyzer, nearest=self._nearest)
        return Derived.open(folder, index_id=self._index_id)
