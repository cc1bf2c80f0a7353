"""`textrip eval`."""

from contextlib import ExitStack
from typing import Annotated

import typer

from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS
from textrip.cli.options import (
    ByLabel,
    Device,
    Dimension,
    Json,
    MaxLength,
    Stemmer,
    TrustRemoteCode,
    WithoutOwnId,
)
from textrip.data.columns import Columns


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "eval", COLUMNS)(evaluate)


def evaluate(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    columns: Columns,
    split: Annotated[str, typer.Option("--split", help="Whose judged queries are asked.")] = "test",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="An encoder's name or folder; may be given many times."),
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option(
            "--index", help="An index, as it is searched: dense, bm25, hybrid; may be given many times."
        ),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank",
            help="A cross-encoder (or encoder): each --index also with the 50 best of hybrid scored again.",
        ),
    ] = None,
    bm25: Annotated[
        bool, typer.Option("--bm25", help="Measure BM25 (also where no --model and no --index is given).")
    ] = False,
    hybrid: Annotated[
        bool, typer.Option("--hybrid", help="Measure the fusion of BM25 and --model, too.")
    ] = False,
    by_label: ByLabel = False,
    without_own_id: WithoutOwnId = False,
    max_length_tokens: MaxLength = None,
    dimension: Dimension = None,
    stemmer: Stemmer = "english",
    trust_remote_code: TrustRemoteCode = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure nDCG@10, RR@10, AP and R@100 over the whole corpus.

    A split that DATA lacks is cut from train, the same one that `textrip train` and `textrip fit` hold out.

    Example: textrip eval my-corpus/ --bm25 --model all-MiniLM-L6-v2 --model out/model --index out/index
    """
    from textrip.cli.output import emit, emit_json, emit_table
    from textrip.cli.reading import read_for_models
    from textrip.cli.report import AT_ODDS, moved, print_evaluation
    from textrip.encoding.encoder import Encoder
    from textrip.eval.evaluate import evaluate as measure
    from textrip.eval.significance import at_odds
    from textrip.lexical.analyzer import Analyzer
    from textrip.mining.scoring import load_scorer
    from textrip.retrieval.index import Index

    if not model:
        idle = ["max_length_tokens", "dimension", "trust_remote_code", *([] if index else ["device"])]
        refuse_idle(context, "without --model nothing is encoded", idle)
    if not index:
        refuse_idle(context, "without --index nothing is found that could be scored again", ["rerank"])
    if (model or index) and not bm25 and not hybrid:
        refuse_idle(context, "without --bm25 and --hybrid no word is looked at", ["stemmer"])
    with ExitStack() as opened:
        indexes = [opened.enter_context(Index.open(folder, device=device)) for folder in index or []]
        collection = read_for_models(
            data, columns, *(model or []), rerank, device=device, max_length_tokens=max_length_tokens
        )
        if by_label:
            from textrip.pipeline.prepare import prepare_labels

            collection = prepare_labels(collection)
        elif not collection.qrels.get(split):
            from textrip.pipeline.prepare import prepare

            collection = prepare(collection)
        encoders = [
            Encoder.load(
                name,
                device=device,
                max_length_tokens=max_length_tokens,
                dimension=dimension,
                trust_remote_code=trust_remote_code,
            )
            for name in model or []
        ]
        evaluation = measure(
            collection,
            split=split,
            bm25=bm25 or not (encoders or indexes),
            encoders=encoders,
            indexes=indexes,
            rerank=None if rerank is None else load_scorer(rerank, device=device),
            hybrid=hybrid,
            analyzer=Analyzer.for_language(stemmer),
            without_own_id=without_own_id,
        )
    differences = evaluation.differences()
    if json:
        emit_json({**evaluation.to_dict(), "differences": differences})
        return
    print_evaluation(evaluation)
    if differences:
        emit()
        emit(f"nDCG@10, query by query over {differences[0]['n']:,} queries:")
        rows = [[f"{row['system']} against {row['against']}", *moved(row)] for row in differences]
        emit_table(["", "difference", "95 % interval", "p"], rows)
        if any(at_odds(row["low"], row["high"], row["p"]) for row in differences):
            emit(f"({AT_ODDS})")
