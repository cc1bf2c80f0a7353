"""Mining: for every judged query, BM25's best documents that are neither relevant nor copies.

BM25 is asked with the query (not with the positive, which would mine the positive's siblings). Left out
are every judged positive of the query, by id and by text; the query's own document; documents that share
no term with the query, whose score of 0 is no rank; and a text that is already among the negatives.
"""

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.split import normalised
from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Group, Negative, Triples
from textrip.progress import advancing
from textrip.provenance import provenance

_QUERIES_A_BATCH = 256


def mine(
    collection: Collection,
    *,
    settings: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    searcher: LexicalSearcher | None = None,
) -> Triples:
    """Mine grouped triples with BM25 hard negatives.

    Args:
        collection: With judgments for the settings' split.
        settings: How negatives are chosen.
        analyzer: How texts become terms.
        searcher: A BM25 of this collection that is already built.

    Returns:
        The triples, ordered by query_id and positive_id: the same for the same data and seed. Negatives
        that were judged (relevance 0) come first in a group, then BM25's.

    Raises:
        InputError: there are no judgments, or no group with a positive and a negative came out.
    """
    settings = settings or MineSettings()
    queries = collection.queries_of(settings.split)
    searcher = searcher or LexicalSearcher.build(
        collection.texts, analyzer=analyzer, order=collection.doc_order
    )
    groups: list[Group] = []
    counts = {"queries": 0, "queries without a positive in the corpus": 0, "queries without a negative": 0}
    miner = _Miner(collection, settings)
    chosen = _chosen(queries, settings)
    with advancing("mining", len(chosen)) as advance:
        for query_id, ranking in _rankings(chosen, queries, searcher, settings):
            counts["queries"] += 1
            found = miner.groups(query_id, queries[query_id], ranking)
            if isinstance(found, str):
                counts[found] += 1
            else:
                groups.extend(found)
            advance(1)
    if settings.per_document is not None:
        before = len(groups)
        groups = _capped(groups, settings.per_document, settings.seed)
        counts["groups over the cap of a document"] = before - len(groups)
    if not groups:
        raise InputError(f"{collection.name}: no triple came out of {counts['queries']} queries: {counts}")
    about = {
        "collection": collection.name,
        "collection_sha256": collection.fingerprint,
        "settings": asdict(settings),
        "analyzer": searcher.analyzer.to_dict(),
        "counts": {**counts, "groups": len(groups), "triples": sum(len(group.negatives) for group in groups)},
        **provenance(),
    }
    return Triples(groups, about)


def _capped(groups: list[Group], most: int, seed: int) -> list[Group]:
    """At most so many groups for a positive document, drawn by seed, in the order they had."""
    by_document: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_document[group.positive_id].append(group)
    kept: set[tuple[str, str]] = set()
    for doc_id, members in by_document.items():
        draw = random.Random(f"{seed}:{doc_id}")  # noqa: S311  # a seed, no secret
        chosen = draw.sample(members, most) if len(members) > most else members
        kept |= {(group.query_id, group.positive_id) for group in chosen}
    return [group for group in groups if (group.query_id, group.positive_id) in kept]


def _chosen(queries: dict[str, str], settings: MineSettings) -> list[str]:
    ids = sorted(queries)
    if settings.queries is not None and settings.queries < len(ids):
        ids = sorted(random.Random(settings.seed).sample(ids, settings.queries))  # noqa: S311  # a seed, no secret
    return ids


Ranking = tuple[NDArray[np.int64], NDArray[np.float64]]


def _rankings(
    ids: Sequence[str],
    queries: dict[str, str],
    searcher: LexicalSearcher,
    settings: MineSettings,
) -> Iterator[tuple[str, Ranking]]:
    """BM25's ranking of every query."""
    for start in range(0, len(ids), _QUERIES_A_BATCH):
        batch = ids[start : start + _QUERIES_A_BATCH]
        yield from zip(
            batch, searcher.search([queries[query_id] for query_id in batch], settings.depth), strict=True
        )


@dataclass(frozen=True)
class _Miner:
    """Makes the groups of one query after another."""

    collection: Collection
    settings: MineSettings
    _keys: dict[int, int] = field(default_factory=dict)

    def groups(self, query_id: str, query: str, ranking: Ranking) -> list[Group] | str:
        """The groups of one query, or which count explains that there are none."""
        settings, rows = self.settings, self.collection.doc_row
        # Over every split: a document that is relevant for this query in dev is no negative in train.
        grades = [
            (doc_id, grade)
            for qrels in self.collection.qrels.values()
            for doc_id, grade in qrels.get(query_id, {}).items()
            if doc_id in rows
        ]
        relevant = {doc_id for doc_id, grade in grades if grade > 0}
        here = self.collection.judged(settings.split)[query_id]
        positives = sorted(doc_id for doc_id, grade in here.items() if grade > 0 and doc_id in rows)
        if not positives:
            return "queries without a positive in the corpus"
        draw = random.Random(f"{settings.seed}:{query_id}")  # noqa: S311  # of its own: order does not matter
        if len(positives) > settings.positives:
            positives = sorted(draw.sample(positives, settings.positives))
        barred = {self._key(rows[doc_id]) for doc_id in relevant} | {hash(normalised(query))}
        judged = self._judged({doc_id for doc_id, grade in grades if grade <= 0} - relevant, barred)
        barred |= {self._key(rows[negative.doc_id]) for negative in judged}
        window = list(self._window(query_id, ranking, barred))
        wanted = settings.negatives - len(judged)
        groups = []
        for positive in positives:
            mined = window[:wanted]
            if settings.sample and len(window) > wanted:
                mined = [window[place] for place in sorted(draw.sample(range(len(window)), wanted))]
            if judged or mined:
                groups.append(Group(query_id, positive, (*judged, *mined)))
        return groups or "queries without a negative"

    def _judged(self, doc_ids: set[str], barred: set[int]) -> list[Negative]:
        """Documents that were judged and are not relevant."""
        rows = self.collection.doc_row
        allowed = (doc_id for doc_id in sorted(doc_ids) if self._key(rows[doc_id]) not in barred)
        return [Negative(doc_id, 0, 0.0, "judged") for doc_id in islice(allowed, self.settings.negatives)]

    def _window(self, query_id: str, ranking: Ranking, barred: set[int]) -> Iterator[Negative]:
        """BM25's documents below the skipped ranks whose text is not barred, each text once."""
        seen = set(barred)
        ranked = zip(ranking[0].tolist(), ranking[1].tolist(), strict=True)
        for rank, (row, score) in enumerate(ranked, start=1):
            doc_id = self.collection.doc_ids[row]
            if rank <= self.settings.skip or doc_id == query_id or self._key(row) in seen:
                continue
            seen.add(self._key(row))
            yield Negative(doc_id, rank, score, "bm25")

    def _key(self, row: int) -> int:
        """What texts are compared by: a copy of a relevant document has its key."""
        if row not in self._keys:
            self._keys[row] = hash(normalised(self.collection.texts[row]))
        return self._keys[row]


def describe(triples: Triples) -> dict[str, Any]:
    """Counts for a person: groups, triples, queries, negatives a group, and how evenly they are spread."""
    by_query: Counter[str] = Counter()
    for group in triples.groups:
        by_query[group.query_id] += len(group.negatives)
    by_document = Counter(group.positive_id for group in triples.groups)
    return {
        "queries": len(by_query),
        "groups": len(triples),
        "triples": triples.count,
        "negatives per group": round(triples.count / max(1, len(triples)), 2),
        "triples per query": _spread(by_query),
        "groups per positive document": _spread(by_document),
    }


def _spread(counts: Counter[str]) -> str:
    """Smallest, median and largest count."""
    values = counts.values()
    if not values:
        return "none"
    return f"{min(values)} to {max(values)}, median {statistics.median(values):g}"
