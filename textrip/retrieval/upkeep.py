"""What is derived, kept up with the documents: worked out anew where enough has changed, and tidied up."""

import contextlib
from pathlib import Path

from textrip.alone import alone
from textrip.encoding.approximate import Kind
from textrip.lexical.analyzer import Analyzer
from textrip.retrieval.derived import (
    half_made,
    open_newest,
    publish,
    remove_half_made,
    remove_others,
)
from textrip.retrieval.store import DocumentStore
from textrip.retrieval.store_writer import StoreWriter

# Up to so many documents everything derived is worked out again after a change, in a second or two; in a
# larger index once so large a share of it has changed.
_SMALL = 20_000
_SHARE_PENDING = 0.01


def is_due(folder: Path, store: DocumentStore, *, index_id: str) -> bool:
    """Whether enough has changed since the last derivation that is whole for searches to feel it."""
    with store.snapshot():
        newest = open_newest(folder, index_id=index_id, since=0, until=store.generation)
        pending, rows = store.changes_since(0 if newest is None else newest.generation), len(store)
    return bool(pending) and (rows <= _SMALL or pending > _SHARE_PENDING * rows)


def rebuild(
    folder: Path, store: DocumentStore, *, extend: bool, index_id: str, analyzer: Analyzer, nearest: Kind
) -> bool:
    """Work out anew everything that is derived; False where another process is doing so.

    With `extend` a graph is extended by what is new, where little has changed.
    """
    with alone(folder) as mine:
        if not mine:
            return False
        kept, generation = publish(
            folder, store, extend=extend, index_id=index_id, analyzer=analyzer, nearest=nearest
        )
        with contextlib.closing(StoreWriter.open(store.path, index_id=index_id)) as writer:
            writer.forget_removed(generation)
        remove_others(folder, kept)
    return True


def tidy(folder: Path) -> None:
    """Remove what a process left that died while it rebuilt; not what one is making now."""
    if not half_made(folder):
        return
    with alone(folder) as mine:
        if mine:
            remove_half_made(folder)
