"""BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, each plain or compressed.

The layout of the BEIR benchmark (Thakur et al., 2021, arXiv 2104.08663).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from textrip.data.collection import Collection, dataset_of
from textrip.data.columns import Columns
from textrip.data.rows import read_rows
from textrip.data.tables import collection_from_rows, corpus_of
from textrip.data.values import id_value, relevance_value, text_value
from textrip.errors import InputError
from textrip.files import COMPRESSIONS
from textrip.records import Qrels

_TABLES = (".jsonl", ".parquet")


def find(folder: Path, stem: str, suffixes: tuple[str, ...] = _TABLES) -> Path | None:
    """The file of that stem with one of the suffixes, plain or compressed."""
    names = (f"{stem}{suffix}{packed}" for suffix in suffixes for packed in ("", *COMPRESSIONS))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def is_beir(folder: Path) -> bool:
    """Whether a folder has a corpus file of BEIR's name."""
    return find(folder, "corpus") is not None


def read_beir(folder: Path, columns: Columns) -> Collection:
    """Read a folder in BEIR's layout; queries and judgments may be missing.

    Raises:
        InputError: with `file:line: reason`; also for a folder with judgments and no queries.
    """
    corpus_file = find(folder, "corpus")
    if corpus_file is None:
        raise InputError(f"{folder}: has no corpus.jsonl (.gz, .zst) or corpus.parquet")
    documents = collection_from_rows(
        read_rows(corpus_file), columns, source=str(corpus_file), name=folder.resolve().name
    )
    remarks = [*documents.remarks]
    query_file = find(folder, "queries")
    qrels = dict(_read_splits(folder / "qrels"))
    if query_file is None:
        if qrels:
            raise InputError(f"{folder}: has judgments and no queries.jsonl; add the queries' texts")
        queries = dataset_of({"query_id": [], "text": []})
    else:
        queries = corpus_of(_read_queries(query_file), str(query_file), id_column="query_id", remarks=remarks)
    return replace(documents, queries=queries, qrels=qrels, remarks=tuple(remarks))


def _read_queries(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    roles: dict[str, str] = {}
    for line, row in read_rows(path):
        roles = roles or Columns().resolve(row, source=str(path))
        yield (
            line,
            {
                "query_id": id_value(row, roles.get("id", "_id"), str(path), line),
                "text": text_value(row, roles.get("text", "text"), str(path), line),
            },
        )


def _read_splits(folder: Path) -> Iterator[tuple[str, Qrels]]:
    if not folder.is_dir():
        return
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.name
        for suffix in COMPRESSIONS:
            name = name.removesuffix(suffix)
        if path.is_file() and name.endswith(".tsv"):
            other = files.setdefault(name.removesuffix(".tsv"), path)
            if other != path:
                raise InputError(
                    f"{folder}: {other.name} and {path.name} both hold the judgments of "
                    f"{name.removesuffix('.tsv')}; remove the one that is out of date"
                )
    for split, path in files.items():
        yield split, read_qrels(path)


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgments: tab-separated query-id, corpus-id, score, with a header.

    Raises:
        InputError: with `file:line: reason`, also for two judgments that contradict each other.
    """
    source = str(path)
    qrels: dict[str, dict[str, int]] = {}
    for line, row in read_rows(path):
        if not {"query-id", "corpus-id", "score"} <= row.keys():
            reason = (
                f"columns {', '.join(row)}; query-id, corpus-id and score were expected in the first line"
            )
            raise InputError.at(source, line - 1, reason)
        judged = qrels.setdefault(id_value(row, "query-id", source, line), {})
        doc_id = id_value(row, "corpus-id", source, line)
        relevance = relevance_value(row["score"], source, line)
        if judged.setdefault(doc_id, relevance) != relevance:
            reason = f"judges {doc_id!r} as {relevance}, an earlier line as {judged[doc_id]}"
            raise InputError.at(source, line, reason)
    return qrels
