"""Changes an index without end, noting each change before and after, until it is killed.

python -m tests.retrieval.crash_worker FOLDER SEED
"""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from tests.retrieval.stub import StubEncoder, text_of
from textrip.data.collection import Collection
from textrip.records import Document
from textrip.retrieval import build as build_module
from textrip.retrieval.index import Index

FIRST = {f"d{n:03d}": n for n in range(150)}


def collection(documents: dict[str, int]) -> Collection:
    """Documents by id and the number of their text."""
    return Collection.of("c", [Document(doc_id, "", text_of(n)) for doc_id, n in documents.items()])


def main(folder: Path, seed: int) -> None:
    """Build, then change."""
    build_module._PASSAGES_A_CHUNK = 10
    draw = random.Random(seed)
    index_folder = folder / "index"
    with (folder / "journal.jsonl").open("a", encoding="utf-8") as journal:

        def note(**what: Any) -> None:
            journal.write(json.dumps(what) + "\n")
            journal.flush()
            os.fsync(journal.fileno())

        print("ready", flush=True)
        if not index_folder.exists():
            encoder = StubEncoder()
            Index.build(collection(FIRST), encoder, index_folder, nearest="hnsw").close()
            note(op="built", encoded=encoder.texts)
        index = Index.open(index_folder, encoder=StubEncoder())
        for number in range(10**6):
            ids = [f"d{draw.randrange(200):03d}" for _ in range(draw.randrange(1, 12))]
            op = draw.choice(["add", "add", "delete", "rebuild"])
            change = {doc_id: draw.randrange(10**6) for doc_id in ids} if op == "add" else ids
            note(op=op, number=number, change=change)
            if op == "add":
                index.add(collection(change))  # type: ignore[arg-type]
            elif op == "delete":
                index.delete(ids)
            else:
                index.rebuild()
            note(op="done", number=number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
