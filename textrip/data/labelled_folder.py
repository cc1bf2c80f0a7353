"""A folder of labelled texts in one file for each split: train.jsonl, test.jsonl, dev.jsonl."""

from collections.abc import Iterator
from pathlib import Path

from textrip.data.collection import Collection, dataset_of
from textrip.data.columns import Columns
from textrip.data.labels import SPLIT
from textrip.data.rows import read_rows
from textrip.data.table_file import stems_of, the_table
from textrip.data.tables import collection_from_rows, corpus_of
from textrip.errors import InputError


def split_files(folder: Path) -> dict[str, Path]:
    """From split to its file, for a folder that has one for train.

    Raises:
        InputError: there are two for a split.
    """
    found: dict[str, Path] = {}
    for split in ("train", "dev", "test"):
        path = the_table(folder, stems_of(split), f"the texts of {split}")
        if path is not None:
            found[split] = path
        elif split == "train":
            break
    return found


def read_labelled_folder(folder: Path, columns: Columns) -> Collection:
    """Read the files of a folder's splits; ids are numbered across them where there are none.

    Raises:
        InputError: with `file:line: reason`; or a file without labels.
    """
    parts = {
        split: collection_from_rows(read_rows(path), columns, source=str(path), name=folder.resolve().name)
        for split, path in split_files(folder).items()
    }
    for split, part in parts.items():
        if "label" not in part.corpus.column_names:
            raise InputError(
                f"{split_files(folder)[split]}: has no labels; a folder with a file for each split holds "
                "labelled texts (name the column with --label-column)"
            )

    some = any("metadata" in part.corpus.column_names for part in parts.values())
    none = {"metadata": "{}"} if some else {}

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        line = 0
        for split, part in parts.items():
            for row in part.corpus:
                line += 1
                # The same id may stand in two files.
                yield line, {**none, **row, "doc_id": f"{split}-{row['doc_id']}", SPLIT: split}

    return Collection(
        name=folder.resolve().name,
        corpus=corpus_of(records(), str(folder)),
        queries=dataset_of({"query_id": [], "text": []}),
    )
