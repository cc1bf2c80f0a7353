"""From rows to a Collection: Arrow columns, duplicate ids.

Three shapes of table are known by their columns: documents (text, with id, title and label if there
are any), pairs or triples (anchor, positive and negative, see triples_table.py), and BEIR's three files
(see beir.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from textrip.data.collection import Collection, as_dataset, dataset_of
from textrip.data.columns import OF_DOCUMENTS, Columns
from textrip.data.finding import Finding, many
from textrip.data.metadata import metadata_value
from textrip.data.rows import Row
from textrip.data.spill import table_of
from textrip.data.triples_table import collection_from_triples, with_label_as_score
from textrip.data.values import id_value, text_value
from textrip.errors import InputError
from textrip.files import uncompressed_suffix

# What a document has in a column that a corpus may lack, where it has nothing to say there.
NOTHING = {"metadata": "{}", "label": ""}


def corpus_of(
    records: Iterable[tuple[int, dict[str, str]]],
    source: str,
    *,
    id_column: str = "doc_id",
    remarks: list[Finding] | None = None,
) -> Dataset:
    """Arrow rows from checked records; the same id with the same content is kept once.

    Args:
        records: With their lines.
        source: For messages.
        id_column: What must differ.
        remarks: Is told how many were there before.

    Raises:
        InputError: the same id with another content, with both lines; or no record at all.
    """
    table = table_of(({"line": line, **record} for line, record in records), {"line": pa.int64()})
    if table is None:
        raise InputError(f"{source}: is empty, at least one record was expected")
    distinct = _without_duplicates(table, source, id_column)
    dropped = len(table) - len(distinct)
    if dropped and remarks is not None:
        remarks.append(
            Finding(
                "warning", "repeated-records", dropped,
                f"{many(dropped, 'record repeats', 'records repeat')} another, id and all; read once",
                (source,),
            )
        )  # fmt: skip
    return as_dataset(distinct.drop_columns("line"))


def without_empty_columns(corpus: Dataset) -> Dataset:
    """The same without metadata, or labels, where no document has any."""
    for column, nothing in NOTHING.items():
        if column in corpus.column_names and pc.all(pc.equal(corpus.data.column(column), nothing)).as_py():
            corpus = corpus.remove_columns(column)
    return corpus


def _without_duplicates(table: pa.Table, source: str, id_column: str) -> pa.Table:
    counts = pc.value_counts(table.column(id_column).combine_chunks())
    repeated = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
    if len(repeated) == 0:
        return table
    first_seen: dict[str, dict[str, Any]] = {}
    drop: list[int] = []
    for row in table.filter(pc.is_in(table.column(id_column), repeated)).to_pylist():
        first = first_seen.setdefault(row[id_column], row)
        if first is row:
            continue
        if any(first[name] != row[name] for name in row if name != "line"):
            reason = (
                f"id {row[id_column]!r} occurs again with another content (first in line {first['line']})"
            )
            raise InputError.at(source, row["line"], reason)
        drop.append(row["line"])
    return table.filter(pc.invert(pc.is_in(table.column("line"), pa.array(drop, pa.int64()))))


@dataclass(frozen=True)
class Table:
    """Rows whose columns are known.

    Attributes:
        source: Where they are from, for messages.
        roles: The column of each role, in the first row.
        rows: With their lines and roles; read once.
        label_named: Whether the column of labels was named, and is not one by its name alone.
    """

    source: str
    roles: dict[str, str]
    rows: Iterable[tuple[int, Row, dict[str, str]]]
    label_named: bool = False

    @property
    def has_pairs(self) -> bool:
        """Whether its rows are pairs or triples, and not documents."""
        return "anchor" in self.roles


def collection_from_rows(
    rows: Iterable[tuple[int, Row]], columns: Columns, *, source: str, name: str, documents: bool = False
) -> Collection:
    """A collection from a table of documents, or of pairs or triples; of documents alone where it is said."""
    table = table_from_rows(rows, columns, source=source, documents=documents)
    return collection_of_table(table, name=name)


def collection_of_table(table: Table, *, name: str) -> Collection:
    """A collection from one table; pairs are of the split train."""
    if table.has_pairs:
        return collection_from_triples({"train": (table.source, table.rows)}, name=name)
    return collection_from_documents(table, name=name)


def table_from_rows(
    rows: Iterable[tuple[int, Row]], columns: Columns, *, source: str, documents: bool = False
) -> Table:
    """Find out by the first row what a table holds; nothing else is read yet.

    Documents may have a column that is called `question`, too: a corpus is one of documents whatever its
    columns are, and a table whose id or title the caller named, and no part of a pair.

    Raises:
        InputError: it is empty, or neither documents nor pairs.
    """
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        raise InputError(f"{source}: is empty, at least one row was expected")
    roles = columns.resolve(first[1], source=source)
    whole = _chain(first, iterator)
    documents = documents or columns.are_of_documents
    if not documents and "anchor" in roles and ("positive" in roles or "text" in roles):
        roles.setdefault("positive", roles.get("text", ""))
        roles = with_label_as_score(first[1], roles)
        by_row = columns.by_row(whole, roles, source=source, optional=("negative",), of_every_row=("score",))
        return Table(source, roles, by_row)
    if "text" not in roles:
        raise InputError.at(
            source,
            first[0],
            f"columns {', '.join(map(repr, first[1])) or 'none'} have no text, and no anchor and positive; "
            "name them with --text-column, or --anchor-column and --positive-column",
        )
    roles = {role: column for role, column in roles.items() if role in OF_DOCUMENTS}
    of_every_row = ("id",) if documents else ("id", "anchor")
    by_row = columns.by_row(
        whole, roles, source=source, optional=("title", "label"), of_every_row=of_every_row
    )
    return Table(source, roles, by_row, label_named=columns.label is not None)


def _chain(first: tuple[int, Row], rest: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    yield first
    yield from rest


def collection_from_documents(table: Table, *, name: str) -> Collection:
    """A collection of documents alone."""
    source = table.source
    typed = uncompressed_suffix(Path(source)) not in {".csv", ".tsv", ".tab"}

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for count, (line, row, roles) in enumerate(table.rows, start=1):
            label = _label(row, roles, source, line, named=table.label_named)
            taken = {roles[role] for role in ("id", "title", "text", "label") if role in roles}
            if not label and "label" in roles and not _is_blank(row.get(roles["label"])):
                taken.remove(roles["label"])
            record = {
                "doc_id": id_value(row, roles["id"], source, line) if "id" in roles else str(count),
                "title": text_value(row, roles["title"], source, line, optional=True)
                if "title" in roles
                else "",
                "text": text_value(row, roles["text"], source, line),
            }
            record["metadata"] = metadata_value(row, taken, source, line, typed=typed)
            record["label"] = label
            yield line, record

    remarks: list[Finding] = []
    corpus = without_empty_columns(corpus_of(records(), source, remarks=remarks))
    queries = dataset_of({"query_id": [], "text": []})
    return Collection(
        name=name, corpus=corpus, queries=queries, numbered="id" not in table.roles, remarks=tuple(remarks)
    )


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _label(row: Row, roles: dict[str, str], source: str, line: int, *, named: bool) -> str:
    """A row's label; none, as "", where it has none, or a column that is called so has something else."""
    if "label" not in roles:
        return ""
    value = row.get(roles["label"])
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    if not named and (not plain or _is_blank(value)):
        return ""
    return id_value(row, roles["label"], source, line, what="a label")
