"""Forks while an index is open, as a web server does whose workers have what the first process opened.

python -m tests.retrieval.forked_worker FOLDER

The parent searches, forks a child, and changes the index when the child has searched; the child searches
again and ends as a program does. What each of them finds is a line of JSON.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.stub import StubEncoder, text_of
from textrip.records import Document
from textrip.retrieval.index import Index

MANY = [text_of(number) for number in range(64)]  # so many that FAISS takes all its threads
PATIENCE = 60


def found(index: Index, who: str) -> None:
    """Print what the index says, and whose its database's connection is."""
    with index.store._connections.use() as connection:
        seen: dict[str, Any] = {"who": who, "connection": id(connection)}
    seen["best"] = [hits[0].doc_id for hits in index.search_many(MANY, k=1)]
    seen["new"] = [hit.doc_id for hit in index.search("zeppelin", mode="bm25")]
    os.write(1, json.dumps(seen).encode() + b"\n")


def read_on(index: Index, reading: threading.Event, read: threading.Event) -> None:
    """Be in the middle of a query, with SQLite's locks, until somebody says so."""

    def nap() -> None:
        reading.set()
        read.wait(PATIENCE)

    with index.store._connections.use() as connection:
        connection.create_function("nap", 0, nap)
        connection.execute("SELECT nap()").fetchone()


def main() -> None:
    """Both processes' way."""
    index = Index.open(Path(sys.argv[1]), encoder=StubEncoder())
    found(index, "parent")
    searched, changed = os.pipe(), os.pipe()
    reading, read = threading.Event(), threading.Event()
    reader = threading.Thread(target=read_on, args=(index, reading, read))
    reader.start()
    reading.wait()
    index.states._lock.acquire()  # as by another thread, in the middle of a search
    child = os.fork()
    if child:
        read.set()
        reader.join()
        index.states._lock.release()
    signal.alarm(PATIENCE)
    if not child:
        assert threading.active_count() == 1
        found(index, "child")
        os.write(searched[1], b"x")
        os.read(changed[0], 1)
        found(index, "child")
        sys.exit(0)
    os.read(searched[0], 1)
    index.add([Document("new", "", "zeppelin")])
    os.write(changed[1], b"x")
    _, status = os.waitpid(child, 0)
    found(index, "parent")
    if index.states._temporary is not None:  # what it worked out for itself is still there
        _, _, (folder,), _ = index.states._temporary.peek() or pytest.fail("it is gone")
        assert folder.is_dir()
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
