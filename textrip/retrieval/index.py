"""Index: a folder that answers questions. It carries its documents, its vectors, its words and its encoder.

INDEX/
  index.json         kind, format, the encoder's fingerprint, counts, a digest of every other file
  documents.sqlite   ids, titles, texts and vectors: the truth
  bm25/              derived from the texts, with digests
  encoder/           the sentence-transformers folder that made the vectors
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.nearest import dense_top_k
from textrip.errors import InputError, MismatchError
from textrip.files import digests, read_json, replacing, require_digests, write_sealed_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.provenance import provenance
from textrip.ranking import id_order
from textrip.records import Hit
from textrip.retrieval.fusion import DEPTH, reciprocal_rank_fusion
from textrip.retrieval.store import DocumentStore, write_documents

KIND = "textrip-index"
FORMAT = 1

Mode = Literal["dense", "bm25", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)

_SURROGATE = re.compile("[\ud800-\udfff]")

Ranked = list[tuple[NDArray[np.int64], NDArray[Any]]]


class Index:
    """Documents that can be searched: by meaning, by words, or by both."""

    def __init__(self, folder: Path, about: dict[str, Any], *, encoder: Encoder | None, device: str) -> None:
        self.folder = folder
        self.about = about
        self.store = DocumentStore(folder / "documents.sqlite")
        self._encoder = encoder
        self._device = device

    @classmethod
    def build(
        cls,
        collection: Collection,
        encoder: Encoder,
        folder: str | Path,
        *,
        analyzer: Analyzer | None = None,
        vectors: NDArray[np.float32] | None = None,
        force: bool = False,
    ) -> Self:
        """Encode a collection's documents and write an index folder: complete or absent.

        Args:
            collection: Its corpus is indexed; queries and judgments play no part.
            encoder: Copied into the index, so that the index can be moved and searched alone.
            folder: Where.
            analyzer: BM25's.
            vectors: (n, d) float32 of this encoder, where they are there already.
            force: Overwrite `folder`.

        Raises:
            InputError: `folder` exists and `force` is not set; vectors of another shape; an id twice.
            StorageError: the disk refused.
        """
        _require_fitting(collection, encoder, vectors)
        with replacing(folder, force=force) as temporary:
            temporary.mkdir()
            windows = (
                encoder.encode_stream(
                    collection.texts, progress="encoding documents", total=len(collection.corpus)
                )
                if vectors is None
                else iter([vectors])
            )
            count = write_documents(temporary / "documents.sqlite", collection, windows)
            lexical = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
            lexical.save(temporary / "bm25")
            encoder.save(temporary / "encoder")
            write_sealed_json(
                temporary / "index.json",
                {
                    "kind": KIND,
                    "format": FORMAT,
                    "collection": collection.name,
                    "documents": count,
                    "encoder": {
                        "name": encoder.name,
                        "fingerprint": encoder.fingerprint,
                        "dimension": encoder.dimension,
                        "max_length_tokens": encoder.max_length_tokens,
                    },
                    "sha256": digests(temporary),
                    **provenance(),
                },
            )
        return cls.open(folder, encoder=encoder)

    @classmethod
    def open(cls, folder: str | Path, *, encoder: Encoder | None = None, device: str = "auto") -> Self:
        """Open an index; its encoder is loaded at the first dense search.

        Args:
            folder: What `build` wrote.
            encoder: Use this encoder, which is in memory already, in place of the index's own copy.
            device: Where the index's own encoder runs.

        Raises:
            InputError: no index there, a damaged one, or one of a newer format.
            MismatchError: the encoder is not the one that made the vectors.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such index; build one with textrip index")
        about = read_json(folder / "index.json", kind=KIND, version=FORMAT, sealed=True)
        # A flipped byte in a text or a vector is no error to SQLite: it would be another answer.
        require_digests(folder, _under(about, "documents.sqlite"))
        if encoder is not None:
            _require_same(folder, about, encoder)
        return cls(folder, about, encoder=encoder, device=device)

    def close(self) -> None:
        """Let go of the store's file; an index is also a context manager that does."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self.about["documents"])

    def __repr__(self) -> str:
        return (
            f"Index({str(self.folder)!r}, {len(self):,} documents, encoder {self.about['encoder']['name']!r})"
        )

    @cached_property
    def doc_ids(self) -> list[str]:
        """Every doc_id, by row."""
        return self.store.doc_ids()

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Every document's unit vector, by row: (n, d) float32."""
        vectors = self.store.vectors(self.about["encoder"]["dimension"])
        if len(vectors) != len(self):
            raise InputError(
                f"{self.folder}: has {len(vectors)} of {len(self)} documents; build the index again"
            )
        return vectors

    @cached_property
    def lexical(self) -> LexicalSearcher:
        """BM25 over the documents."""
        # bm25.json holds the digests of the other files, which opening checks: no file is read twice.
        require_digests(self.folder, _under(self.about, ("bm25/bm25.json", "bm25/analyzer.json")))
        return LexicalSearcher.open(self.folder / "bm25", self._order)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that made the vectors.

        Raises:
            MismatchError: the index's copy was changed.
        """
        if self._encoder is not None:
            return self._encoder
        require_digests(self.folder, _under(self.about, "encoder/"))
        encoder = Encoder.load(self.folder / "encoder", device=self._device)
        encoder.name = self.about["encoder"]["name"]
        _require_same(self.folder, self.about, encoder)
        return encoder

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return id_order(self.doc_ids)

    def search(self, query: str, *, k: int = 10, mode: Mode = "dense") -> list[Hit]:
        """The k best documents for a question, best first; equal scores by doc_id.

        Args:
            query: Text that is not blank.
            k: How many; fewer where the index has fewer, or BM25 finds fewer.
            mode: dense (cosine similarity), bm25, or hybrid (reciprocal rank fusion of the two).

        Raises:
            InputError: a blank query, k below 1, or a mode that is not one of these.
        """
        return self.search_many([query], k=k, mode=mode)[0]

    def search_many(self, queries: Sequence[str], *, k: int = 10, mode: Mode = "dense") -> list[list[Hit]]:
        """`search` for many questions at once, in their order."""
        if isinstance(queries, str):
            raise InputError("queries is a string, a list of questions was expected")
        if k < 1:
            raise InputError(f"k is {k}, at least 1 was expected")
        if any(not query.strip() for query in queries):
            raise InputError("the query is blank; ask something")
        if any(_SURROGATE.search(query) for query in queries):
            raise InputError("the query has bytes that are no text (a lone surrogate); UTF-8 was expected")
        return [self._hits(rows, scores) for rows, scores in self._rank(queries, k, mode)]

    def _rank(self, queries: Sequence[str], k: int, mode: Mode) -> Ranked:
        match mode:
            case "dense":
                encoded = self.encoder.encode(queries, kind="query")
                return list(zip(*dense_top_k(encoded, self.vectors, k, self._order), strict=True))
            case "bm25":
                return list(self.lexical.search(queries, k))
            case "hybrid":
                dense, words = self._rank(queries, DEPTH, "dense"), self._rank(queries, DEPTH, "bm25")
                return [
                    reciprocal_rank_fusion([a, b], k, self._order)
                    for (a, _), (b, _) in zip(dense, words, strict=True)
                ]
        raise InputError(f"mode is {mode!r}, one of {', '.join(MODES)} was expected")

    def _hits(self, rows: NDArray[np.int64], scores: NDArray[Any]) -> list[Hit]:
        documents = self.store.documents(rows.tolist())
        return [
            Hit(rank, document.doc_id, float(score), document.title, document.text)
            for rank, (document, score) in enumerate(zip(documents, scores, strict=True), start=1)
        ]


def _under(about: dict[str, Any], prefix: str | tuple[str, ...]) -> dict[str, str]:
    return {name: digest for name, digest in about["sha256"].items() if name.startswith(prefix)}


def _require_fitting(collection: Collection, encoder: Encoder, vectors: NDArray[np.float32] | None) -> None:
    if len(collection.doc_row) < len(collection.corpus):
        rows = enumerate(collection.doc_ids)
        twice = next(doc_id for row, doc_id in rows if collection.doc_row[doc_id] != row)
        raise InputError(f"{collection.name}: doc_id {twice!r} occurs twice; every document needs its own")
    if vectors is None:
        return
    wanted = len(collection.corpus), encoder.dimension
    if vectors.shape != wanted:
        raise InputError(f"vectors have shape {vectors.shape}, {wanted} was expected (documents, dimension)")
    if not np.isfinite(vectors).all():
        raise InputError("vectors hold NaN or infinity; encode the documents again")


def _require_same(folder: Path, about: dict[str, Any], encoder: Encoder) -> None:
    built, given = about["encoder"]["fingerprint"], encoder.fingerprint
    if built != given:
        raise MismatchError(
            f"{folder}: was built by encoder {about['encoder']['name']!r} ({built[:12]}), "
            f"{encoder.name!r} is another ({given[:12]}): other weights, tokenizer, pooling, "
            "prompts or length; search with the index's own encoder, or build the index again with this one"
        )
