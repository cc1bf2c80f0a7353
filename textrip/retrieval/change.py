"""Documents come and go: encoded first, then written in transactions."""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from textrip.data.collection import Collection
from textrip.data.metadata import as_kept, is_same
from textrip.data.values import require_document
from textrip.encoding.cut import FURTHER_DOWN, say_what_is_cut
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import DamagedError, InputError
from textrip.progress import advancing, say
from textrip.records import Document
from textrip.retrieval.encoded import documents_of, encoded, require_labels
from textrip.retrieval.index import Change
from textrip.retrieval.passages import Cutting
from textrip.retrieval.store import DocumentStore
from textrip.retrieval.store_writer import StoreWriter
from textrip.typed import require_type

_ROWS_A_TRANSACTION = 1024

Pair = tuple[Document, dict[str, Any]]


def add_documents(
    store: DocumentStore,
    writer: StoreWriter,
    documents: Collection | Iterable[Any],
    encoder: TextEncoder,
    cutting: Cutting,
) -> Change:
    """Put documents into the store; see `Index.add`."""
    if isinstance(documents, Collection) and documents.numbered:
        raise InputError(
            f"{documents.name}: its documents have no ids, and would take the place of others that were "
            "counted from 1, too; give them ids (--id-column NAME)"
        )
    if isinstance(documents, Collection):
        require_labels(documents)
    elif isinstance(documents, Sequence):  # what comes one by one cannot be looked at before
        for _ in _unique(_pairs(documents), set()):
            pass
    change, seen = Change(), set[str]()
    total = len(documents.corpus) if isinstance(documents, Collection) else None
    pairs = _unique(_pairs(documents), seen)
    with _told(lambda: change), advancing("encoding documents", total) as advance:
        while chunk := list(islice(pairs, _ROWS_A_TRANSACTION)):
            there = _there(store, [document.doc_id for document, _ in chunk])
            news = [pair for pair in chunk if not _same(there.get(pair[0].doc_id), pair)]
            if news and not cutting.tokens and not seen - {document.doc_id for document, _ in chunk}:
                say_what_is_cut(encoder, [document.full_text for document, _ in news], FURTHER_DOWN)
            stored, _ = encoded(news, encoder, cutting, known_vectors=partial(_known, store))
            again = 0
            if stored:
                with writer.transaction() as transaction:
                    again = transaction.put(stored)  # another process may have added some of them meanwhile
            change = Change(
                added=change.added + len(news) - again,
                replaced=change.replaced + again,
                unchanged=change.unchanged + len(chunk) - len(news),
            )
            advance(len(chunk))
    return change


@contextmanager
def _told(done: Callable[[], Change]) -> Iterator[None]:
    """Where it stops in the middle: say what is in, as what is in stays."""
    try:
        yield
    except BaseException:
        written = done().added + done().replaced
        if written:
            say(f"{written:,} documents were written before that, and stay; adding all again adds the rest")
        raise


def _unique(pairs: Iterator[Pair], seen: set[str]) -> Iterator[Pair]:
    """The pairs, each with an id that was not seen before."""
    for document, metadata in pairs:
        if document.doc_id in seen:
            raise InputError(f"doc_id {document.doc_id!r} occurs twice; every document needs its own")
        seen.add(document.doc_id)
        yield document, metadata


def _pairs(documents: Collection | Iterable[Any]) -> Iterator[Pair]:
    if isinstance(documents, Collection):
        yield from documents_of(documents, 0, len(documents.corpus))
        return
    wanted = "a Collection, or a list of Documents"
    require_type("documents", documents, Iterable, wanted)
    if isinstance(documents, str | bytes):
        raise InputError(
            f"documents is {reprlib.repr(documents)}, {wanted} was expected; textrip.read(PATH) reads one"
        )
    for given in documents:
        document, metadata = given if isinstance(given, tuple | list) and len(given) == 2 else (given, {})
        if not isinstance(document, Document) or not isinstance(metadata, Mapping):
            found = [type(document).__name__, *([type(metadata).__name__] if metadata else [])]
            raise InputError(
                f"{' and '.join(found)} given, a Document was expected, or a pair of one and its metadata "
                "(names and values)"
            )
        require_document(document)
        try:
            yield document, as_kept(metadata)
        except InputError as error:
            raise InputError(f"document {document.doc_id!r}: {error}") from None


def _there(store: DocumentStore, doc_ids: list[str]) -> Mapping[str, Any]:
    """What is stored of these ids; None of a damaged one, whose place is taken by what is given."""
    try:
        return store.by_id(doc_ids)
    except DamagedError:
        found: dict[str, Any] = {}
        for doc_id in doc_ids:
            try:
                found |= store.by_id([doc_id])
            except DamagedError:
                found[doc_id] = None
        return found


def _known(store: DocumentStore, digests: Sequence[bytes]) -> dict[bytes, Any]:
    """What has these texts, and their vectors with them; where one of them is damaged, all are encoded."""
    try:
        return store.by_digest(digests)
    except DamagedError:
        return {}


def _same(stored: Any, pair: Pair) -> bool:
    if stored is None:
        return False
    document, metadata = pair
    return bool(stored.document == document) and is_same(stored.metadata, metadata)


def delete_documents(
    store: DocumentStore, writer: StoreWriter, doc_ids: Iterable[str], *, missing_ok: bool
) -> Change:
    """Remove documents from the store; see `Index.delete`."""
    if isinstance(doc_ids, str):
        raise InputError("doc_ids is a string, a list of ids was expected")
    require_type("doc_ids", doc_ids, Iterable, "a list of ids")
    given = list(doc_ids)
    others = [one for one in given if not isinstance(one, str)]
    if others:
        raise InputError(f"doc_id is {others[0]!r}, a string was expected")
    asked = list(dict.fromkeys(given))
    there = store.ids_among(asked)
    missing = tuple(doc_id for doc_id in asked if doc_id not in there)
    if missing and not missing_ok:
        raise InputError(
            f"{store.path.parent}: has no document {missing[0]!r} ({len(missing)} of {len(asked)} ids are "
            "missing); nothing was deleted; --missing-ok deletes those that are there"
        )
    if not there:
        return Change(missing=missing)
    with writer.transaction() as transaction:
        gone = transaction.delete([doc_id for doc_id in asked if doc_id in there])
        if not transaction.documents:
            raise InputError(f"{store.path}: nothing would be left; remove the folder, or add others first")
    return Change(removed=len(there) - len(gone), missing=missing)
