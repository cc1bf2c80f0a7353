"""Build an index of so many documents with the stub encoder, and print the peak memory of the process in MiB.

python -m tests.retrieval.memory_worker FOLDER DOCUMENTS
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.retrieval.stub import StubEncoder, text_of
from textrip.data import spill
from textrip.data.formats import read
from textrip.retrieval.index import Index


def main(folder: Path, documents: int) -> None:
    """Data of a few megabytes are made to go to a file, as a corpus of gigabytes would."""
    spill.MOST_BYTES = 2**20
    path = folder / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for number in range(documents):
            text = f"{text_of(number % 997)} name{number} " * 8
            lines.write(json.dumps({"_id": f"doc-{number:09d}", "text": text}) + "\n")
    began = time.perf_counter()
    with watched() as peak:
        before = peak[0]
        Index.build(read(path), StubEncoder(), folder / "index").close()
    found = {"before": before, "peak": peak[0], "seconds": time.perf_counter() - began}
    print(json.dumps({**found, "corpus": path.stat().st_size / 2**20}))


@contextmanager
def watched() -> Iterator[list[float]]:
    """The most memory of the process's own, looked at every 10 ms; what is mapped of a file is not counted.

    The system takes the pages of a file back when it needs them.
    """
    peak, done = [own_mebibytes()], threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], own_mebibytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def own_mebibytes() -> float:
    """RssAnon of Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
