"""nDCG@10, RR@10, AP and R@100 through ir-measures, with trec_eval's semantics and our ranks."""

from collections.abc import Mapping, Sequence

import ir_measures

from textrip.records import Qrels

# The printed name of a measure parses back: ir_measures.parse_measure("nDCG@10").
MEASURES = ("nDCG@10", "RR@10", "AP", "R@100")

Rankings = Mapping[str, Sequence[str]]


def per_query(qrels: Qrels, rankings: Rankings) -> dict[str, dict[str, float]]:
    """Every measure of every judged query; a judged query without a ranking counts 0.

    Args:
        qrels: Judgments. Gains are graded in nDCG; 1 and above is relevant in the others.
        rankings: From query_id to doc_ids, best first. The order is taken as it stands: trec_eval would
            order equal scores by doc_id downwards, so it is handed distinct scores made from the ranks.

    Returns:
        From measure to query_id to value, in the order of `qrels`.
    """
    wanted = [ir_measures.parse_measure(name) for name in MEASURES]
    run = {
        query_id: {doc_id: -float(rank) for rank, doc_id in enumerate(rankings.get(query_id, ()))}
        for query_id in qrels
    }
    judged = {query_id: dict(documents) for query_id, documents in qrels.items()}
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in MEASURES}
    for metric in ir_measures.iter_calc(wanted, judged, run):
        values[str(metric.measure)][metric.query_id] = float(metric.value)
    return values


def mean(values: Mapping[str, float]) -> float:
    """The mean over queries; 0 for none."""
    return sum(values.values()) / len(values) if values else 0.0
