"""BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, each in any format, plain or packed.

The layout of the BEIR benchmark (Thakur et al., 2021, arXiv 2104.08663).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from textrip.data.collection import Collection, dataset_of
from textrip.data.columns import Columns
from textrip.data.finding import Finding, many, some
from textrip.data.rows import Row, read_rows, table_format
from textrip.data.table_file import split_of, table_stem, tables_in, tables_not_read, the_one, the_table
from textrip.data.tables import collection_from_rows, corpus_of
from textrip.data.values import id_value, relevance_value, text_value
from textrip.errors import InputError

_QUESTIONS = (
    " beside the corpus: questions belong into queries.jsonl, what is relevant for them into qrels/train.tsv"
)


def is_beir(folder: Path) -> bool:
    """Whether a folder has a corpus file of BEIR's name."""
    return the_table(folder, ["corpus"], "the corpus") is not None


def read_beir(folder: Path, columns: Columns) -> Collection:
    """Read a folder in BEIR's layout; queries and judgments may be missing.

    Raises:
        InputError: with `file:line: reason`; also for a folder with judgments and no queries.
    """
    corpus_file = the_table(folder, ["corpus"], "the corpus")
    if corpus_file is None:
        raise InputError(f"{folder}: has no corpus.jsonl (.gz, .zst) or corpus.parquet")
    documents = collection_from_rows(
        read_rows(corpus_file), columns, source=str(corpus_file), name=folder.resolve().name, documents=True
    )
    remarks = [*documents.remarks]
    query_file = the_table(folder, ["queries"], "the queries")
    files = _judgment_files(folder, remarks)
    qrels = {split: read_qrels(path) for split, path in files.items()}
    if not qrels:
        read = {path.name for path in (corpus_file, query_file) if path is not None}
        others = [name for name in tables_in(folder) if name not in read]
        remarks += tables_not_read(folder, others, _QUESTIONS)
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


def _judgment_files(folder: Path, remarks: list[Finding]) -> dict[str, Path]:
    """From split to its file in `qrels`; what is no table there is told."""
    wanted = "judgments were expected in qrels/train.tsv, qrels/dev.tsv and qrels/test.tsv"
    inside = folder / "qrels"
    astray = inside if inside.is_file() else the_table(folder, ["qrels"], "judgments")
    if astray is not None:
        raise InputError(f"{astray}: {wanted}; move the file there")
    if not inside.is_dir():
        return {}
    by_split: dict[str, list[Path]] = defaultdict(list)
    others: list[Path] = []
    for path in sorted(inside.iterdir()):
        stem = table_stem(path)
        if path.name.startswith(".") or not path.is_file():
            continue
        if stem is None:
            others.append(path)
        else:
            by_split[split_of(stem)].append(path)
    if not by_split:
        found = ", ".join(path.name for path in others) or "nothing"
        raise InputError(f"{inside}: has no table of judgments (found: {found}); {wanted}")
    if others:
        message = f"{many(len(others), 'file', 'files')} among the judgments not read: no table"
        remarks.append(Finding("warning", "files-not-read", len(others), message, some(map(str, others))))
    files = {split: the_one(paths, f"the judgments of {split}") for split, paths in by_split.items()}
    return {split: path for split, path in files.items() if path is not None}


def add_judgment(qrels: dict[str, dict[str, int]], row: Row, source: str, line: int) -> None:
    """Add a row (query-id, corpus-id, score) to the judgments of its split.

    Raises:
        InputError: with `source:line: reason`, also for one that contradicts another.
    """
    judged = qrels.setdefault(id_value(row, "query-id", source, line), {})
    doc_id = id_value(row, "corpus-id", source, line)
    relevance = relevance_value(row["score"], source, line)
    if judged.setdefault(doc_id, relevance) != relevance:
        reason = f"judges {doc_id!r} as {relevance}, an earlier line as {judged[doc_id]}"
        raise InputError.at(source, line, reason)


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
            headed = table_format(path) in {"csv", "tsv"}
            raise InputError.at(source, line - 1 if headed else line, reason)
        add_judgment(qrels, row, source, line)
    if not qrels:  # a split of one judgment without a header would be taken for none, and another one be cut
        raise InputError(
            f"{source}: has no judgment below its first line; add them with a header (query-id, corpus-id, "
            "score), or remove the file"
        )
    return qrels
