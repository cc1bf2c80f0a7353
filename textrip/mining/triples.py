"""Triples, grouped: a query, a positive and its negatives by id, with rank, score and source of each."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from textrip.data.collection import Collection
from textrip.errors import InputError, MismatchError, first_line
from textrip.place import require_utf8
from textrip.records import full_text
from textrip.replacing import replacing

KIND = "textrip-triples"
FORMAT = 1
_METADATA_KEY = b"textrip.triples"

Source = Literal["bm25", "judged", "dense", "random"]

SCHEMA = pa.schema(
    [
        ("query_id", pa.string()),
        ("positive_id", pa.string()),
        ("negative_ids", pa.list_(pa.string())),
        ("negative_ranks", pa.list_(pa.int32())),
        ("negative_scores", pa.list_(pa.float32())),
        ("negative_sources", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, slots=True)
class Negative:
    """A document that is not relevant; rank counts from 1, and is 0 where there was no ranking."""

    doc_id: str
    rank: int
    score: float
    source: Source


@dataclass(frozen=True, slots=True)
class Group:
    """One query, one of its positives, and negatives: judged ones first, then each source's as they came.

    That is the hardest first; where they were drawn, in the order in which they were.
    """

    query_id: str
    positive_id: str
    negatives: tuple[Negative, ...]


@dataclass(frozen=True)
class Triples:
    """Groups and where they came from; texts are looked up in the collection."""

    groups: Sequence[Group]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def count(self) -> int:
        """How many (query, positive, negative) triples the groups hold."""
        return sum(len(group.negatives) for group in self.groups)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every group, in order."""
        digest = hashlib.sha256()
        for group in self.groups:
            digest.update(json.dumps(astuple(group)).encode())
        return digest.hexdigest()

    def texts(self, collection: Collection) -> Iterator[tuple[str, str, str]]:
        """Every triple as (anchor, positive, negative) text.

        Raises:
            MismatchError: an id is not in the collection.
        """
        queries = collection.query_texts
        self.require(collection)

        def text(doc_id: str) -> str:
            row = collection.corpus[collection.doc_row[doc_id]]
            return full_text(row["title"], row["text"])

        for group in self.groups:
            positive = text(group.positive_id)
            for negative in group.negatives:
                yield queries[group.query_id], positive, text(negative.doc_id)

    def require(self, collection: Collection) -> None:
        """Raise MismatchError where a group names a query or document that the collection lacks.

        Triples that were mined say of which texts: the same ids may stand for others. Judgments may differ.
        """
        for group in self.groups:
            if group.query_id not in collection.query_texts:
                raise MismatchError(
                    f"the triples name query {group.query_id!r}, {collection.name} has none of that id; "
                    "give the collection that they were mined from"
                )
            for doc_id in (group.positive_id, *(negative.doc_id for negative in group.negatives)):
                if doc_id not in collection.doc_row:
                    raise MismatchError(
                        f"the triples name document {doc_id!r}, {collection.name} has none of that id; "
                        "give the collection that they were mined from"
                    )
        mined_from = self.provenance.get("texts_sha256")
        if mined_from is not None and mined_from != collection.texts_fingerprint:
            raise MismatchError(
                f"the triples were mined from other texts than those of {collection.name}, with the same "
                "ids; give the collection that they were mined from, or mine again"
            )

    def write(self, path: str | Path, *, force: bool = False) -> None:
        """Write Parquet with the provenance in its metadata."""
        columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        for group in self.groups:
            columns["query_id"].append(group.query_id)
            columns["positive_id"].append(group.positive_id)
            columns["negative_ids"].append([negative.doc_id for negative in group.negatives])
            columns["negative_ranks"].append([negative.rank for negative in group.negatives])
            columns["negative_scores"].append([negative.score for negative in group.negatives])
            columns["negative_sources"].append([negative.source for negative in group.negatives])
        header = {"kind": KIND, "format": FORMAT, "provenance": self.provenance}
        schema = SCHEMA.with_metadata({_METADATA_KEY: json.dumps(header).encode()})
        with replacing(path, force=force) as temporary:
            pq.write_table(pa.table(columns, schema=schema), temporary, write_page_checksum=True)

    def write_jsonl(self, path: str | Path, collection: Collection, *, force: bool = False) -> None:
        """Write plain (anchor, positive, negative) rows, which sentence-transformers' own trainer takes."""
        with replacing(path, force=force) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for anchor, positive, negative in self.texts(collection):
                row = {"anchor": anchor, "positive": positive, "negative": negative}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> "Triples":
        """Read what `write` wrote.

        Raises:
            InputError: no such file, not Parquet, not triples, or of a newer format.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        try:
            require_utf8(Path(path))
            table = pq.read_table(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: is not a Parquet file that can be read: {first_line(error)}") from None
        header = _header(table.schema)
        if header is None or not table.schema.equals(SCHEMA, check_metadata=False):
            raise InputError(f"{path}: holds no triples of textrip; make them with textrip mine")
        if header["format"] > FORMAT:
            raise InputError(f"{path}: has format {header['format']}, this textrip reads up to {FORMAT}")
        try:
            _require_sound(table)
            return cls(cls._groups(table), header["provenance"])
        except (ValueError, TypeError) as error:  # nulls, ids that are no text, lists of different lengths
            raise InputError(f"{path}: the triples are damaged ({error}); mine them again") from None

    @staticmethod
    def _groups(table: pa.Table) -> list[Group]:
        return [
            Group(
                row["query_id"],
                row["positive_id"],
                tuple(
                    Negative(*values)
                    for values in zip(
                        row["negative_ids"],
                        row["negative_ranks"],
                        row["negative_scores"],
                        row["negative_sources"],
                        strict=True,
                    )
                ),
            )
            for row in table.to_pylist()
        ]


def _require_sound(table: pa.Table) -> None:
    """Raise ValueError for what no mining writes, of a program that makes such files itself."""
    values = {}
    for name in SCHEMA.names:
        column = table[name]
        values[name] = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        if column.null_count or values[name].null_count:
            raise ValueError(f"{name} has nulls")
    foreign = set(values["negative_sources"].unique().to_pylist()) - set(get_args(Source))
    if foreign:
        known = ", ".join(get_args(Source))
        raise ValueError(f"negative_sources has {min(foreign)!r}, which is none of {known}")
    if (values["negative_ranks"].to_numpy() < 0).any():
        raise ValueError("negative_ranks has some below 0")
    if not np.isfinite(values["negative_scores"].to_numpy()).all():
        raise ValueError("negative_scores has some that are not finite")


def is_triples_file(path: str | Path) -> bool:
    """Whether a file is Parquet that `Triples.write` wrote."""
    path = Path(path)
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return _header(pq.read_schema(path)) is not None
    except (pa.ArrowException, OSError):
        return False


def _header(schema: pa.Schema) -> dict[str, Any] | None:
    try:
        header = json.loads((schema.metadata or {})[_METADATA_KEY])
    except (KeyError, ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or header.get("kind") != KIND:
        return None
    about = header.get("provenance")
    if not isinstance(header.get("format"), int) or not isinstance(about, dict):
        return None
    records = [about.get(name) for name in ("settings", "analyzer", "verdicts")]
    return header if all(record is None or isinstance(record, dict) for record in records) else None
