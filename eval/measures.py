"""nDCG@10, RR@10, AP and R@100 through ir-measures, with trec_eval's semantics and our ranks."""

from collections.abc import Mapping, Sequence

import ir_measures

from textrip.errors import InputError
from textrip.records import HIGHEST_GRADE, Qrels

# The printed name of a measure parses back: ir_measures.parse_measure("nDCG@10").
MEASURES = ("nDCG@10", "RR@10", "AP", "R@100")

Rankings = Mapping[str, Sequence[str]]


def per_query(qrels: Qrels, rankings: Rankings) -> dict[str, dict[str, float]]:
    """Every measure of every judged query; a judged query without a ranking counts 0.

    Args:
        qrels: Judgments. Gains are graded in nDCG; 1 and above is relevant in the others, and 0 and below is
            not relevant, and no less.
        rankings: From query_id to doc_ids, best first. The order is taken as it stands: trec_eval would
            order equal scores by doc_id downwards, so it is handed distinct scores made from the ranks.

    Returns:
        From measure to query_id to value, in the order of `qrels`.

    Raises:
        InputError: a grade above HIGHEST_GRADE.
    """
    highest = max((grade for documents in qrels.values() for grade in documents.values()), default=0)
    if highest > HIGHEST_GRADE:
        raise InputError(f"a document is judged {highest}, a grade of at most {HIGHEST_GRADE:,} was expected")
    wanted = [ir_measures.parse_measure(name) for name in MEASURES]
    run = {
        query_id: {doc_id: -float(rank) for rank, doc_id in enumerate(rankings.get(query_id, ()))}
        for query_id in qrels
    }
    # trec_eval's code writes beside its memory where all grades of a query are -2 and below.
    judged = {
        query_id: {doc_id: max(0, grade) for doc_id, grade in documents.items()}
        for query_id, documents in qrels.items()
    }
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in MEASURES}
    for metric in ir_measures.iter_calc(wanted, judged, run):
        values[str(metric.measure)][metric.query_id] = float(metric.value)
    return values


def mean(values: Mapping[str, float]) -> float:
    """The mean over queries; 0 for none."""
    return sum(values.values()) / len(values) if values else 0.0
