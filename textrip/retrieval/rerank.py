"""The best hits scored again by a model that reads question and document together, or by another encoder."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textrip.errors import InputError
from textrip.records import Hit, full_text
from textrip.typed import require_whole

if TYPE_CHECKING:
    from textrip.mining.scoring import Reranker


def require_reranker(scorer: "Reranker", depth: int, k: int) -> None:
    """Raise InputError for what scores nothing, or for fewer documents than are wanted."""
    require_whole("rerank_depth", depth)
    if depth < k:
        raise InputError(f"rerank_depth is {depth}, at least k ({k}) was expected")
    if not callable(getattr(scorer, "fresh", None)):
        raise InputError(f"rerank is {scorer!r}, a scorer was expected (textrip.mining.scoring.load_scorer)")


def reranked(query: str, hits: Sequence[Hit], scorer: "Reranker", k: int) -> list[Hit]:
    """The k best of some hits by a scorer's scores; equal ones by doc_id.

    A document that is cut into passages is read where the question found it.
    """
    texts = [hit.passage or full_text(hit.title, hit.text) for hit in hits]
    fresh = scorer.fresh()
    scores = fresh.scores([(query, place) for place in range(len(texts))], texts)
    best = sorted(range(len(hits)), key=lambda place: (-float(scores[place]), hits[place].doc_id))[:k]
    return [
        replace(hits[place], rank=rank, score=float(scores[place]))
        for rank, place in enumerate(best, start=1)
    ]
