"""A reader or the writer of one index, for so many seconds; failures as lines on stdout, then a count.

python -m tests.retrieval.together_worker read|write FOLDER SECONDS
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.retrieval.stub import StubEncoder, text_of
from textrip.records import Document
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Index

DOCUMENTS = 12


def state(number: int) -> list[Any]:
    """All documents of a state: each carries its number, and half of them change their text."""
    return [
        (Document(f"d{n:02d}", "", f"zeppelin {text_of(n + number * (n % 2))}"), {"state": number})
        for n in range(DOCUMENTS)
    ]


def write(folder: Path, seconds: float) -> Iterator[str]:
    """One transaction a state, each published once it is committed; what is derived is rebuilt by itself."""
    number = 0
    with Index.open(folder, encoder=StubEncoder()) as index:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            number += 1
            index.add(state(number))
            (folder.parent / "next").write_text(str(number))
            (folder.parent / "next").replace(folder.parent / "published")
        yield from index.check()
    yield str(number)


def read(folder: Path, seconds: float) -> Iterator[str]:
    """Search without end; an answer is of one state, and none that is older than what was published."""
    done = 0
    with Index.open(folder, encoder=StubEncoder()) as index:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            least, mode = 0, MODES[done % 3]
            with contextlib.suppress(FileNotFoundError):
                least = int((folder.parent / "published").read_text())
            for hits in index.search_many(["rose", "zeppelin"], k=DOCUMENTS, mode=mode):
                numbers = {hit.metadata["state"] for hit in hits}
                if len(numbers) > 1:
                    yield f"torn: {numbers}"
                if numbers and min(numbers) < least:
                    yield f"stale: {numbers} after {least}"
                if mode == "dense" and len(hits) != DOCUMENTS:
                    yield f"{len(hits)} of {DOCUMENTS} documents"
            done += 1
    yield str(done)


if __name__ == "__main__":
    role, place, duration = sys.argv[1:]
    for line in {"read": read, "write": write}[role](Path(place), float(duration)):
        print(line, flush=True)
