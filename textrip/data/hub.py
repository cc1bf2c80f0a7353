"""`hub:NAME`: a data set of the Hugging Face hub, in BEIR's layout or as a table for each split."""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from textrip.data.beir import add_judgment
from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.finding import Finding, many
from textrip.data.rows import Row
from textrip.data.split_tables import collection_of_splits, misfit
from textrip.data.table_file import SPLITS, split_of
from textrip.data.tables import Table, collection_from_rows, collection_of_table, corpus_of, table_from_rows
from textrip.data.values import id_value, text_value
from textrip.errors import InputError, OfflineError, first_line
from textrip.progress import shows_bars
from textrip.records import Qrels

PREFIX = "hub:"
_PROBE_SECONDS = 3.0


def is_offline() -> bool:
    """Whether the user asked for no network (HF_HUB_OFFLINE, which `--offline` sets)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}


def require_hub(what: str) -> None:
    """Raise OfflineError at once where the hub is forbidden or out of reach; no retries for minutes."""
    if is_offline():
        raise OfflineError(
            f"{what} is on the hub and the network is switched off (--offline or HF_HUB_OFFLINE)"
        )
    from urllib.parse import urlsplit

    from huggingface_hub.constants import ENDPOINT

    address = urlsplit(ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if proxied:  # the proxy resolves names, so a probe from here would say nothing
        return
    try:
        socket.create_connection((address.hostname or "", port), timeout=_PROBE_SECONDS).close()
    except OSError as error:
        raise OfflineError(
            f"{what} is on the hub and {address.hostname} cannot be reached ({error})"
        ) from None


def read_hub(name: str, columns: Columns) -> Collection:
    """Read `hub:OWNER/NAME` or `hub:OWNER/NAME:CONFIG`.

    BEIR's layout is configurations `corpus` and `queries`, and judgments in `qrels`, `default` or the data
    set `OWNER/NAME-qrels`; with CONFIG those that begin with it (`de-corpus`). Anything else is a table for
    each split, of pairs or labelled texts, or one of documents.

    Raises:
        OfflineError: there is no network, or it is switched off and the data set is not in the cache.
        InputError: there is no such data set, or it has no usable columns.
    """
    source = f"{PREFIX}{name}"
    path, _, config = name.partition(":")
    if not path:
        raise InputError(f"{source} names no data set; {PREFIX}OWNER/NAME was expected")
    source = source.removesuffix(":")
    configs = _configurations(source, path)
    prefix = f"{config}-" if config else ""
    if {f"{prefix}corpus", f"{prefix}queries"} <= set(configs):
        corpus, queries = (
            _asked("load_dataset", source, path, f"{prefix}{part}") for part in ("corpus", "queries")
        )
        judging = [part for part in (f"{prefix}qrels", config or "default") if part in configs]
        if judging:
            qrels = _asked("load_dataset", source, path, judging[0])
        else:
            qrels = _judgments_beside(source, path, config)
        return collection_from_beir_datasets(path, corpus, queries, qrels)
    if not config and len(configs) > 1 and "default" not in configs:
        raise InputError(f"{source}: has configurations; name one of them, {source}:{configs[0]}: {configs}")
    return _from_tables(_asked("load_dataset", source, path, config or None), columns, source, path)


def _judgments_beside(source: str, path: str, config: str) -> Any:
    try:
        return _asked("load_dataset", source, f"{path}-qrels", config or None)
    except InputError as error:
        raise InputError(
            f"{error}; judgments were expected there, as {source} has a corpus and queries and no "
            "configuration qrels or default"
        ) from None


def _configurations(source: str, path: str) -> list[str]:
    """The hub's; of the cache on this machine where the network is switched off."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    if not shows_bars():
        datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    *owner, last = path.split("/")
    kept = Path(datasets.config.HF_DATASETS_CACHE) / "___".join([*owner, camelcase_to_snakecase(last)])
    cached = sorted(folder.name for folder in kept.glob("*/") if folder.is_dir())
    try:
        require_hub(source)
    except OfflineError as error:
        if not cached:
            raise
        if not is_offline():
            raise OfflineError(f"{error}; --offline reads it from the cache of this machine") from None
        return cached
    return list(_asked("get_dataset_config_names", source, path))


def _asked(function: str, source: str, *arguments: str | None) -> Any:
    """What the library answers; its errors, which have no common root, in one line."""
    import datasets

    try:
        return getattr(datasets, function)(*arguments)
    except ConnectionError as error:
        raise OfflineError(f"{source}: {first_line(error)}") from None
    except Exception as error:  # of files, of formats, of what the hub answers, of scripts that it refuses
        cause = f" ({first_line(error.__cause__)})" if isinstance(error.__cause__, Exception) else ""
        raise InputError(f"{source}: {first_line(error)}{cause}") from None


def _from_tables(loaded: Mapping[str, Any], columns: Columns, source: str, name: str) -> Collection:
    """All splits of pairs or of labelled texts; of anything else train, or the first."""
    first, *others = sorted(loaded, key=lambda split: split != "train")
    tables = {
        split: _table(rows, columns, f"{source} ({split})")
        for split, rows in loaded.items()
        if split == first or split_of(split) in SPLITS
    }
    splits: dict[str, Table] = {}
    for split, table in tables.items():
        if split_of(split) in SPLITS:
            _refuse_second(split, splits, source)
            splits[split_of(split)] = table
    if first == "train" and len(splits) > 1 and misfit(splits) is None:
        found = collection_of_splits(splits, source=source, name=name)
        left_out = [split for split in others if split not in tables]
    else:
        found = collection_of_table(tables[first], name=name)
        left_out = others
    return replace(found, remarks=(*found.remarks, *_left_out(left_out, source)))


def _refuse_second(split: str, known: Mapping[str, Any], source: str) -> None:
    """Raise InputError for a split that goes by another name for one that is there."""
    if split_of(split) in known:
        raise InputError(
            f"{source}: {split} would be a second split {split_of(split)}; one of them was expected"
        )


def _left_out(splits: list[str], source: str) -> list[Finding]:
    if not splits:
        return []
    message = f"{many(len(splits), 'split is', 'splits are')} not read: {', '.join(splits)}"
    return [Finding("warning", "splits-not-read", len(splits), message, (source,))]


def _table(rows: Any, columns: Columns, source: str) -> Table:
    from datasets import ClassLabel

    table = table_from_rows(_numbered(rows), columns, source=source)
    label = table.roles.get("label", "")
    names = rows.features.get(label)
    # In pairs a class of 0 or 1 is a judgment.
    if table.has_pairs or not isinstance(names, ClassLabel):
        return table
    named = (
        (line, {**row, label: None if row[label] in {None, -1} else names.int2str(row[label])})
        for line, row in _numbered(rows)
    )
    return table_from_rows(named, columns, source=source)


def collection_from_beir_datasets(
    name: str, corpus: Mapping[str, Any], queries: Mapping[str, Any], qrels: Mapping[str, Any]
) -> Collection:
    """A collection from three dictionaries of data sets, the way BEIR stores them on the hub.

    A judgment without a score says that the document is relevant.
    """
    source = f"{PREFIX}{name}"
    documents = collection_from_rows(_rows(corpus), Columns(), source=source, name=name, documents=True)
    remarks = [*documents.remarks]

    def query_records() -> Iterator[tuple[int, dict[str, str]]]:
        for line, row in _rows(queries):
            yield (
                line,
                {
                    "query_id": id_value(row, "_id", source, line),
                    "text": text_value(row, "text", source, line),
                },
            )

    judged: dict[str, Qrels] = {}
    for split, rows in qrels.items():
        by_query: dict[str, dict[str, int]] = {}
        for line, row in _numbered(rows):
            add_judgment(by_query, {"score": 1, **row}, f"{source} ({split})", line)
        _refuse_second(split, judged, source)
        judged[split_of(split)] = by_query
    return Collection(
        name=name,
        corpus=documents.corpus,
        queries=corpus_of(query_records(), source, id_column="query_id", remarks=remarks),
        qrels=judged,
        remarks=tuple(remarks),
    )


def _rows(parts: Mapping[str, Any]) -> Iterator[tuple[int, Row]]:
    """Of all splits, numbered throughout: a repeated record is left out by its number."""
    yield from _numbered(chain.from_iterable(parts.values()))


def _numbered(rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
    yield from enumerate(rows, start=1)
