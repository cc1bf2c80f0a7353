"""A table for each split, of labelled texts or pairs: a folder's train.jsonl, test.jsonl and dev.jsonl."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from textrip.data.collection import Collection, dataset_of
from textrip.data.columns import Columns
from textrip.data.finding import Finding, many, some
from textrip.data.label_parts import SPLIT
from textrip.data.rows import read_rows
from textrip.data.table_file import SPLITS, stems_of, table_stem, the_table
from textrip.data.tables import NOTHING, Table, collection_from_documents, corpus_of, table_from_rows
from textrip.data.triples_table import collection_from_triples
from textrip.errors import InputError


def split_files(folder: Path) -> dict[str, Path]:
    """From split to its file, for a folder that has one for train.

    Raises:
        InputError: there are two for a split.
    """
    found: dict[str, Path] = {}
    for split in SPLITS:
        path = the_table(folder, stems_of(split), f"the texts of {split}")
        if path is not None:
            found[split] = path
        elif split == "train":
            break
    return found


def read_split_files(folder: Path, columns: Columns) -> Collection:
    """Read the files of a folder's splits.

    Raises:
        InputError: with `file:line: reason`; or files that are neither labelled texts nor pairs.
    """
    files = split_files(folder)
    tables = {
        split: table_from_rows(read_rows(path), columns, source=str(path)) for split, path in files.items()
    }
    found = collection_of_splits(tables, source=str(folder), name=folder.resolve().name)
    others = sorted(path for path in folder.iterdir() if table_stem(path) and path not in files.values())
    if not others:
        return found
    message = f"{many(len(others), 'table', 'tables')} not read: tables of train, dev and test are"
    remark = Finding("warning", "files-not-read", len(others), message, some(map(str, others)))
    return replace(found, remarks=(*found.remarks, remark))


def misfit(tables: Mapping[str, Table]) -> str | None:
    """Why these are no splits of one collection; None where all are of pairs, or all of labelled texts."""
    first = next(iter(tables.values()))
    for table in tables.values():
        if table.has_pairs != first.has_pairs:
            one, other = (table, first) if table.has_pairs else (first, table)
            return f"{one.source} holds pairs and {other.source} does not: make them of one kind"
        if not table.has_pairs and "label" not in table.roles:
            return (
                f"{table.source}: has no labels and no pairs; a folder with a file for each split holds "
                "labelled texts (name the column with --label-column), or pairs (--anchor-column, "
                "--positive-column)"
            )
    return None


def collection_of_splits(tables: Mapping[str, Table], *, source: str, name: str) -> Collection:
    """One collection of a table for each split.

    Pairs become queries and judgments of their split over one corpus. Labelled texts keep their split in a
    column; their ids are numbered across the tables where there are none.

    Raises:
        InputError: the tables are of two kinds, or their texts have no labels.
    """
    reason = misfit(tables)
    if reason is not None:
        raise InputError(reason)
    if all(table.has_pairs for table in tables.values()):
        rows = {split: (table.source, table.rows) for split, table in tables.items()}
        return collection_from_triples(rows, name=name)
    parts = {split: collection_from_documents(table, name=name) for split, table in tables.items()}
    return _labelled(parts, source=source, name=name)


def _labelled(parts: Mapping[str, Collection], *, source: str, name: str) -> Collection:
    there = {column for part in parts.values() for column in part.corpus.column_names}
    none = {column: nothing for column, nothing in NOTHING.items() if column in there}

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        line = 0
        for split, part in parts.items():
            for row in part.corpus:
                line += 1
                # What a part lacks comes behind what it has; and the same id may stand in two files.
                yield line, {**row, **none, **row, "doc_id": f"{split}-{row['doc_id']}", SPLIT: split}

    return Collection(
        name=name,
        corpus=corpus_of(records(), source),
        queries=dataset_of({"query_id": [], "text": []}),
        numbered=any(part.numbered for part in parts.values()),
        remarks=tuple(remark for part in parts.values() for remark in part.remarks),
    )
