"""Which of a ranking's documents may be negatives of a query.

BM25's best documents for a query are in part relevant ones that nobody judged. What a filter leaves out is
counted by its name, so that a person sees what it costs.

The positive-aware filter is that of NV-Retriever (Moreira et al., 2024, arXiv 2407.15831): with the scores of
an encoder or a cross-encoder, a negative is kept where s_n <= s_p - margin |s_p|. The size of s_p and not s_p
itself, as the logits of a cross-encoder are below 0 as often as not; and s_p is the lowest of the query's
positives.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection as Documents
from textrip.data.near_duplicates import alike, numbers_of, shingles
from textrip.data.words import normalised
from textrip.mining.scoring import Scorer
from textrip.records import full_text

# So many documents' shingles are held, a kilobyte each; what was looked at longest ago is worked out again. A
# query's relevant documents are looked at in turn: of one more than are held, none would be.
_SHINGLED = 1 << 17

JUDGED = "judged relevant"
SAME_TEXT = "copies of a relevant text, of the query or of another negative"
NEAR_DUPLICATE = "near-duplicates of a relevant document"
REJECTED = "rejected by a person"
DENOISED = "as relevant as a relevant one (denoise)"


@dataclass
class Texts:
    """What is known of the documents' texts, worked out once for each."""

    collection: Documents
    _keys: dict[int, tuple[int, frozenset[int], int | None]] = field(default_factory=dict)
    _shingles: OrderedDict[int, NDArray[np.uint32]] = field(default_factory=OrderedDict)

    def key(self, row: int) -> int:
        """What texts are compared by: a copy of a document has its key."""
        return self._known(row)[0]

    def keys(self, row: int) -> frozenset[int]:
        """Also that of the text without its title: under another title it says the same."""
        return self._known(row)[1]

    def asks(self, row: int, query: str) -> bool:
        """Whether a document, its text or its title is a query (normalised): it is no wrong answer to it."""
        return hash(query) in self.keys(row) or hash(query) == self._known(row)[2]

    def _known(self, row: int) -> tuple[int, frozenset[int], int | None]:
        if row not in self._keys:
            found = self.collection.corpus[row]
            whole = hash(normalised(full_text(found["title"], found["text"])))
            title, body = normalised(found["title"]), normalised(found["text"])
            both = frozenset({whole, hash(body)} if body else {whole})
            self._keys[row] = whole, both, hash(title) if title else None
        return self._keys[row]

    def alike(self, row: int, others: Iterable[int], threshold: float) -> bool:
        """Whether a document is a near-duplicate of one of the others."""
        mine = self.shingles(row)
        return any(alike(mine, self.shingles(other), threshold) for other in others)

    def shingles(self, row: int) -> NDArray[np.uint32]:
        """Of a document, see data/near_duplicates.py; as numbers, ascending."""
        if row in self._shingles:
            self._shingles.move_to_end(row)
        else:
            text = self.collection.texts[row]
            self._shingles[row] = numbers_of(shingle.encode() for shingle in shingles(text))
            if len(self._shingles) > _SHINGLED:
                self._shingles.popitem(last=False)
        return self._shingles[row]


class Denoiser:
    """The positive-aware filter.

    Args:
        scorer: Scores a query and a document.
        texts: Of the documents.
        margin: A share of the lowest positive's score.
    """

    def __init__(self, scorer: Scorer, texts: Sequence[str], margin: float) -> None:
        self.scorer, self.texts, self.margin = scorer, texts, margin
        self._least: dict[str, float] = {}
        self._scores: dict[tuple[str, int], float] = {}

    def learn(self, relevant: Iterable[tuple[str, Collection[int]]]) -> None:
        """Score the relevant documents of queries (text, places): the lowest one counts.

        With a text come all that are relevant for it, whichever query asks it: it is learned once.
        """
        held = {query: rows for query, rows in relevant if query not in self._least and len(rows)}
        self._score([(query, row) for query, rows in held.items() for row in rows])
        for query, rows in held.items():
            lowest = min(self._scores[query, row] for row in rows)
            self._least[query] = lowest - self.margin * abs(lowest)

    def keeps(self, pairs: Sequence[tuple[str, int]]) -> list[bool]:
        """Whether each document may be a negative of its query, whose relevant ones were learned."""
        self._score(pairs)
        return [self._scores[pair] <= self._least[pair[0]] for pair in pairs]

    def _score(self, pairs: Sequence[tuple[str, int]]) -> None:
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._scores]
        found = np.asarray(self.scorer.scores(new, self.texts), dtype=np.float64)
        self._scores.update(zip(new, found.tolist(), strict=True))


@dataclass
class Dropped:
    """How many candidates each filter left out, each of a query once."""

    counts: Counter[str] = field(default_factory=Counter)
    _seen: set[tuple[str, int, str]] = field(default_factory=set)

    def add(self, query_id: str, row: int, why: str) -> None:
        """Count a document once for a query, however many positives it was a candidate for."""
        if (query_id, row, why) not in self._seen:
            self._seen.add((query_id, row, why))
            self.counts[why] += 1
