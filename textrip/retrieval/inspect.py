"""A full check of an index: every file's digest, every document's seal, every derived count."""

from pathlib import Path
from typing import Any

import numpy as np

from textrip.errors import InputError
from textrip.retrieval.about import require_kept
from textrip.retrieval.derived import FOLDER, Derived, derived_folders
from textrip.retrieval.mend import require_onnx
from textrip.retrieval.store import DocumentStore
from textrip.stamps import require_digests


def problems(folder: Path, about: dict[str, Any], store: DocumentStore) -> list[str]:
    """What is wrong, in words; no stamp is trusted."""
    found = [f"{store.path}: {problem}" for problem in store.check()]
    for check in (require_kept, _encoder, require_onnx):
        try:
            check(folder, about)
        except InputError as error:
            found.append(str(error))
    generation = store.generation
    folders = sorted(derived_folders(folder))
    if not folders:
        found.append(f"{folder / FOLDER}: holds nothing that was derived; textrip index --rebuild makes it")
    for path in folders:
        try:
            derived = Derived.open(path, index_id=about["index_id"], fully=True)
        except InputError as error:
            found.append(f"{error}; textrip index --rebuild makes it again")
            continue
        if derived.generation > generation:
            found.append(f"{path}: is of generation {derived.generation}, the documents are of {generation}")
        elif not found and derived.generation == generation:
            found += _agree(path, derived, store)
    return found


def _encoder(folder: Path, about: dict[str, Any]) -> None:
    require_digests(folder, about["sha256"], fully=True)


def _agree(path: Path, derived: Derived, store: DocumentStore) -> list[str]:
    """Whether the derived vectors are the documents' own."""
    for row, stored in enumerate(store):
        if row >= len(derived) or stored.key != derived.keys[row]:
            return [f"{path}: holds other documents than {store.path.name}"]
        part = derived.vectors[derived.begins[row] : derived.begins[row + 1]]
        if not np.array_equal(part, stored.vectors):
            return [f"{path}: holds another vector for document {stored.document.doc_id!r}"]
    return []
