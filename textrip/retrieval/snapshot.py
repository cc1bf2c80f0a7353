"""One state of an index, ready to be searched: what is derived, and what came and went since."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textrip import ranking
from textrip.encoding.nearest import Passages, candidates_top_k, exact_top_k
from textrip.errors import InputError
from textrip.forked import cached_property
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.word_index import WordIndex
from textrip.retrieval.connection import DAMAGED
from textrip.retrieval.derived import Derived
from textrip.retrieval.store import DocumentStore, Stored

# A document was found by its words, which are counted for the whole of it.
NO_PASSAGE = -1

# Rows, scores, and of each row the number of the passage that was found.
Ranked = tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.int64]]
# Rows and scores: the best first, and then others in any order.
Scored = tuple[NDArray[np.int64], NDArray[np.floating]]


class Snapshot:
    """Rows and their scores. A document's row is its place among the derived ones, then among the new ones.

    Ranks are those of an index built anew from the same documents: the same scores, the same order of ties.

    Attributes:
        generation: Of the store.
        size: How many documents there are.
    """

    def __init__(
        self, store: DocumentStore, base: Derived, analyzer: Analyzer, former: "Snapshot | None" = None
    ) -> None:
        """Read what came since `base`, or since a former snapshot of it; inside `store.snapshot()`."""
        self.base = base
        self.generation = store.generation
        self._analyzer = analyzer
        self._counted: dict[int, Counter[str]] = {}
        self._added: list[Stored]
        if former is not None and former.base is base and former.generation <= self.generation:
            gone = set(store.removed_since(former.generation))
            self._added = [stored for stored in former._added if stored.key not in gone]
            self._added += store.written_since(former.generation)
            known = former._counted
            self._counted = {held.key: known[held.key] for held in self._added if held.key in known}
        else:
            self._added = store.written_since(base.generation)
        keys = np.asarray(store.removed_since(base.generation), dtype=np.int64)
        places = np.searchsorted(base.keys, keys)
        inside = places < len(base)
        self._removed = places[inside][base.keys[places[inside]] == keys[inside]]
        self.size = len(base) - len(self._removed) + len(self._added)
        if self.size != len(store):
            raise InputError(f"{store.path}: has {self.size} of its {len(store)} documents; {DAMAGED}")

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """(rows,) the store's key of every row."""
        if not self._added:
            return self.base.keys
        return np.concatenate([self.base.keys, [stored.key for stored in self._added]])

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The rows of the documents that are there, in the order in which they came."""
        rows = np.arange(len(self.keys))
        return rows if self._alive is None else np.flatnonzero(self._alive)

    @cached_property
    def _alive(self) -> NDArray[np.bool_] | None:
        if not len(self._removed):
            return None
        alive = np.ones(len(self.keys), dtype=bool)
        alive[self._removed] = False
        return alive

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(rows,) what breaks ties: places in ascending order of doc_id."""
        if not self._added:
            return self.base.order
        ids = [stored.document.doc_id for stored in self._added]
        by_id = sorted(range(len(ids)), key=ids.__getitem__)
        before = np.asarray([self.base.ids.place_of(ids[row]) for row in by_id])
        order = np.empty(len(self.keys), dtype=np.int64)
        order[: len(self.base)] = self.base.order + np.searchsorted(before, self.base.order, side="right")
        order[len(self.base) + np.asarray(by_id)] = before + np.arange(len(ids))
        return order

    def doc_id(self, row: int) -> str:
        """A row's doc_id."""
        if row < len(self.base):
            found: str = self.base.ids[int(self.base.order[row])]
            return found
        return self._added[row - len(self.base)].document.doc_id

    @cached_property
    def passages(self) -> Passages:
        """Vectors by passage."""
        begins = self.base.begins
        if self._added:
            counts = [len(stored.vectors) for stored in self._added]
            begins = np.concatenate([begins, begins[-1] + np.cumsum(counts)])
        new = [stored.vectors for stored in self._added]
        return Passages([self.base.vectors, *([np.concatenate(new)] if new else [])], begins)

    @cached_property
    def words(self) -> WordIndex:
        """Terms of the documents."""
        for stored in self._added:
            if stored.key not in self._counted:
                self._counted[stored.key] = Counter(self._analyzer(stored.document.full_text))
        counted = [self._counted[stored.key] for stored in self._added]
        return WordIndex(self.base.words, self._removed, counted)

    def vectors(self) -> NDArray[np.float32]:
        """(n, d) one vector for each document that is there: of several passages the unit mean."""
        if self.passages.single:
            if self._alive is None and not self._added:
                return self.base.vectors
            return np.concatenate(self.passages.parts)[self.rows]
        found = np.add.reduceat(np.concatenate(self.passages.parts), self.passages.begins[:-1], axis=0)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return found[self.rows].astype(np.float32)

    def allowed(self, keys: NDArray[np.int64] | None) -> NDArray[np.bool_] | None:
        """(rows,) the documents with these keys that are there; None where that is every row."""
        if keys is None:
            return self._alive
        mask = np.isin(self.keys, keys, assume_unique=True)
        return mask if self._alive is None else mask & self._alive

    def dense(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        keys: NDArray[np.int64] | None = None,
        exact: bool = False,
    ) -> list[Ranked]:
        """For every query (q, d) the k nearest documents: rows, cosines, the best passage's number."""
        k = min(k, self.size)
        allowed, nearest = self.allowed(keys), self.base.nearest
        if nearest is None or exact or keys is not None or not k:
            return list(exact_top_k(queries, self.passages, k, self.order, allowed))
        per_document = -(-len(self.base.vectors) // max(1, len(self.base)))
        found = nearest.candidates(queries, k * per_document, gone=len(self._removed))
        new = np.arange(len(self.base), len(self.keys))
        ranked = list(
            candidates_top_k(
                queries, self.passages, found, others=new, k=k, order=self.order, allowed=allowed
            )
        )
        short = [row for row, (rows, *_) in enumerate(ranked) if len(rows) < k]
        if short:  # much was deleted, or a document's passages took the place of others
            again = exact_top_k(queries[short], self.passages, k, self.order, allowed)
            for row, answer in zip(short, again, strict=True):
                ranked[row] = answer
        return ranked

    def bm25(self, queries: Sequence[str], k: int, *, keys: NDArray[np.int64] | None = None) -> list[Ranked]:
        """For every query the k best documents that share a word with it."""
        allowed = self.allowed(keys)
        found: list[Ranked] = []
        for query in queries:
            scores, hit = self.words.hits(self._analyzer(query))
            if allowed is not None:
                hit = hit[allowed[hit]]
            places, best = ranking.top_k(scores[hit][None, :], k, self.order[hit])
            found.append((hit[places[0]], best[0], np.full(places.shape[1], NO_PASSAGE)))
        return found

    def completed(
        self, query: str, vector: NDArray[np.float32], dense: Ranked, words: Ranked
    ) -> tuple[Scored, Scored]:
        """Both rankings of one query, each followed by its own scores of what the other one alone found.

        A document that stands first in one and too far down in the other to be looked at has a score there.
        """
        by_words = np.setdiff1d(words[0], dense[0])
        cosines, _ = self.passages.best(vector, by_words)
        scores, hit = self.words.hits(self._analyzer(query))
        by_vector = np.intersect1d(np.setdiff1d(dense[0], words[0]), hit)
        return (
            (np.concatenate([dense[0], by_words]), np.concatenate([dense[1], cosines])),
            (np.concatenate([words[0], by_vector]), np.concatenate([words[1], scores[by_vector]])),
        )
