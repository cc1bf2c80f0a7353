"""What `textrip demo` and `textrip fit` print."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textrip.cli.output import emit, emit_json, emit_table, marked, printable
from textrip.eval.significance import ALPHA, at_odds
from textrip.records import full_text

if TYPE_CHECKING:
    from textrip.clustering.cluster import Cluster
    from textrip.eval.evaluate import Evaluation
    from textrip.eval.significance import Difference
    from textrip.lexical.analyzer import Analyzer
    from textrip.pipeline.fit import Fit
    from textrip.records import Hit

AT_ODDS = "where an interval and its p disagree, as at few queries, p counts"


def print_evaluation(evaluation: "Evaluation") -> None:
    """The rows of an evaluation."""
    report = evaluation.to_dict()
    searched = "whole corpus"
    if report["provenance"]["without_own_id"]:
        searched += " without the document of the query's own id"
    emit(f"{report['collection']}, split {report['split']}: {report['queries']:,} queries, {searched}")
    emit()
    measures = [name for name in report["rows"][0] if name not in {"system", "seconds"}]
    emit_table(
        ["system", *measures, "seconds"],
        [
            [row["system"], *(f"{row[name]:.4f}" for name in measures), f"{row['seconds']:.1f}"]
            for row in report["rows"]
        ],
    )
    if report["provenance"].get("resumed"):
        emit("(it went on where it had been stopped: seconds are of what was left to do)")


def moved(difference: Mapping[str, Any]) -> list[str]:
    """A difference of two systems, its interval and its p, as cells."""
    interval = f"{difference['low']:+.4f} to {difference['high']:+.4f}"
    return [f"{difference['mean']:+.4f}", interval, f"{difference['p']:.4f}"]


def weighed(weight: float | None) -> str:
    """How hybrid search fuses, in words."""
    return "by ranks" if weight is None else f"{weight:.2f} dense, {1 - weight:.2f} BM25"


def _interval(difference: "Difference") -> str:
    return f"95 % interval {difference.low:+.3f} to {difference.high:+.3f}, p = {difference.p:.4f}"


def hybrid_gain(done: "Fit") -> str:
    """The sentence that says what hybrid search gains over dense search."""
    hybrid, difference = done.hybrid, done.hybrid.difference
    dense = done.evaluation[hybrid.against]["nDCG@10"]
    found = "better (--mode hybrid)" if difference.mean > 0 else "worse"
    told = found if difference.p < ALPHA else "NO DIFFERENCE"
    return (
        f"Hybrid search ({weighed(hybrid.weight)}, chosen on dev) moves nDCG@10 from {dense:.3f} by "
        f"{difference.mean:+.3f} ({_interval(difference)}): {told}."
    )


def gain(done: "Fit") -> str:
    """The sentence that says what the tuning gained."""
    difference, before = done.difference, done.evaluation["untuned"]["nDCG@10"]
    interval = _interval(difference)
    if at_odds(difference.low, difference.high, difference.p):
        interval += f"; {AT_ODDS}"
    tested = f"over {difference.n:,} test queries ({interval})"
    match done.verdict:
        case "IMPROVED":
            return f"Tuning raised nDCG@10 from {before:.3f} by {difference.mean:+.3f} {tested}: IMPROVED."
        case "REGRESSION":
            return f"Tuning lowered nDCG@10 from {before:.3f} by {difference.mean:+.3f} {tested}: REGRESSION."
    return f"Tuning moved nDCG@10 from {before:.3f} by {difference.mean:+.3f} {tested}: NO DIFFERENCE."


def print_report(
    done: "Fit",
    answers: "dict[str, list[Hit]]",
    clusters: "list[Cluster]",
    analyzer: "Analyzer",
    *,
    kept: Path | None,
    as_json: bool,
) -> None:
    """Table, gain, hits, clusters, and the commands that do each step by hand."""
    if as_json:
        emit_json(done.to_dict())
        return
    print_evaluation(done.evaluation)
    emit()
    emit(gain(done))
    emit(hybrid_gain(done))
    for question, hits in answers.items():
        emit()
        emit(f"? {question}")
        print_hits(hits, question, analyzer)
    emit()
    emit("Clusters, the largest first:")
    for cluster in clusters[:5]:
        emit(f"  {cluster.size:4d}  {', '.join(cluster.keywords[:6])}")
    emit()
    emit(_by_hand(done, next(iter(answers)), len(clusters), kept))


def print_hits(hits: "list[Hit]", question: str, analyzer: "Analyzer") -> None:
    """Rank, score, title and a snippet with the query's terms marked."""
    from textrip.retrieval.snippet import snippet

    for hit in hits:
        title = f"{hit.title}  [{hit.doc_id}]" if hit.title and hit.title != hit.doc_id else hit.doc_id
        emit(f"{hit.rank:3d}  {hit.score:.3f}  {printable(title)}")
        text = marked(snippet(_below(hit), question, analyzer))
        if text:
            emit(f"            {text}", styled=True)


def _below(hit: "Hit") -> str:
    """The text or passage; without the title, which stands above and begins the first passage."""
    if hit.passage is None:
        return hit.text
    first = full_text(hit.title, hit.text).startswith(hit.passage)
    return hit.passage.removeprefix(hit.title) if first else hit.passage


def _by_hand(done: "Fit", question: str, clusters: int, kept: Path | None) -> str:
    # What was kept is there: the same commands make it beside that.
    out = shlex.quote("out" if kept is None else f"{kept}-by-hand")
    settings = done.manifest["settings"]
    length = f"--max-length-tokens {settings['max_length_tokens']}"
    return f"""The same, step by step:
  textrip check stdlib
  textrip train stdlib -o {out}/model --epochs {settings["epochs"]:g} {length} --seed {settings["seed"]}
  textrip eval stdlib --split test --bm25 --model all-MiniLM-L6-v2 --model {out}/model {length}
  textrip index stdlib --model {out}/model -o {out}/index
  textrip search {out}/index "{question}" -k 3
  textrip cluster {out}/index --k {clusters} --seed {settings["seed"]}
With a corpus of your own in place of stdlib: textrip fit my-corpus/ -o out"""
