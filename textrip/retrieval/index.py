"""Index: a folder that answers questions. It carries its documents, its vectors, its words and its encoder.

INDEX/
  index.json         kind, format, the encoder's fingerprint, settings, a digest of every file of encoder/
  documents.sqlite   ids, titles, texts, metadata and vectors: the truth (see store.py)
  derived/           what is worked out from it, and can be again (see derived.py)
  onnx/              the query encoder, for a search without torch (see encoding/onnx.py)
  encoder/           the sentence-transformers folder
  stamps.json        which digests held already (see stamps.py)
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from textrip.encoding.approximate import Kind
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import DamagedError, InputError, StorageError
from textrip.forked import cached_property
from textrip.lexical.analyzer import Analyzer
from textrip.place import named
from textrip.progress import say
from textrip.records import Hit, Run
from textrip.replacing import restore_replaced
from textrip.retrieval import answer, upkeep
from textrip.retrieval.about import note_about, read_about, require_index
from textrip.retrieval.answer import MODES, Mode, require_queries
from textrip.retrieval.fusion import DEPTH, Fusion
from textrip.retrieval.layout import FORMAT, STORE, require_inside
from textrip.retrieval.mend import mend_onnx
from textrip.retrieval.own_encoder import load_own, load_torch, require_same
from textrip.retrieval.passages import Cutting
from textrip.retrieval.rerank import require_reranker, reranked
from textrip.retrieval.snapshot import Ranked, Snapshot
from textrip.retrieval.states import States
from textrip.retrieval.store import DocumentStore
from textrip.retrieval.store_writer import StoreWriter
from textrip.retrieval.where import Where
from textrip.typed import require_type

if TYPE_CHECKING:
    from textrip.data.collection import Collection
    from textrip.encoding.encoder import Encoder
    from textrip.mining.scoring import Reranker

_Told = TypeVar("_Told")
# How many of the best documents a reranker looks at, where it is not told.
RERANK_DEPTH = 50


@dataclass(frozen=True)
class Change:
    """What a change of an index did.

    Attributes:
        added: Documents with an id that was not there.
        replaced: Documents with an id that was there, and another text or other metadata.
        unchanged: Documents that were there as they are.
        removed: Documents that are gone.
        missing: Ids to be removed that were not there.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    missing: tuple[str, ...] = ()


class Index:
    """Documents that can be searched by meaning, by words, or by both, and that may come and go."""

    def __init__(
        self, folder: Path, about: dict[str, Any], *, encoder: TextEncoder | None, device: str
    ) -> None:
        self.folder = folder
        self.about = about
        self.store = DocumentStore(
            folder / STORE, dimension=about["encoder"]["dimension"], index_id=about["index_id"]
        )
        self.analyzer = Analyzer.from_dict(about["analyzer"])
        self.cutting = Cutting(**about["cutting"])
        self._encoder = encoder
        self._device = device
        self.states = States(
            folder, self.store, index_id=about["index_id"], analyzer=self.analyzer, nearest=about["nearest"]
        )

    @classmethod
    def build(
        cls,
        data: "str | Path | Collection",
        encoder: TextEncoder,
        folder: str | Path,
        *,
        analyzer: Analyzer | None = None,
        vectors: NDArray[np.float32] | None = None,
        cutting: Cutting | None = None,
        nearest: Kind = "auto",
        onnx: bool = True,
        model: Any = None,
        force: bool = False,
        seed: int = 0,
    ) -> Self:
        """Encode a collection's documents and write an index folder.

        A build that is stopped leaves its vectors beside `folder` (`.NAME.building`), and the next one of
        the same encoder goes on from there. Over an index that is there (`force`), texts that it holds are
        not encoded again.

        Args:
            data: A collection, or what `read` takes; its corpus is indexed, its queries and judgments play no
                part.
            encoder: Copied into the index, so that the index can be moved and searched alone.
            folder: Where.
            analyzer: BM25's.
            vectors: (n, d) float32 of this encoder, where they are there already.
            cutting: Long documents into passages; whole where None.
            nearest: How nearest neighbours are found: auto, exact, hnsw, int8 or binary.
            onnx: Carry the query encoder as ONNX, so that a search starts without torch.
            model: The sentence-transformers `Encoder` behind an ONNX one, to be carried too.
            force: Overwrite `folder`.
            seed: For draws.

        Raises:
            InputError: `folder` exists and `force` is not set; vectors of another shape; an id twice.
            StorageError: the disk refused.
        """
        from textrip.data.formats import collection_of
        from textrip.encoding.encoder import Encoder
        from textrip.retrieval.build import build_index

        folder = named(folder)
        build_index(
            collection_of(data), encoder, folder,
            model=encoder if isinstance(encoder, Encoder) else model, analyzer=analyzer or Analyzer(),
            vectors=vectors, cutting=cutting or Cutting(), nearest=nearest, onnx=onnx, force=force, seed=seed,
        )  # fmt: skip
        return cls.open(folder, encoder=encoder)

    @classmethod
    def open(cls, folder: str | Path, *, encoder: TextEncoder | None = None, device: str = "auto") -> Self:
        """Open an index; its encoder is loaded at the first dense search.

        Args:
            folder: What `build` wrote.
            encoder: Use this encoder, which is in memory already, in place of the index's own copy.
            device: Where the index's own encoder runs. auto and cpu take ONNX where the index carries it.

        Raises:
            InputError: no index there, a damaged one, one of another format or that leads elsewhere (links).
            MismatchError: the encoder is not the one that made the vectors.
        """
        folder = named(folder)
        if encoder is not None:
            require_type("encoder", encoder, TextEncoder, "an encoder (Encoder.load)")
        restore_replaced(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such index; build one with textrip index")
        require_index(folder)
        require_inside(folder)
        about = read_about(folder)
        if about["format"] < FORMAT:
            raise InputError(
                f"{folder}: has format {about['format']}, of a textrip before its first release; "
                "build it again with textrip index"
            )
        try:
            if encoder is not None:
                require_same(folder, about, encoder)
            return cls(folder, about, encoder=encoder, device=device)
        except (KeyError, TypeError) as error:  # sealed, and of another making
            raise InputError(f"{folder / 'index.json'}: has no {error}; build the index again") from None

    def close(self) -> None:
        """Let go of the store's file; an index is also a context manager that does."""
        self.store.close()
        self.states.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """How another process gets it: it opens the folder for itself."""
        opened = partial(type(self).open, encoder=self._encoder, device=self._device)
        return opened, (self.folder.absolute(),)

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        try:
            held = f"{len(self):,} documents"
        except InputError:  # a debugger shows it, whatever became of it
            held = "closed or taken away"
        return f"Index({str(self.folder)!r}, {held}, encoder {self.about['encoder']['name']!r})"

    @property
    def doc_ids(self) -> list[str]:
        """Every doc_id, in the order in which the documents came."""
        return self.states.read(lambda now: [now.doc_id(int(row)) for row in now.rows])

    def collection(self) -> "Collection":
        """Every document with its metadata, as data: for an index of another encoder, or to mine."""
        from textrip.retrieval.as_data import collection_from

        return collection_from(self)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Every document's unit vector, in the order of `doc_ids`: (n, d) float32."""
        return self.states.read(Snapshot.vectors)

    @property
    def fusion(self) -> Fusion:
        """How hybrid search fuses."""
        return Fusion.from_dict(self.about["fusion"])

    @cached_property
    def encoder(self) -> TextEncoder:
        """The encoder that made the vectors, by ONNX where that serves.

        Raises:
            InputError: another device than the CPU is wanted for int8 weights.
            MismatchError: the index's copy is another encoder.
        """
        if self._encoder is not None:
            return self._encoder
        self.store.require_in_place()
        return load_own(self.folder, self.about, self._device)

    def torch_encoder(self) -> "Encoder":
        """The index's sentence-transformers model as an `Encoder`."""
        return load_torch(self.folder, self.about, self._device)

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: Mode = "dense",
        where: str | Where | None = None,
        rerank: "Reranker | None" = None,
        rerank_depth: int = RERANK_DEPTH,
        exact: bool = False,
    ) -> list[Hit]:
        """The k best documents for a question, best first; equal scores by doc_id.

        Args:
            query: Text that is not blank.
            k: How many; fewer where the index has fewer, or BM25 finds fewer.
            mode: dense (cosine similarity), bm25, or hybrid (see `Fusion`).
            where: Only documents for which this SQL expression over their metadata holds.
            rerank: Scores the best documents again (`mining.scoring.load_scorer`), and its order counts.
            rerank_depth: How many of the best it looks at.
            exact: Look at every vector, where the index was built to look at some.

        Raises:
            InputError: a blank query, k below 1, a mode that is not one of these, a bad condition.
        """
        return self.search_many(
            [query], k=k, mode=mode, where=where, rerank=rerank, rerank_depth=rerank_depth, exact=exact
        )[0]

    def search_many(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        mode: Mode = "dense",
        where: str | Where | None = None,
        rerank: "Reranker | None" = None,
        rerank_depth: int = RERANK_DEPTH,
        exact: bool = False,
    ) -> list[list[Hit]]:
        """`search` for many questions at once, in their order, all in one state of the index."""
        # An iterator can be asked once; of a string `require_queries` has something to say.
        require_type("queries", queries, Iterable, "a list of questions")
        queries = queries if isinstance(queries, str) else list(queries)
        if rerank is not None:
            require_queries(queries, k)
            require_reranker(rerank, rerank_depth, k)
        wanted = k if rerank is None else rerank_depth
        hits = self._ranked(queries, k=wanted, mode=mode, where=where, exact=exact, told=self._hits)
        if rerank is None:
            return hits
        return [reranked(query, found, rerank, k) for query, found in zip(queries, hits, strict=True)]

    def run(
        self,
        queries: Mapping[str, str],
        *,
        k: int = DEPTH,
        mode: Mode = "dense",
        where: str | Where | None = None,
        exact: bool = False,
        vectors: NDArray[np.float32] | None = None,
    ) -> Run:
        """What `search` finds for many questions, as ids and scores alone: what is measured, or fused.

        Args:
            queries: From query_id to text.
            k: How many documents for each.
            mode: As in `search`.
            where: As in `search`.
            exact: As in `search`.
            vectors: (q, d) float32 of the queries by this encoder, unit, where they are there already.

        Returns:
            From query_id to doc_id to score, best first.

        Raises:
            InputError: as `search` does.
        """
        require_type("queries", queries, Mapping, "a mapping from query_id to text")

        def told(snapshot: Snapshot, ranked: Ranked, query: str) -> dict[str, float]:
            rows, scores, _ = ranked
            return dict(zip(map(snapshot.doc_id, rows.tolist()), scores.tolist(), strict=True))

        texts = list(queries.values())
        asked = None if vectors is None else answer.asked_by(vectors, self.store.dimension)
        if asked is not None and len(asked) != len(texts):
            raise InputError(f"vectors are {len(asked)}, and queries {len(texts)}: one for each was expected")
        ranked = self._ranked(texts, k=k, mode=mode, where=where, exact=exact, told=told, encoded=asked)
        return dict(zip(queries, ranked, strict=True))

    def _ranked(
        self,
        queries: Sequence[str],
        *,
        k: int,
        mode: Mode,
        where: str | Where | None,
        exact: bool,
        told: Callable[[Snapshot, Ranked, str], _Told],
        encoded: NDArray[np.float32] | None = None,
    ) -> list[_Told]:
        """The k best rows of every question, told in the state of the index in which they were found."""
        require_queries(queries, k)
        if mode not in MODES:
            raise InputError(f"mode is {mode!r}, one of {', '.join(MODES)} was expected")
        # Before the transaction: encoding takes longer than everything else, and no writer has to wait.
        if mode == "bm25" or not queries:
            encoded = None
        elif encoded is None:
            encoded = self.encoder.encode(list(queries), kind="query")
        fuse = self.fusion if mode == "hybrid" else None

        def read(snapshot: Snapshot) -> list[_Told]:
            keys = self._keys(where)
            ranked = answer.rank(snapshot, queries, encoded, k=k, fuse=fuse, keys=keys, exact=exact)
            return [told(snapshot, found, query) for query, found in zip(queries, ranked, strict=True)]

        return self.states.read(read)

    def search_vectors(
        self,
        vectors: NDArray[np.float32],
        *,
        k: int = 10,
        where: str | Where | None = None,
        exact: bool = False,
    ) -> list[list[Hit]]:
        """`search_many` for questions that are vectors already: (q, d) float32, unit, of this encoder.

        A vector of zeros, as of a text without a word, is as far from every document.

        Raises:
            InputError: vectors of another shape or length (but 0), or with NaN; no array of real numbers.
        """
        require_queries([], k)
        asked = answer.asked_by(vectors, self.store.dimension)

        def read(snapshot: Snapshot) -> list[list[Hit]]:
            ranked = snapshot.dense(asked, k, keys=self._keys(where), exact=exact)
            return [self._hits(snapshot, found) for found in ranked]

        return self.states.read(read)

    def more_like(
        self, doc_id: str, *, k: int = 10, where: str | Where | None = None, exact: bool = False
    ) -> list[Hit]:
        """The k documents nearest to one of the index's own, by their vectors; itself not among them.

        Raises:
            InputError: the index has no document with this id.
        """
        require_queries([], k)
        require_type("doc_id", doc_id, str, "a text")

        def read(snapshot: Snapshot) -> list[Hit]:
            found = self.store.by_id([doc_id])
            if doc_id not in found:
                raise InputError(f"{self.folder}: has no document {doc_id!r}")
            vector = found[doc_id].vectors.mean(axis=0, dtype=np.float32)
            vector /= max(float(np.linalg.norm(vector)), np.finfo(np.float32).tiny)
            (ranked,) = snapshot.dense(vector[None, :], k + 1, keys=self._keys(where), exact=exact)
            others = np.flatnonzero(snapshot.keys[ranked[0]] != found[doc_id].key)[:k]
            rows, scores, passages = ranked
            return self._hits(snapshot, (rows[others], scores[others], passages[others]))

        return self.states.read(read)

    def _keys(self, where: str | Where | None) -> NDArray[np.int64] | None:
        """The documents that a condition allows; None where there is none."""
        if where is None:
            return None
        return self.store.keys_where(where if isinstance(where, Where) else Where(where))

    def _hits(self, snapshot: Snapshot, ranked: Ranked, query: str = "") -> list[Hit]:
        return answer.hits(self.store, snapshot, ranked, query=query, analyzer=self.analyzer)

    def add(self, documents: "Collection | Iterable[Any]") -> Change:
        """Add documents; one whose id is there takes its place, one that is there as it is costs nothing.

        Texts are encoded before anything is written. A thousand documents are one transaction: there with
        text, metadata and vector, or not at all.

        Args:
            documents: A collection, or records (`Document`, or pairs of one and its metadata).

        Raises:
            InputError: an id twice, or a collection whose data had none.
            StorageError: another process has been writing for half a minute, or the disk refused.
        """
        from textrip.retrieval.change import add_documents

        with contextlib.closing(self._writer()) as writer:
            change = add_documents(self.store, writer, documents, self.encoder, self.cutting)
        self._maintain(changed=bool(change.added or change.replaced))
        return change

    def delete(self, doc_ids: Iterable[str], *, missing_ok: bool = True) -> Change:
        """Remove documents from every part of the index, in one transaction.

        Args:
            doc_ids: Their ids.
            missing_ok: An id that is not there is no mistake; else nothing is deleted where one is not.

        Raises:
            InputError: nothing would be left; an id is not there, and `missing_ok` is not set.
            StorageError: another process has been writing for half a minute, or the disk refused.
        """
        from textrip.retrieval.change import delete_documents

        with contextlib.closing(self._writer()) as writer:
            change = delete_documents(self.store, writer, doc_ids, missing_ok=missing_ok)
        self._maintain(changed=bool(change.removed))
        return change

    def _writer(self) -> StoreWriter:
        self.store.require_in_place()
        return StoreWriter.open(self.store.path, index_id=self.about["index_id"])

    def _maintain(self, *, changed: bool) -> None:
        """After a change: what is derived is kept up. The change itself is made, and searches find it."""
        try:
            if upkeep.is_due(self.folder, self.store, index_id=self.about["index_id"]):
                self._rebuild(extend=True)
            else:
                upkeep.tidy(self.folder)
        except (StorageError, DamagedError) as error:
            made = "the change is made" if changed else "nothing was to be changed"
            say(f"{error}; {made}, what is derived from it could not be worked out anew")

    def rebuild(self) -> bool:
        """Work out anew everything that is derived; False where another process is doing so.

        A query encoder that is damaged is exported again from the model that the index carries.
        """
        self.store.require_in_place()
        mend_onnx(self.folder, self.about, self.store)
        return self._rebuild(extend=False)

    def _rebuild(self, *, extend: bool) -> bool:
        done = upkeep.rebuild(
            self.folder, self.store, extend=extend, index_id=self.about["index_id"], analyzer=self.analyzer,
            nearest=self.about["nearest"],
        )  # fmt: skip
        if done:
            self.states.forget()
        return done

    def check(self) -> list[str]:
        """What is wrong with the index, in words; nothing where it is whole. Every byte is read."""
        from textrip.retrieval.inspect import problems

        return problems(self.folder, self.about, self.store)

    def recall(self, *, k: int = 10, sample: int = 200, seed: int = 0) -> float:
        """recall@k of this index's own search against an exact one, over a sample of its documents."""
        from textrip.retrieval.recall import recall_of

        return self.states.read(partial(recall_of, k=k, sample=sample, seed=seed))

    def note(self, **values: Any) -> None:
        """Change what index.json says (a tuned fusion, a measured recall), in one step.

        Raises:
            InputError: what the index was built with, or no fusion; or the index was built anew meanwhile.
            StorageError: another process has been writing for half a minute, or the disk refused.
        """
        with contextlib.closing(self._writer()) as writer:
            self.about = note_about(self.folder, writer, values)

    def tune_fusion(
        self, data: "str | Path | Collection", *, split: str = "dev", without_own_id: bool = False
    ) -> Fusion:
        """Choose hybrid's fusion on a split's judgments, and keep it with the index (see tune_fusion.py)."""
        from textrip.data.formats import collection_of
        from textrip.retrieval.tune_fusion import tuned

        fusion = tuned(self, collection_of(data), split=split, without_own_id=without_own_id)
        self.note(fusion=asdict(fusion))
        return fusion
