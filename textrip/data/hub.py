"""`hub:NAME`: a data set of the Hugging Face hub, in BEIR's layout or as a table."""

import os
import socket
from collections.abc import Iterator
from typing import Any

from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.rows import Row
from textrip.data.table_file import split_of
from textrip.data.tables import collection_from_rows, corpus_of
from textrip.data.values import id_value, relevance_value, text_value
from textrip.errors import InputError, OfflineError
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

    Raises:
        OfflineError: there is no network, or it is switched off.
        InputError: there is no such data set, or it has no usable columns.
    """
    require_hub(f"{PREFIX}{name}")
    import datasets

    path, _, config = name.partition(":")
    try:
        configs = datasets.get_dataset_config_names(path)
        if not config and {"corpus", "queries"} <= set(configs):
            parts = {part: datasets.load_dataset(path, part) for part in ("corpus", "queries")}
            qrels = datasets.load_dataset(path if "qrels" in configs else f"{path}-qrels")
            return collection_from_beir_datasets(path, parts["corpus"], parts["queries"], qrels)
        loaded = datasets.load_dataset(path, config or None)
    except (FileNotFoundError, ValueError, ConnectionError) as error:
        raise InputError(f"{PREFIX}{name}: {str(error).splitlines()[0]}") from None
    split = "train" if "train" in loaded else next(iter(loaded))
    return collection_from_rows(_numbered(loaded[split]), columns, source=f"{PREFIX}{name}", name=path)


def collection_from_beir_datasets(name: str, corpus: Any, queries: Any, qrels: Any) -> Collection:
    """A collection from three dictionaries of data sets, the way BEIR stores them on the hub."""
    source = f"{PREFIX}{name}"
    documents = collection_from_rows(_rows(corpus), Columns(), source=source, name=name)

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
            found = by_query.setdefault(id_value(row, "query-id", source, line), {})
            found[id_value(row, "corpus-id", source, line)] = relevance_value(row["score"], source, line)
        judged[split_of(split)] = by_query
    return Collection(
        name=name,
        corpus=documents.corpus,
        queries=corpus_of(query_records(), source, id_column="query_id"),
        qrels=judged,
    )


def _rows(parts: Any) -> Iterator[tuple[int, Row]]:
    for part in parts.values():
        yield from _numbered(part)


def _numbered(rows: Any) -> Iterator[tuple[int, Row]]:
    yield from enumerate(rows, start=1)
