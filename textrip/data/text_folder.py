"""A folder of .txt and .md files: one file, one document."""

import os
from collections.abc import Iterator
from pathlib import Path

from textrip.data.collection import Collection, dataset_of
from textrip.data.finding import Finding, many, some
from textrip.data.table_file import SPLITS, split_of, table_stem
from textrip.data.tables import corpus_of
from textrip.data.words import lone_surrogate
from textrip.errors import InputError
from textrip.files import numbered_lines

SUFFIXES = (".txt", ".md", ".markdown")


def text_files(folder: Path) -> Iterator[Path]:
    """Every text file below a folder, in order of path; links and hidden files are passed over."""
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and not path.is_symlink():
                yield path


def read_text_folder(folder: Path) -> Collection:
    """Read a folder of text: doc_id is the path below the folder, title the first heading or the file's name.

    Raises:
        InputError: there is no text file, or one is not UTF-8 (with file and line).
    """

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for number, path in enumerate(text_files(folder), start=1):
            doc_id = path.relative_to(folder).as_posix()
            if lone_surrogate(doc_id) is not None:
                name = os.fsencode(doc_id).decode(errors="backslashreplace")
                raise InputError(f"{folder}: the name of the file {name} is not UTF-8; rename it")
            title, text = _title_and_text(path)
            yield number, {"doc_id": doc_id, "title": title, "text": text}

    try:
        corpus = corpus_of(records(), str(folder))
    except InputError as error:
        if "is empty" not in str(error):
            raise
        wanted = (
            "a BEIR folder (corpus.jsonl, queries.jsonl, qrels/), a table for each split (train.jsonl, "
            f"dev.jsonl, test.jsonl) or files ending in {', '.join(SUFFIXES)}"
        )
        raise InputError(f"{folder}: has nothing to read; {wanted} were expected{_instead(folder)}") from None
    tables = _tables(folder)
    return Collection(
        name=folder.resolve().name,
        corpus=corpus,
        queries=dataset_of({"query_id": [], "text": []}),
        remarks=_unread(tables, folder) if tables else (),
    )


def _tables(folder: Path) -> list[str]:
    """The tables that lie beside the texts; what ends in .json may be anything."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".json")
    return [name for name in names if not name.startswith(".") and table_stem(folder / name) is not None]


def _unread(tables: list[str], folder: Path) -> tuple[Finding, ...]:
    return (
        Finding(
            "warning", "tables-not-read", len(tables),
            f"{folder}: {many(len(tables), 'table is', 'tables are')} not read, as the text files beside "
            "are; name a table by its own path, or put what is trained on into train.jsonl", some(tables),
        ),
    )  # fmt: skip


def _instead(folder: Path) -> str:
    """What whoever named this folder may have wanted."""
    if (folder / "documents.sqlite").is_file():
        return "; this is an index: name the data that it was built from"
    tables = _tables(folder)
    of_splits = [name for name in tables if split_of(str(table_stem(folder / name))) in SPLITS]
    if of_splits:
        return f"; there is {of_splits[0]} and no train.jsonl: what is trained on belongs there"
    return f"; there is {tables[0]}: name the file itself" if tables else ""


def _title_and_text(path: Path) -> tuple[str, str]:
    lines = [line for _, line in numbered_lines(path)]
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        if line.startswith("#") and path.suffix.lower() != ".txt":
            rest = lines[:place] + lines[place + 1 :]
            return line.lstrip("#").strip(), "\n".join(rest).strip()
        break
    return path.stem.replace("_", " ").replace("-", " "), "\n".join(lines).strip()
