"""Mining: for every judged query, the best documents of a ranking that are neither relevant nor copies.

BM25 is asked with the query (not with the positive, which would mine the positive's siblings). Left out
are every judged positive of the query's text, whichever query has it, by id and by text, and what resembles
one; the query's own document; documents that share no term with the query, whose score of 0 is no rank; a
text that is already among the negatives; and, where a model is given, what it finds as relevant as a
relevant one (see filters.py).
"""

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from textrip.data.collection import Collection
from textrip.data.formats import collection_of
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import require_models
from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.dense import DenseRanker
from textrip.mining.filters import Denoiser
from textrip.mining.miner import Miner, Ranking
from textrip.mining.scoring import Scorer, load_scorer
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Group, Source, Triples
from textrip.mining.verdicts import Verdicts
from textrip.progress import advancing
from textrip.provenance import provenance
from textrip.typed import typed_arguments

_QUERIES_A_BATCH = 256
WITHOUT_POSITIVE = "queries without a positive in the corpus"
WITHOUT_NEGATIVE = "queries without a negative"


class Ranker(Protocol):
    """Ranks documents for queries."""

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """For every query the places and scores of at most k documents, best first."""


@typed_arguments
def mine(
    data: str | Path | Collection,
    *,
    settings: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    searcher: LexicalSearcher | None = None,
    dense: Ranker | None = None,
    scorer: Scorer | None = None,
    verdicts: Verdicts | None = None,
    device: str = "auto",
) -> Triples:
    """Mine grouped triples with hard negatives.

    Args:
        data: A collection with judgments for the settings' split (`prepare` makes them where there are
            none), or what `read` takes.
        settings: How negatives are chosen.
        analyzer: How texts become terms.
        searcher: A BM25 of this collection that is already built.
        dense: An encoder's ranking that is already built; else `settings.dense_model` is loaded where
            `settings.dense` asks for it.
        scorer: The model of the filter, loaded already; else what `settings.denoise` names is loaded.
        verdicts: What a person decided of single negatives (see audit.py).
        device: Of the models: auto, cpu, cuda or mps.

    Returns:
        The triples, ordered by query_id and positive_id: the same for the same data and seed. Negatives
        that were judged (relevance 0) come first in a group, then BM25's, the encoder's and random ones.
        With a filter by a model a group may have no negative left: it is kept, to be compared with the
        rest of its batch.

    Raises:
        InputError: there are no judgments, or no group with a positive and a negative came out (with the
            filter of `auto`: none with a positive).
    """
    settings = settings or MineSettings()
    filters, ranks = settings.models  # told now, and not after the reading, where they are to be loaded
    require_models(filters if scorer is None else None, ranks if dense is None else None, device=device)
    collection = collection_of(data)
    if verdicts is not None:
        verdicts = verdicts.of(collection)
    queries = collection.queries_of(settings.split)
    searcher = searcher or LexicalSearcher.build(
        collection.texts, analyzer=analyzer, order=collection.doc_order
    )
    rankers: dict[Source, Ranker] = {"bm25": searcher}
    if settings.dense:
        rankers["dense"] = dense or DenseRanker(
            Encoder.load(settings.dense_model or "", device=device),
            collection,
            nearest=settings.dense_nearest,
        )
    if settings.denoise == "none":
        scorer = None
    elif scorer is None and settings.denoise != "auto":
        scorer = load_scorer(settings.denoise, device=device)
    miner = Miner(
        collection,
        settings,
        None if scorer is None else Denoiser(scorer, collection.texts, settings.denoise_margin),
        verdicts or Verdicts(),
    )
    groups: list[Group] = []
    counts = {"queries": 0, WITHOUT_POSITIVE: 0, WITHOUT_NEGATIVE: 0}
    chosen = _chosen(queries, settings)
    with advancing("mining", len(chosen)) as advance:
        for part in searcher.bm25.in_parts(len(chosen), _QUERIES_A_BATCH):
            batch = chosen[part]
            rankings = _rankings([queries[query_id] for query_id in batch], rankers, settings)
            wanted = [
                miner.wanted(query_id, queries[query_id], ranked)
                for query_id, ranked in zip(batch, rankings, strict=True)
            ]
            found = miner.filled(wanted)
            groups += found
            with_group = {group.query_id for group in found}
            counts["queries"] += len(batch)
            for query_id, those in zip(batch, wanted, strict=True):
                if not those:
                    counts[WITHOUT_POSITIVE] += 1
                elif query_id not in with_group:
                    counts[WITHOUT_NEGATIVE] += 1
            advance(len(batch))
    if miner.denoiser is not None:
        counts["groups without a negative"] = sum(not group.negatives for group in groups)
    if settings.per_document is not None:
        before = len(groups)
        groups = _capped(groups, settings.per_document, settings.seed)
        counts["groups over the cap of a document"] = before - len(groups)
    # A filter that nobody asked for does not stop a training: the groups compare with one another.
    needed = scorer is None or settings.denoise != "auto"
    if not groups or (needed and not any(group.negatives for group in groups)):
        asked = counts.pop("queries")
        raise InputError(
            f"{collection.name}: no triple came out of {asked:,} queries "
            f"({_in_words(counts)}; left out: {_in_words(miner.dropped.counts)})"
        )
    about = {
        "collection": collection.name,
        "collection_sha256": collection.fingerprint,
        "texts_sha256": collection.texts_fingerprint,
        "settings": asdict(settings),
        "analyzer": searcher.analyzer.to_dict(),
        "verdicts": None if verdicts is None else verdicts.to_dict(),
        "denoise": None if scorer is None else scorer.name,
        "counts": {**counts, "groups": len(groups), "triples": sum(len(group.negatives) for group in groups)},
        "left out": dict(miner.dropped.counts),
        **provenance(),
    }
    return Triples(groups, about)


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "none"


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


def _rankings(
    queries: Sequence[str], rankers: dict[Source, Ranker], settings: MineSettings
) -> list[dict[Source, Ranking]]:
    """Every ranker's ranking of every query."""
    found = {source: ranker.search(queries, settings.depth) for source, ranker in rankers.items()}
    return [{source: found[source][place] for source in found} for place in range(len(queries))]


def describe(triples: Triples) -> dict[str, Any]:
    """Counts: queries, groups, triples, negatives a group, and how evenly they are spread."""
    by_query: Counter[str] = Counter()
    for group in triples.groups:
        by_query[group.query_id] += len(group.negatives)
    by_document = Counter(group.positive_id for group in triples.groups)
    return {
        "queries": len(by_query),
        "groups": len(triples),
        "triples": triples.count,
        **{f"left out: {why}": count for why, count in triples.provenance.get("left out", {}).items()},
        "negatives per group": round(triples.count / max(1, len(triples)), 2),
        "triples per query": _spread(by_query),
        "groups per positive document": _spread(by_document),
    }


def _spread(counts: Counter[str]) -> dict[str, float]:
    values = list(counts.values()) or [0]
    return {"least": min(values), "median": statistics.median(values), "most": max(values)}


def spread_in_words(spread: Mapping[str, float]) -> str:
    """A spread of `describe`, for a person."""
    return f"{spread['least']:g} to {spread['most']:g}, median {spread['median']:g}"
