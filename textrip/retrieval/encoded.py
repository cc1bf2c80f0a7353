"""Documents of a collection with their vectors: encoded, or found where their text was encoded before."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import InputError
from textrip.progress import say
from textrip.records import Document
from textrip.retrieval.passages import Cutting
from textrip.retrieval.store import DocumentStore, Stored, text_digest

# Rows read at once.
_ROWS_READ = 1024


class Sources:
    """Stores whose vectors may be used again; one that turns out to be damaged is left alone."""

    def __init__(self, paths: Sequence[Path], dimension: int) -> None:
        self._stores: list[DocumentStore] = []
        for path in paths:
            with contextlib.suppress(InputError):
                self._stores.append(DocumentStore(path, dimension=dimension))

    def find(self, digests: Sequence[bytes]) -> dict[bytes, Stored]:
        """For each text that one of them has, by its digest, a document with it."""
        found: dict[bytes, Stored] = {}
        for store in list(self._stores):
            try:
                found |= store.by_digest([digest for digest in digests if digest not in found])
            except InputError as error:
                say(f"{error}; its vectors are made again")
                self._stores.remove(store)
                store.close()
        return found

    def close(self) -> None:
        """Let their files go."""
        for store in self._stores:
            store.close()


def documents_of(collection: Collection, first: int, last: int) -> Iterator[tuple[Document, dict[str, Any]]]:
    """Documents with their metadata, rows [first, last) of a collection."""
    for start in range(first, min(last, len(collection.corpus)), _ROWS_READ):
        rows = collection.corpus[start : min(start + _ROWS_READ, last)]
        for place in range(len(rows["doc_id"])):
            metadata = json.loads(rows["metadata"][place]) if "metadata" in rows else {}
            if rows.get("label") is not None and rows["label"][place]:
                metadata = _labelled(metadata, rows["label"][place], rows["doc_id"][place])
            yield Document(rows["doc_id"][place], rows["title"][place], rows["text"][place]), metadata


def require_labels(collection: Collection) -> None:
    """Raise InputError where a document's label and a column of that name differ, before anything is made."""
    if {"metadata", "label"} <= set(collection.corpus.column_names):
        for _ in documents_of(collection, 0, len(collection.corpus)):
            pass


def _labelled(metadata: dict[str, Any], label: str, doc_id: str) -> dict[str, Any]:
    """A row's metadata with its label; InputError where another column has its name, and says otherwise."""
    if str(metadata.get("label", label)) != label:
        raise InputError(
            f"document {doc_id!r}: its label is {label!r}, and a column 'label' beside it says "
            f"{metadata['label']!r}; one of them would be lost: rename that column in the data, "
            "or name it with --label-column"
        )
    return {**metadata, "label": label}


def encoded(
    documents: Sequence[tuple[Document, Mapping[str, Any]]],
    encoder: TextEncoder,
    cutting: Cutting,
    *,
    known_vectors: Callable[[Sequence[bytes]], dict[bytes, Stored]],
    vectors: NDArray[np.float32] | None = None,
) -> tuple[list[Stored], int]:
    """Documents with their passages' vectors, and how many of them were found in other stores."""
    texts = [document.full_text for document, _ in documents]
    known: dict[bytes, Stored] = {}
    if vectors is None:
        marks = [text_digest(text) for text in texts]
        known = known_vectors(list(dict.fromkeys(marks)))
        new = [row for row, mark in enumerate(marks) if mark not in known]
    else:
        marks, new = [], list(range(len(texts)))
    spans = dict(zip(new, cutting.spans(encoder, [texts[row] for row in new]), strict=True))
    pieces = [texts[row][begin:end] for row in new for begin, end in spans[row].tolist()]
    made = encoder.encode(pieces) if vectors is None else vectors
    stored, place = [], 0
    for row, (document, metadata) in enumerate(documents):
        if row in spans:
            count = len(spans[row])
            stored.append(Stored(document, metadata, spans[row], made[place : place + count]))
            place += count
        else:
            found = known[marks[row]]
            stored.append(Stored(document, metadata, found.spans, found.vectors))
    return stored, len(documents) - len(new)
