"""What an index says of itself: index.json, and the copy in the store from which it is restored."""

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from textrip.encoding.approximate import Kind
from textrip.encoding.onnx import DIMENSIONS
from textrip.errors import DamagedError, InputError
from textrip.fields import TEXTS, Exactly, require_fields
from textrip.files import as_json, parse_json, read_json, write_sealed_json
from textrip.replacing import replacing
from textrip.retrieval.connection import connect_reading
from textrip.retrieval.fusion import Fusion
from textrip.retrieval.layout import FORMAT, KIND, STORE, rebuilding, require_inside
from textrip.retrieval.store_writer import StoreWriter

ABOUT = "index.json"
_KEPT = "about"
_FIELDS = {
    "index_id": str,
    "encoder": {
        "name": str,
        "fingerprint": str,
        "precision": str,
        "dimension": DIMENSIONS,
        "max_length_tokens": range(1, 2**63),
        "onnx": bool,
        "torch": bool,
    },
    "analyzer": dict,
    "cutting": Exactly(tokens=range(2**31), overlap=range(2**31)),
    "nearest": get_args(Kind),
    "fusion": Exactly(weight=(float, int, NoneType), tuned_on=(str, NoneType), queries=range(2**63)),
    "sha256": TEXTS,
}


def require_index(folder: Path) -> None:
    """Raise InputError where a folder has nothing of an index, before all of it is looked through."""
    if not any(os.path.lexists(folder / name) for name in (ABOUT, STORE)):
        raise InputError(f"{folder}: is no index (it has no {ABOUT}); {_instead(folder)}")


def read_about(folder: Path) -> dict[str, Any]:
    """Read index.json.

    Raises:
        DamagedError: it is damaged, or missing beside the documents.
        InputError: there is no index, or it is of another kind or a newer format.
    """
    try:
        return _read(folder / ABOUT)
    except DamagedError as error:
        if not (folder / STORE).is_file():
            require_index(folder)
            raise
        raise DamagedError(f"{error}; the documents are there: {rebuilding(folder)}") from None


def _instead(folder: Path) -> str:
    """What whoever named another folder may have wanted."""
    inside = folder / "index"
    if (inside / ABOUT).is_file():
        return f"there is one in {inside}"
    if (folder / "modules.json").is_file():  # of sentence-transformers
        return f"it holds a model: textrip index DATA --model {shlex.quote(str(folder))} -o INDEX builds one"
    return f"textrip index {shlex.quote(str(folder))} -o INDEX builds one where it holds data"


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path, kind=KIND, version=FORMAT, sealed=True)
    _require_sound(found, path)
    return found


def _require_sound(about: dict[str, Any], path: Path) -> None:
    if about["format"] == FORMAT:
        require_fields(about, _FIELDS, path)


def note_about(folder: Path, writer: StoreWriter, values: Mapping[str, Any]) -> dict[str, Any]:
    """Change what index.json says, in one step, and its copy; what it says then.

    Raises:
        InputError: a value that is not to be changed, or that no index could be opened with.
        StorageError: another process has been writing for half a minute, or the disk refused.
    """
    fixed = sorted({"kind", "format", "seal_sha256", *_FIELDS}.intersection(values) - {"fusion"})
    if fixed:
        raise InputError(f"{folder}: {fixed[0]} is what the index was built with, and is not to be noted")
    path = folder / ABOUT
    with writer.locked():
        # What another process noted meanwhile stays.
        about = read_about(folder)
        about.pop("seal_sha256", None)
        try:
            about |= as_json(dict(values))
            _require_sound(about, path)
            Fusion.from_dict(about["fusion"])
        except (InputError, ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{error}; nothing was noted") from None
        for left in folder.glob(".index.json.*.tmp"):  # of a process that died
            left.unlink(missing_ok=True)
        with replacing(path, force=True) as temporary:
            write_sealed_json(temporary, about)
        keep_about(folder, writer)
    return about


def keep_about(folder: Path, writer: StoreWriter) -> None:
    """Keep a copy of index.json with the documents; inside `writer.locked()`."""
    writer.remember(_KEPT, (folder / ABOUT).read_text(encoding="utf-8"))


def require_kept(folder: Path, about: dict[str, Any]) -> None:
    """Raise DamagedError where the copy is not whole, or of another index.

    It may lack the last note of index.json, or be ahead of it by one: a process died between the two.
    """
    kept = _kept(folder / STORE) or ""
    copy = parse_json(kept, folder / STORE / _KEPT, kind=KIND, version=FORMAT, sealed=True)
    _require_sound(copy, folder / STORE / _KEPT)
    if copy["index_id"] != about["index_id"]:
        raise DamagedError(f"{folder / STORE}: its copy of {ABOUT} is of another index")


def restore_about(folder: Path) -> bool:
    """Write index.json again where it is missing or damaged; whether it was.

    Raises:
        DamagedError: the documents have no copy of it that is whole.
    """
    require_index(folder)
    require_inside(folder)
    try:
        read_about(folder)
    except DamagedError:
        kept = _kept(folder / STORE)
        if kept is None:
            raise
        with replacing(folder / ABOUT, force=True) as temporary:
            temporary.write_text(kept, encoding="utf-8")
            _read(temporary)
        return True
    return False


def _kept(store: Path) -> str | None:
    if store.is_file():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(connect_reading(store)) as database:
            for (value,) in database.execute("SELECT value FROM state WHERE name = ?", [_KEPT]):
                return str(value)
    return None
