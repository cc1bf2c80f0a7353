"""The best hits scored again by a model that reads question and document together, or by another encoder."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textrip.records import Hit, full_text

if TYPE_CHECKING:
    from textrip.mining.scoring import Reranker


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
