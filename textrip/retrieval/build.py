"""Building an index: in bounded memory, stopped and gone on with, encoding only what is new.

Documents are encoded window by window into a store beside the place of the index, one transaction each.
When all are there the rest is derived, and the folder is renamed to its place. A build that dies leaves
that folder; the same command finds it, keeps every vector of a text that is still in the data, and goes on.
So does a build over an index that is there (`force`): vectors are kept by text and encoder.
"""

import contextlib
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.metadata import is_same
from textrip.encoding.approximate import Kind, chosen
from textrip.encoding.cut import FURTHER_DOWN, say_what_is_cut
from textrip.encoding.encoder import Encoder
from textrip.encoding.export import ExportError, export_onnx, note_moved
from textrip.encoding.onnx import OnnxEncoder
from textrip.encoding.text_encoder import TextEncoder, require_unit
from textrip.errors import InputError
from textrip.files import write_sealed_json
from textrip.lexical.analyzer import Analyzer
from textrip.place import place_of, standing
from textrip.progress import advancing, say
from textrip.provenance import provenance
from textrip.records import Document
from textrip.replacing import restore_replaced, storage_errors
from textrip.retrieval.about import ABOUT, keep_about
from textrip.retrieval.connection import connect_reading, state_of
from textrip.retrieval.derived import publish
from textrip.retrieval.encoded import Sources, documents_of, encoded, require_labels
from textrip.retrieval.fusion import Fusion
from textrip.retrieval.layout import FORMAT, KIND, STORE, require_inside
from textrip.retrieval.passages import Cutting, longest_passage
from textrip.retrieval.staging import (
    documents_in,
    reusable,
    say_what_goes,
    staged,
    state_there,
    take_the_place,
)
from textrip.retrieval.store import DocumentStore
from textrip.retrieval.store_writer import StoreWriter
from textrip.stamps import digested
from textrip.typed import require_type, require_whole
from textrip.writable import refuse_existing, refuse_taking_away

# Passages a transaction, of a document at least: what a build that dies has to encode again at most. On a CPU
# that is half a minute; where they cost less, so many times as many.
_PASSAGES_A_CHUNK = 256
_TIMES_WHERE_CHEAP = 16


def build_index(
    collection: Collection,
    encoder: TextEncoder,
    folder: Path,
    *,
    model: Encoder | None,
    analyzer: Analyzer,
    vectors: NDArray[np.float32] | None,
    cutting: Cutting,
    nearest: Kind,
    onnx: bool,
    force: bool,
    seed: int,
    over_own: bool = False,
) -> None:
    """Write an index folder. Arguments as in `Index.build`, which see.

    Args:
        collection: Its corpus is indexed.
        encoder: Makes the vectors.
        folder: Where.
        model: The sentence-transformers model behind the encoder, copied into the index.
        analyzer: BM25's.
        vectors: (n, d) float32 of the documents, where they are there already.
        cutting: Long documents.
        nearest: How nearest neighbours are found.
        onnx: Carry the query encoder as ONNX.
        force: Overwrite `folder`.
        seed: For draws.
        over_own: What is replaced is no index of anybody's, but a step on the way to this one.
    """
    _require_fitting(collection, encoder, vectors, cutting, model=model, analyzer=analyzer, seed=seed)
    chosen(nearest, 0)
    folder = place_of(folder)  # which may be the working directory, or be named by way of it
    restore_replaced(folder, tidy=True)
    refuse_taking_away(folder, force=force, mark=ABOUT)
    staging = folder.parent / f".{folder.name}.building"
    require_inside(folder)
    if vectors is None and not cutting.tokens:
        suggested = min(encoder.max_length_tokens // 2, longest_passage(encoder))
        say_what_is_cut(
            encoder, collection.texts,
            f"{FURTHER_DOWN}; textrip index --passages {suggested} finds it by meaning too",
        )  # fmt: skip
    seen = state_there(folder)
    if not over_own:
        say_what_goes(folder, collection)
    identity = {
        "encoder": encoder.fingerprint,
        "precision": encoder.precision,
        "cutting": vars(cutting),
    }
    with storage_errors(folder), standing(), staged(staging, identity) as left:
        spare = [*left, *(reusable(folder, identity) if folder.is_dir() else [])]
        index_id = _fill(collection, encoder, staging, spare, vectors=vectors, cutting=cutting)
        store = DocumentStore(staging / STORE, dimension=encoder.dimension)
        with contextlib.closing(store):
            publish(staging, store, index_id=index_id, analyzer=analyzer, nearest=nearest, seed=seed)
        if model is not None:
            model.save(staging / "encoder")
        carried = _carry_onnx(encoder, model, collection, staging / "onnx", wanted=onnx)
        copied = sorted(path for path in (staging / "encoder").rglob("*") if path.is_file())
        write_sealed_json(
            staging / "index.json",
            {
                "kind": KIND,
                "format": FORMAT,
                "index_id": index_id,
                "collection": collection.name,
                "built_documents": len(collection.corpus),
                "vectors_of": identity,
                "encoder": {
                    "name": encoder.name,
                    "fingerprint": identity["encoder"],
                    "precision": encoder.precision,
                    "dimension": encoder.dimension,
                    "max_length_tokens": encoder.max_length_tokens,
                    "onnx": carried,
                    "torch": model is not None,
                },
                "analyzer": analyzer.to_dict(),
                "cutting": vars(cutting),
                "nearest": nearest,
                "fusion": vars(Fusion()),
                "sha256": digested(staging, [path.relative_to(staging).as_posix() for path in copied]),
                **provenance(),
            },
        )
        with contextlib.closing(StoreWriter.open(staging / STORE)) as writer, writer.locked():
            keep_about(staging, writer)
        refuse_existing(folder, force=force)  # who knows what came there meanwhile
        take_the_place(staging, folder, seen=seen)
        note_moved(staging / "onnx", folder / "onnx")


def _fill(
    collection: Collection,
    encoder: TextEncoder,
    staging: Path,
    spare: list[Path],
    *,
    vectors: NDArray[np.float32] | None,
    cutting: Cutting,
) -> str:
    """Put every document into the store; returns the index's id."""
    path, done = staging / STORE, 0
    if path in spare:
        spare = [place for place in spare if place != path]
        done = _agreeing(path, collection, encoder.dimension)
        if done < documents_in(path):  # other documents now: what is there is a quarry
            quarry = staging / f"quarry-{secrets.token_hex(4)}.sqlite"
            _settle(path)
            path.rename(quarry)
            spare, done = [quarry, *spare], 0
    if not done:  # perhaps begun, and without a document
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            (staging / name).unlink(missing_ok=True)
    if done:
        with contextlib.closing(connect_reading(path)) as database:
            index_id = str(state_of(database, "index_id"))
        writer = StoreWriter.open(path)
        say(f"going on after {done:,} of {len(collection.corpus):,} documents that are encoded already")
    else:
        index_id = secrets.token_hex(16)
        writer = StoreWriter.create(path, index_id=index_id)
    sources = Sources(spare, encoder.dimension)
    reused = 0
    try:
        with advancing("encoding documents", len(collection.corpus)) as advance:
            advance(done)
            cheap = vectors is not None or str(getattr(encoder, "device", "cpu")).startswith("cuda")
            size = _PASSAGES_A_CHUNK * (_TIMES_WHERE_CHEAP if cheap else 1)
            for documents in _chunks(collection, done, size, cutting):
                given = None if vectors is None else vectors[done : done + len(documents)]
                stored, again = encoded(
                    documents, encoder, cutting, known_vectors=sources.find, vectors=given
                )
                reused += again
                with writer.transaction() as transaction:
                    transaction.put(stored)
                done += len(documents)
                advance(len(documents))
    finally:
        writer.close()
        sources.close()
    if reused:
        say(f"{reused:,} of {len(collection.corpus):,} documents had their vectors already")
    for quarry in staging.glob("quarry-*"):
        quarry.unlink()
    return index_id


def _chunks(
    collection: Collection, first: int, passages: int, cutting: Cutting
) -> Iterator[list[tuple[Document, dict[str, Any]]]]:
    """The documents from row `first` on, by so many passages, about; a long document is not divided."""
    chunk: list[tuple[Document, dict[str, Any]]] = []
    held = 0
    for document, metadata in documents_of(collection, first, len(collection.corpus)):
        more = cutting.expected(document.text)
        if chunk and held + more > passages:
            yield chunk
            chunk, held = [], 0
        chunk.append((document, metadata))
        held += more
    if chunk:
        yield chunk


def _settle(path: Path) -> None:
    """Bring what the log holds into the database, so that one file is all there is."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")


def _agreeing(path: Path, collection: Collection, dimension: int) -> int:
    """How many documents of the store are the collection's first ones, in its order."""
    done = 0
    # A store that was killed while it was made, or is damaged, is begun again.
    with (
        contextlib.suppress(InputError),
        contextlib.closing(DocumentStore(path, dimension=dimension)) as store,
    ):
        wanted = documents_of(collection, 0, len(collection.corpus))
        for stored, (document, metadata) in zip(store, wanted, strict=False):
            if stored.document != document or not is_same(stored.metadata, metadata):
                break
            done += 1
    return done


def _carry_onnx(
    encoder: TextEncoder, model: Encoder | None, collection: Collection, folder: Path, *, wanted: bool
) -> bool:
    """Put the query encoder into the index as ONNX; whether it is there."""
    if isinstance(encoder, OnnxEncoder):
        shutil.copytree(encoder.folder, folder, ignore=shutil.ignore_patterns("stamps.json"))
        return True
    if not wanted or model is None:
        return False
    try:
        export_onnx(model, folder, texts=collection.texts[: min(16, len(collection.corpus))])
    except ExportError as error:
        say(f"{error}; queries are encoded by torch, which takes seconds to start")
        return False
    return True


def _require_fitting(
    collection: Collection,
    encoder: TextEncoder,
    vectors: NDArray[np.float32] | None,
    cutting: Cutting,
    *,
    model: Encoder | None,
    analyzer: Analyzer,
    seed: int,
) -> None:
    require_type("collection", collection, Collection, "a Collection")
    require_type("encoder", encoder, TextEncoder, "an encoder (Encoder.load)")
    require_type("cutting", cutting, Cutting, "a Cutting")
    require_type("vectors", vectors, (np.ndarray, type(None)), "an array of float32")
    require_type("analyzer", analyzer, Analyzer, "an Analyzer (Analyzer.for_language)")
    require_type("model", model, (Encoder, type(None)), "an Encoder")
    require_whole("seed", seed, least=0)
    if not len(collection.corpus):
        raise InputError("the corpus is empty, at least one document was expected")
    if len(collection.doc_row) < len(collection.corpus):
        rows = enumerate(collection.doc_ids)
        twice = next(doc_id for row, doc_id in rows if collection.doc_row[doc_id] != row)
        raise InputError(f"{collection.name}: doc_id {twice!r} occurs twice; every document needs its own")
    require_labels(collection)
    cutting.require_fit(encoder)
    if vectors is None:
        return
    if cutting.tokens:
        raise InputError("vectors were given for documents that are to be cut into passages; give none")
    wanted = len(collection.corpus), encoder.dimension
    if vectors.shape != wanted:
        raise InputError(f"vectors have shape {vectors.shape}, {wanted} was expected (documents, dimension)")
    if not np.isfinite(vectors).all():
        raise InputError("vectors hold NaN or infinity; encode the documents again")
    require_unit(vectors)
