"""The same things written as plain loops, slowly: what the fast versions are compared with."""

import math
from collections.abc import Mapping, Sequence


def ndcg_at_10(judged: Mapping[str, int], ranking: Sequence[str]) -> float:
    """Graded gains, trec_eval's logarithm: gain / log2(rank + 1)."""
    gains = [judged.get(doc_id, 0) for doc_id in ranking[:10]]
    ideal = sorted((grade for grade in judged.values() if grade > 0), reverse=True)[:10]
    best = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ideal))
    found = sum(max(gain, 0) / math.log2(rank + 2) for rank, gain in enumerate(gains))
    return found / best if best else 0.0


def reciprocal_rank(judged: Mapping[str, int], ranking: Sequence[str]) -> float:
    """RR@10."""
    return next((1 / rank for rank, doc_id in enumerate(ranking[:10], 1) if judged.get(doc_id, 0) > 0), 0.0)


def average_precision(judged: Mapping[str, int], ranking: Sequence[str]) -> float:
    """AP over the whole ranking."""
    relevant = {doc_id for doc_id, grade in judged.items() if grade > 0}
    found, total = 0, 0.0
    for rank, doc_id in enumerate(ranking, 1):
        if doc_id in relevant:
            found += 1
            total += found / rank
    return total / len(relevant) if relevant else 0.0


def recall_at_100(judged: Mapping[str, int], ranking: Sequence[str]) -> float:
    """R@100."""
    relevant = {doc_id for doc_id, grade in judged.items() if grade > 0}
    return len(relevant & set(ranking[:100])) / len(relevant) if relevant else 0.0


def top_k(scores: Sequence[float], k: int, order: Sequence[int]) -> list[int]:
    """Score down, then order up, by sorting everything."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], order[place]))[:k]


def rrf(rankings: Sequence[Sequence[int]], k: int) -> list[tuple[int, float]]:
    """Reciprocal rank fusion with the constant 60."""
    scores = {
        place: sum(
            1 / (60 + list(ranking).index(place) + 1) for ranking in rankings if place in list(ranking)
        )
        for ranking in rankings
        for place in ranking
    }
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]
