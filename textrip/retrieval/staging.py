"""The folder beside an index in which the next one grows: locked, gone on with, and put in its place."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textrip.alone import LOCK, holding
from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.errors import InputError, StorageError
from textrip.files import read_json, write_sealed_json
from textrip.progress import say
from textrip.replacing import move_into_place
from textrip.retrieval.connection import connect_reading, state_of
from textrip.retrieval.layout import FORMAT, JOURNAL, KIND, STORE, refuse_link, require_inside
from textrip.retrieval.store_writer import StoreWriter

_BUILDING = "building.json"


@contextlib.contextmanager
def staged(staging: Path, identity: dict[str, Any]) -> Iterator[list[Path]]:
    """The folder in which an index grows; yields stores whose vectors may be used again.

    What is left of a build that died is kept where it is of the same encoder and cutting.
    """
    refuse_link(staging)
    staging.mkdir(parents=True, exist_ok=True)
    refuse_link(staging / LOCK)
    with holding(staging, "another process is building this index"):
        (staging / JOURNAL).unlink(missing_ok=True)  # of a store without a document, or from elsewhere
        require_inside(staging)
        spare = [staging / STORE] if reusable(staging, identity) else []
        if not spare:
            _clear(staging)
        for left in staging.iterdir():
            if left.is_dir():  # derived, encoder and onnx are made at the end
                shutil.rmtree(left)
        (staging / "index.json").unlink(missing_ok=True)
        write_sealed_json(staging / _BUILDING, {"kind": KIND, "format": FORMAT, "vectors_of": identity})
        try:
            yield [*spare, *sorted(staging.glob("quarry-*.sqlite"))]
        except BaseException:
            kept = documents_in(staging / STORE)
            if kept:
                say(f"{kept:,} documents are kept in {staging}; the same command goes on from there")
            else:
                shutil.rmtree(staging, ignore_errors=True)
            raise


def _clear(staging: Path) -> None:
    """Remove all but the lock, which is held."""
    for left in staging.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()


def reusable(folder: Path, identity: dict[str, Any]) -> list[Path]:
    """A folder's store where its vectors are those of the same encoder and cutting."""
    for name in (_BUILDING, "index.json"):
        with contextlib.suppress(InputError):
            found = read_json(folder / name, kind=KIND, version=FORMAT, sealed=True)
            if found.get("vectors_of") == identity and (folder / STORE).is_file():
                return [folder / STORE]
    return []


@contextlib.contextmanager
def _nobody_writing(folder: Path) -> Iterator[None]:
    """Keep writers of the index that gives way from committing to what is about to be gone."""
    if not (folder / STORE).is_file():
        yield
        return
    try:
        writer = StoreWriter.open(folder / STORE)
    except StorageError:  # it is damaged: nobody writes to it
        yield
        return
    with contextlib.closing(writer), writer.locked():
        yield


def documents_in(path: Path) -> int:
    """How many documents a store holds; 0 where there is none that can be read."""
    with contextlib.suppress(sqlite3.Error, TypeError), contextlib.closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM documents").fetchone()[0])
    return 0


def take_the_place(staging: Path, folder: Path, *, seen: tuple[str | None, ...]) -> None:
    """What was built is complete, and becomes the index; nobody writes to the one that gives way.

    Args:
        staging: What was built.
        folder: Where.
        seen: What `state_there` said before it was built.

    Raises:
        StorageError: documents came or went there meanwhile, who knows which: nobody was told.
    """
    with _nobody_writing(folder):
        if seen and state_there(folder) not in {seen, ()}:
            raise StorageError(
                f"{folder}: was changed while its successor was built, and stays as it is; see that the data "
                "has the change, or that it may go: the same command replaces it then"
            )
        (staging / _BUILDING).unlink()
        move_into_place(staging, folder)


def state_there(folder: Path) -> tuple[str | None, ...]:
    """Tells one state of an index from every other; nothing where there is none that can be read."""
    with contextlib.suppress(InputError, StorageError, sqlite3.Error, OSError):
        if (folder / STORE).is_file():
            with contextlib.closing(connect_reading(folder / STORE)) as database:
                return state_of(database, "index_id"), state_of(database, "generation")
    return ()


def say_what_goes(folder: Path, collection: Collection) -> None:
    """What was added to the index that is replaced, and is not in the data, goes with it."""
    gone: list[str] = []
    with contextlib.suppress(InputError, StorageError, sqlite3.Error):
        if (folder / STORE).is_file():
            with contextlib.closing(connect_reading(folder / STORE)) as database:
                found = (doc_id for (doc_id,) in database.execute("SELECT doc_id FROM documents"))
                gone = [doc_id for doc_id in found if doc_id not in collection.doc_row]
    if gone and folder.is_symlink():
        say(f"{folder}: this link gives way, and the index that it leads to stays as it is")
    elif gone:
        say(
            f"{folder}: the index that is replaced holds {many(len(gone), 'document', 'documents')} that the "
            f"data lacks ({gone[0]}{' ...' if len(gone) > 1 else ''}): gone with it (textrip index {folder} "
            "-o OTHER makes one of all that it holds)"
        )
