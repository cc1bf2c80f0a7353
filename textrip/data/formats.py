"""`read`: one door for every shape of data."""

from pathlib import Path

from textrip.data.beir import is_beir, read_beir
from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.hub import PREFIX, read_hub
from textrip.data.rows import read_rows
from textrip.data.split_tables import read_split_files, split_files
from textrip.data.stdlib_docs import NAME as STDLIB
from textrip.data.stdlib_docs import read_stdlib
from textrip.data.tables import collection_from_rows
from textrip.data.text_file import SUFFIXES as TEXTS
from textrip.data.text_folder import read_text_folder
from textrip.errors import InputError
from textrip.files import STDIN, uncompressed_suffix
from textrip.progress import say
from textrip.typed import typed_arguments


@typed_arguments
def read(source: str | Path, *, columns: Columns | None = None, tell: bool = True) -> Collection:
    """Read a collection.

    Args:
        source: A folder in BEIR's layout; a JSONL, CSV, TSV or Parquet file of documents, or of pairs or
            triples; a folder of train.jsonl, test.jsonl and dev.jsonl (or CSV and so on) with labelled texts,
            pairs or triples; a folder of .txt and .md files; `hub:NAME`; `stdlib` (the embedded collection);
            or `-` for JSONL on standard input. Text files may be .gz or .zst.
        columns: Which column means what, where the usual names do not tell.
        tell: Say what was passed over; the collection's remarks have it too.

    Raises:
        InputError: with `file:line: reason`.
        OfflineError: for `hub:NAME` without a network.
    """
    collection = _read(source, columns or Columns())
    for remark in collection.remarks if tell else ():
        say(remark.message)
    return collection


def collection_of(data: "str | Path | Collection") -> Collection:
    """A collection as it is, or what `read` makes of a path."""
    return data if isinstance(data, Collection) else read(data)


def _read(source: str | Path, columns: Columns) -> Collection:
    name = str(source)
    if name.startswith(PREFIX):
        return read_hub(name.removeprefix(PREFIX), columns)
    if name == STDIN:
        return collection_from_rows(read_rows(STDIN), columns, source="<stdin>", name="stdin")
    if not name:
        raise InputError("the name of the data is empty; a folder or a file was expected (`.` is this one)")
    path = Path(source)
    if not path.exists():
        if name == STDLIB:
            _refuse_columns(columns, f"{STDLIB} has")
            return read_stdlib()
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        return _read_folder(path, columns)
    if not path.is_file():  # who opens a pipe waits for who writes
        raise InputError(
            f"{path}: is a pipe or a device; a file or a folder was expected, or - for JSONL piped in"
        )
    if uncompressed_suffix(path) in TEXTS:
        raise InputError(
            f"{path}: is a single text; a folder of texts was expected ({path.parent}), or a table with one "
            "in each row"
        )
    return collection_from_rows(read_rows(path), columns, source=name, name=path.name.split(".")[0])


def _read_folder(path: Path, columns: Columns) -> Collection:
    if is_beir(path):
        return read_beir(path, columns)
    if split_files(path):
        return read_split_files(path, columns)
    found = read_text_folder(path)  # before what follows: it may be no such folder
    _refuse_columns(columns, f"{path} is a folder of texts, which have")
    return found


def _refuse_columns(columns: Columns, what: str) -> None:
    named = [f"{role} {name!r}" for role, name in vars(columns).items() if name is not None]
    if named:
        raise InputError(f"{what} no columns, and {', '.join(named)} is named; name none")
