"""An index of the tiny collection: its files, its answers, and whether two answers are the same."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from textrip.records import Hit
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Index

QUERIES = ["plants rose compost", "ships gull anchor", "songs opera opera", "astronomy"]
PROMPTS = {"query": "query : "}
DERIVED = [
    "begins.npy",
    "counts.npy",
    "derived.json",
    "doc_indices.npy",
    "ids.blob.npy",
    "ids.offsets.npy",
    "indptr.npy",
    "keys.npy",
    "lengths.npy",
    "order.npy",
    "terms.blob.npy",
    "terms.offsets.npy",
    "vectors.npy",
]
FILES = [
    *(f"derived/G/{name}" for name in DERIVED),
    "documents.sqlite",
    "encoder/1_Pooling/config.json",
    "encoder/2_Normalize/config.json",
    "encoder/config.json",
    "encoder/config_sentence_transformers.json",
    "encoder/model.safetensors",
    "encoder/modules.json",
    "encoder/sentence_bert_config.json",
    "encoder/tokenizer.json",
    "encoder/tokenizer_config.json",
    "index.json",
    "onnx/model.onnx",
    "onnx/onnx.json",
    "onnx/tokenizer.json",
]
# Notes, logs and the lock, which come and stay as the index is used.
PASSING = {".lock", "stamps.json", "documents.sqlite-wal", "documents.sqlite-shm"}


@contextmanager
def opened(folder: Path, **how: Any) -> Iterator[Index]:
    index = Index.open(folder, **{"device": "cpu", **how})
    try:
        yield index
    finally:
        index.close()


def answers(folder: Path) -> list[list[list[Hit]]]:
    """Everything for every query in every mode, by the index's own encoder."""
    with opened(folder) as index:
        return [index.search_many(QUERIES, k=60, mode=mode) for mode in MODES]


def close(one: list[list[list[Hit]]], other: list[list[list[Hit]]]) -> bool:
    """The same hits; scores of another run-time differ in their last digits."""
    return all(
        [replace(hit, score=0.0) for hit in a] == [replace(hit, score=0.0) for hit in b]
        and [hit.score for hit in a] == pytest.approx([hit.score for hit in b], abs=1e-5)
        for some, others in zip(one, other, strict=True)
        for a, b in zip(some, others, strict=True)
    )


def files_of(folder: Path) -> list[str]:
    """Paths below a folder; G stands for a generation's folder."""
    return sorted(
        re.sub(r"derived/\d{8}-[0-9a-f]{8}", "derived/G", str(path.relative_to(folder)))
        for path in folder.rglob("*")
        if path.is_file() and path.name not in PASSING
    )


def place_of(folder: Path, name: str) -> Path:
    (generation,) = (folder / "derived").iterdir()
    return folder / name.replace("derived/G", f"derived/{generation.name}")
