"""What an index says of itself: index.json, and the copy in the store from which it is restored."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from textrip.errors import DamagedError
from textrip.files import parse_json, read_json, replacing
from textrip.retrieval.connection import connect_reading
from textrip.retrieval.layout import FORMAT, KIND, STORE, require_inside
from textrip.retrieval.store_writer import StoreWriter

ABOUT = "index.json"
_KEPT = "about"


def read_about(folder: Path) -> dict[str, Any]:
    """Read index.json.

    Raises:
        DamagedError: it is missing or damaged.
        InputError: it is of another kind or a newer format.
    """
    try:
        return read_json(folder / ABOUT, kind=KIND, version=FORMAT, sealed=True)
    except DamagedError as error:
        if not (folder / STORE).is_file():
            raise
        raise DamagedError(f"{error}; the documents are there: textrip index {folder} --rebuild") from None


def keep_about(folder: Path, writer: StoreWriter) -> None:
    """Keep a copy of index.json with the documents; inside `writer.locked()`."""
    writer.remember(_KEPT, (folder / ABOUT).read_text(encoding="utf-8"))


def require_kept(folder: Path, about: dict[str, Any]) -> None:
    """Raise DamagedError where the copy is not whole, or of another index.

    It may lack the last note of index.json, or be ahead of it by one: a process died between the two.
    """
    kept = _kept(folder / STORE) or ""
    copy = parse_json(kept, folder / STORE / _KEPT, kind=KIND, version=FORMAT, sealed=True)
    if copy["index_id"] != about["index_id"]:
        raise DamagedError(f"{folder / STORE}: its copy of {ABOUT} is of another index")


def restore_about(folder: Path) -> bool:
    """Write index.json again where it is missing or damaged; whether it was.

    Raises:
        DamagedError: the documents have no copy of it that is whole.
    """
    require_inside(folder)
    try:
        read_about(folder)
    except DamagedError:
        kept = _kept(folder / STORE)
        if kept is None:
            raise
        with replacing(folder / ABOUT, force=True) as temporary:
            temporary.write_text(kept, encoding="utf-8")
            read_json(temporary, kind=KIND, version=FORMAT, sealed=True)
        return True
    return False


def _kept(store: Path) -> str | None:
    if store.is_file():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(connect_reading(store)) as database:
            for (value,) in database.execute("SELECT value FROM state WHERE name = ?", [_KEPT]):
                return str(value)
    return None
