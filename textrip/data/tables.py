"""From rows to a Collection: checked values, Arrow columns, duplicate ids.

Three shapes of table are known by their columns: documents (text, with id, title and label if there
are any), pairs or triples (anchor, positive and negative), and BEIR's three files (see beir.py).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from textrip.data.collection import Collection, as_dataset, dataset_of
from textrip.data.columns import Columns
from textrip.data.finding import Finding, Told, many, short
from textrip.data.metadata import metadata_value
from textrip.data.rows import Row
from textrip.data.spill import table_of
from textrip.data.words import lone_surrogate
from textrip.errors import InputError
from textrip.files import uncompressed_suffix


def text_value(row: Row, column: str, source: str, line: int, *, optional: bool = False) -> str:
    """A row's value that must be text; null counts as missing.

    Raises:
        InputError: missing (unless optional, then ""), not text, or with a lone surrogate.
    """
    value = row.get(column)
    if value is None:
        if optional:
            return ""
        raise _missing(row, column, source, line)
    if not isinstance(value, str):
        raise InputError.at(source, line, f"{column!r} is {_kind(value)}, text was expected")
    return _encodable(value, column, source, line)


def _missing(row: Row, column: str, source: str, line: int, remark: str = "") -> InputError:
    found = ", ".join(map(repr, row)) or "nothing"
    return InputError.at(source, line, f"has no {column!r}{remark} (found: {found})")


def id_value(row: Row, column: str, source: str, line: int) -> str:
    """A row's id: text that is not blank, or a whole number."""
    value = row.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    value = text_value(row, column, source, line)
    if not value.strip():
        raise InputError.at(source, line, f"{column!r} is blank, an id was expected")
    return value


def relevance_value(value: Any, source: str, line: int) -> int:
    """A judgment: a whole number, 0 for judged and not relevant."""
    try:
        number = float(value)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError.at(
        source, line, f"relevance is {value!r}, a whole number was expected (0 is not relevant)"
    )


def _encodable(value: str, column: str, source: str, line: int) -> str:
    found = lone_surrogate(value)
    if found is not None:
        reason = (
            f"{column!r} has a lone surrogate {found}, which is no character; mend the program that wrote it"
        )
        raise InputError.at(source, line, reason)
    return value


def _kind(value: Any) -> str:
    return {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}.get(
        type(value), f"a {type(value).__name__}"
    )


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


def collection_from_rows(
    rows: Iterable[tuple[int, Row]], columns: Columns, *, source: str, name: str
) -> Collection:
    """A collection from a table of documents, or of pairs or triples."""
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        raise InputError(f"{source}: is empty, at least one row was expected")
    roles = columns.resolve(first[1], source=source)
    whole = _chain(first, iterator)
    if "anchor" in roles and ("positive" in roles or "text" in roles):
        roles.setdefault("positive", roles.get("text", ""))
        return _from_triples(whole, roles, source=source, name=name)
    if "text" not in roles:
        raise InputError.at(
            source,
            first[0],
            f"columns {', '.join(map(repr, first[1])) or 'none'} have no text, and no anchor and positive; "
            "name them with --text-column, or --anchor-column and --positive-column",
        )
    return _from_documents(whole, roles, source=source, name=name)


def _chain(first: tuple[int, Row], rest: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    yield first
    yield from rest


def _from_documents(
    rows: Iterable[tuple[int, Row]], roles: dict[str, str], *, source: str, name: str
) -> Collection:
    taken = frozenset(roles[role] for role in ("id", "title", "text", "label") if role in roles)
    typed = uncompressed_suffix(Path(source)) not in {".csv", ".tsv", ".tab"}

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for count, (line, row) in enumerate(rows, start=1):
            record = {
                "doc_id": id_value(row, roles["id"], source, line) if "id" in roles else str(count),
                "title": text_value(row, roles["title"], source, line, optional=True)
                if "title" in roles
                else "",
                "text": text_value(row, roles["text"], source, line),
            }
            record["metadata"] = metadata_value(row, taken, source, line, typed=typed)
            if "label" in roles:
                record["label"] = id_value(row, roles["label"], source, line)
            yield line, record

    remarks: list[Finding] = []
    corpus = corpus_of(records(), source, remarks=remarks)
    if pc.all(pc.equal(corpus.data.column("metadata"), "{}")).as_py():
        corpus = corpus.remove_columns("metadata")
    queries = dataset_of({"query_id": [], "text": []})
    return Collection(
        name=name, corpus=corpus, queries=queries, numbered="id" not in roles, remarks=tuple(remarks)
    )


def _from_triples(
    rows: Iterable[tuple[int, Row]], roles: dict[str, str], *, source: str, name: str
) -> Collection:
    """Distinct anchors become queries, distinct positives and negatives documents, all of it `train`."""
    query_ids: dict[str, str] = {}
    doc_ids: dict[str, str] = {}
    judgments: dict[str, dict[str, int]] = {}
    either_way, own = Told(), Told()
    for line, row in rows:
        anchor = text_value(row, roles["anchor"], source, line)
        query_id = query_ids.setdefault(anchor, f"q{len(query_ids) + 1}")
        judged = judgments.setdefault(query_id, {})
        relevance = _relevance(row, roles["score"], source, line) if "score" in roles else 1
        positive = text_value(row, roles["positive"], source, line)
        positive_id = doc_ids.setdefault(positive, f"d{len(doc_ids) + 1}")
        if (judged.get(positive_id, relevance) > 0) != (relevance > 0):
            either_way.add(f"{source}:{line}: {short(anchor)} / {short(positive)}")
        judged[positive_id] = max(relevance, judged.get(positive_id, 0))
        for negative in _negatives(row, roles, source, line):
            negative_id = doc_ids.setdefault(negative, f"d{len(doc_ids) + 1}")
            if negative == anchor:
                own.add(f"{source}:{line}: {short(anchor)}")
            elif judged.setdefault(negative_id, 0) > 0:
                either_way.add(f"{source}:{line}: {short(anchor)} / {short(negative)}")
    return Collection(
        name=name,
        corpus=dataset_of(
            {"doc_id": list(doc_ids.values()), "title": [""] * len(doc_ids), "text": list(doc_ids)}
        ),
        queries=dataset_of({"query_id": list(query_ids.values()), "text": list(query_ids)}),
        qrels={"train": judgments},
        numbered=True,
        remarks=(
            *either_way.findings(
                "warning",
                "positive-equals-negative",
                f"in {many(either_way.count, 'row', 'rows')} a text is relevant for its query here and not "
                "there, or positive and negative at once; it counts as relevant",
            ),
            *own.findings(
                "warning",
                "anchor-among-negatives",
                f"in {many(own.count, 'row', 'rows')} the negative is the query itself; it is left out",
            ),
        ),
    )


def _relevance(row: Row, column: str, source: str, line: int) -> int:
    if column not in row:
        raise _missing(row, column, source, line, ", which other rows have")
    return relevance_value(row[column], source, line)


def _negatives(row: Row, roles: dict[str, str], source: str, line: int) -> list[str]:
    """The negatives of a row: none, one, or a list of them."""
    column = roles.get("negative")
    if column is None or row.get(column) is None:
        return []
    if isinstance(row[column], list):
        return [text_value({column: item}, column, source, line) for item in row[column]]
    return [text_value(row, column, source, line)]
