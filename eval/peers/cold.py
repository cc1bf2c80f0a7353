"""From the shell to the first hit: the whole process, cold, of `textrip search` and of a short script.

The script is what one writes without textrip: sentence-transformers for the question, FAISS for the search,
JSON for the texts. Both answer the same question over the same documents with the same weights; each process
is started anew, in turn, and the median of its wall time counts. The files are in the page cache, as they
are for whoever searches twice.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textrip.data.formats import read
from textrip.encoding.backend import load_backend
from textrip.eval.peers.rows import Row
from textrip.retrieval.index import Index

SCRIPT = "sentence-transformers and FAISS"
_PROGRAM = """
import json, sys
import faiss
from sentence_transformers import SentenceTransformer
folder, question = sys.argv[1:]
model = SentenceTransformer(folder + "/encoder", device="cpu")
index = faiss.read_index(folder + "/vectors.faiss")
documents = json.load(open(folder + "/documents.json", encoding="utf-8"))
scores, rows = index.search(model.encode([question], normalize_embeddings=True), 10)
for rank, (score, row) in enumerate(zip(scores[0], rows[0]), start=1):
    print(rank, round(float(score), 3), documents[row]["doc_id"], documents[row]["text"][:200])
"""


def compare(*, data: str, model: str, question: str, rounds: int) -> list[Row]:
    """Build once, then start every process `rounds` times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = dict(_commands(folder, data, model, question))
        seconds: dict[str, list[float]] = {system: [] for system in commands}
        for number in range(rounds + 1):  # the first fills the page cache
            for system, command in commands.items():
                took = _seconds(command)
                if number:
                    seconds[system].append(took)
    case = f"{Path(data).name}, {model}"
    rows = []
    for system, found in seconds.items():
        rows.append(Row(system, case, "shell to first hit", statistics.median(found), "seconds"))
    return rows


def _commands(folder: Path, data: str, model: str, question: str) -> Iterator[tuple[str, list[str]]]:
    collection = read(data)
    for backend in ("torch", "onnx-int8"):
        with load_backend(model, backend=backend, device="cpu") as (encoder, behind):
            index = Index.build(collection, encoder, folder / backend, model=behind)
        if backend == "torch":
            _script_files(index, folder)
        index.close()
    yield SCRIPT, [sys.executable, "-c", _PROGRAM, str(folder), question]
    textrip = [sys.executable, "-m", "textrip", "search"]
    yield "textrip search", [*textrip, str(folder / "torch"), question]
    yield "textrip search, int8", [*textrip, str(folder / "onnx-int8"), question]
    yield "textrip search --mode hybrid", [*textrip, str(folder / "torch"), question, "--mode", "hybrid"]
    yield "textrip search --mode bm25", [*textrip, str(folder / "torch"), question, "--mode", "bm25"]
    yield "textrip search, on torch", [*textrip, str(folder / "without"), question]
    # The same index without ONNX: what each part gives.
    with load_backend(model, device="cpu") as (encoder, _):
        Index.build(collection, encoder, folder / "without", onnx=False).close()


def _script_files(index: Index, folder: Path) -> None:
    import faiss

    vectors: Any = index.vectors
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    faiss.write_index(flat, str(folder / "vectors.faiss"))
    documents = [
        {"doc_id": stored.document.doc_id, "text": stored.document.full_text} for stored in index.store
    ]
    (folder / "documents.json").write_text(json.dumps(documents), encoding="utf-8")
    index.torch_encoder().save(folder / "encoder")


def _seconds(command: list[str]) -> float:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    took = time.perf_counter() - began
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"{' '.join(command[:4])}: {done.stderr.decode()[-500:]}")
    return took
