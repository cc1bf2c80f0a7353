"""A whole index of a million documents: how long it takes to build, to open and to answer from a cold shell.

The texts are real. Their vectors are those of a file of `textrip encode`, repeated with noise where there are
more documents than vectors: what is measured is time, memory and size, and not whether answers are good.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from textrip.data.formats import read
from textrip.encoding.encoder import Encoder
from textrip.eval.peers.rows import Row
from textrip.eval.peers.search import repeated
from textrip.records import Document
from textrip.retrieval.encoded import documents_of
from textrip.retrieval.index import Index

_OPEN = """
import sys, time
import numpy, onnxruntime, sqlite3
from textrip.retrieval.index import Index
began = time.perf_counter()
index = Index.open(sys.argv[1])
len(index)
opened = time.perf_counter() - began
index.search("a question about anything")
print(opened, time.perf_counter() - began)
"""


def measure(*, data: str, vectors: Path, model: str, nearest: Any, noise: float, rounds: int) -> list[Row]:
    """Build one index and measure it."""
    collection = read(data)
    n = len(collection.corpus)
    case = f"{Path(data).name}, {n:,} documents, {nearest}"
    rows: list[Row] = []

    def note(measure: str, value: float, unit: str) -> None:
        rows.append(Row("textrip", case, measure, value, unit))
        print(f"{case}  {measure}: {value:,.3f} {unit}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = repeated(vectors, n, noise=noise, path=folder / "vectors.npy")
        encoder = Encoder.load(model, device="cpu")
        began = time.perf_counter()
        Index.build(collection, encoder, folder / "index", vectors=made, nearest=nearest).close()
        note("build without encoding", time.perf_counter() - began, "seconds")
        size = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
        note("size on disk", size / 2**20, "MiB")
        opened, first = [], []
        for _ in range(rounds):
            found = _run([sys.executable, "-c", _OPEN, str(folder / "index")]).split()
            opened.append(float(found[0]))
            first.append(float(found[1]))
        note("open", statistics.median(opened) * 1000, "ms")
        note("open and first dense search, in process", statistics.median(first), "seconds")
        command = [
            sys.executable,
            "-m",
            "textrip",
            "search",
            str(folder / "index"),
            "a question about anything",
        ]
        for mode in ("dense", "bm25", "hybrid"):
            seconds = []
            for _ in range(rounds):
                began = time.perf_counter()
                _run([*command, "--mode", mode])
                seconds.append(time.perf_counter() - began)
            note(f"shell to first hit, {mode}", statistics.median(seconds), "seconds")
        with Index.open(folder / "index", encoder=encoder) as index:
            vector = np.ascontiguousarray(made[:1])
            index.search_vectors(vector)
            seconds = []
            for row in range(50):
                asked = np.ascontiguousarray(made[row * 997 % n][None, :])
                began = time.perf_counter()
                index.search_vectors(asked)
                seconds.append(time.perf_counter() - began)
            note("a vector searched, median", statistics.median(seconds) * 1000, "ms")
            began = time.perf_counter()
            index.add([Document("a new one", "", "a text that was not there")])
            note("add a document", time.perf_counter() - began, "seconds")
            began = time.perf_counter()
            index.delete(["a new one"])
            note("delete a document", time.perf_counter() - began, "seconds")
            # Texts that are there already: nothing is encoded, what is derived is worked out anew.
            copies = [
                Document(f"again {document.doc_id}", document.title, document.text)
                for document, _ in documents_of(collection, 0, n // 80)
            ]
            began = time.perf_counter()
            index.add(copies)
            note("add one in 80, without encoding", time.perf_counter() - began, "seconds")
    return rows


def _run(command: list[str]) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return done.stdout
