"""`textrip fit`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from textrip.cli.command import command
from textrip.cli.groups import COLUMNS, MINING, TRAINING
from textrip.cli.options import (
    DenseShare,
    DevDocuments,
    Device,
    Force,
    Json,
    Rounds,
    Seed,
    Stemmer,
    WithoutOwnId,
)
from textrip.cli.request import Request, refuse_beside_resume
from textrip.data.columns import Columns
from textrip.errors import InputError
from textrip.mining.settings import MineSettings
from textrip.training.settings import TrainSettings


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "fit", TRAINING, MINING, COLUMNS)(fit)


def fit(
    context: typer.Context,
    columns: Columns,
    mining: MineSettings,
    settings: TrainSettings,
    data: Annotated[
        str | None, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")] = None,
    model: Annotated[str, typer.Option("--model", help="The base encoder.")] = "all-MiniLM-L6-v2",
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Go on with what was stopped: OUTPUT.unfinished, and nothing else."),
    ] = None,
    dev_documents: DevDocuments = 2500,
    without_own_id: WithoutOwnId = False,
    rounds: Rounds = 1,
    dense_share: DenseShare = 0.5,
    stemmer: Stemmer = "english",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    force: Force = False,
) -> int:
    """Raw text to a tuned, measured and indexed search: split, mine, train, evaluate, gate, index.

    Exits with 3 where the tuned encoder is worse than the base on the test split, and chance would make it so
    in less than one of twenty cases (REGRESSION, p < 0.05); the index is then built with the base.

    Example: textrip fit my-corpus/ -o out && textrip search out/index "a question"
    """
    from textrip.cli.output import emit, emit_json, heard_or_not
    from textrip.cli.reading import read_for_models
    from textrip.cli.report import gain, hybrid_gain, print_evaluation
    from textrip.lexical.analyzer import Analyzer
    from textrip.pipeline.fit import fit as run
    from textrip.progress import say
    from textrip.training.run_folder import REPORT, RunFolder

    if resume is not None:
        refuse_beside_resume(context)
        request = Request.of_run(resume, of="fit")
    elif data is None or output is None:
        missing = "DATA" if data is None else "-o OUTPUT"
        raise InputError(f"{missing} is missing: textrip fit DATA -o OUTPUT, or textrip fit --resume FOLDER")
    else:
        request = Request(
            source=data, output=str(output), columns=columns, mining=mining, settings=settings, model=model,
            dev_documents=dev_documents, without_own_id=without_own_id, stemmer=stemmer, device=device,
            rounds=rounds, dense_share=dense_share,
        )  # fmt: skip
    unfinished = RunFolder.beside(request.output, of="fit") if resume is None else RunFolder(resume)
    unfinished.refuse_early(
        request.output, resume=resume is not None, force=force, mark=REPORT, read=[request.source]
    )
    done = run(
        read_for_models(
            request.source,
            request.columns,
            request.model,
            *request.mining.models,
            device=request.device,
            max_length_tokens=request.settings.max_length_tokens,
        ),
        request.output,
        model=request.model,
        settings=request.settings,
        mining=request.mining,
        dev_documents=request.dev_documents,
        without_own_id=request.without_own_id,
        rounds=request.rounds,
        dense_share=request.dense_share,
        analyzer=Analyzer.for_language(request.stemmer),
        device=request.device,
        run=unfinished,
        resume=resume is not None,
        request=request.to_dict(),
        force=force,
        stage=lambda name: say(f"· {name}"),
    )
    with heard_or_not():
        if json:
            emit_json(done.to_dict())
        else:
            print_evaluation(done.evaluation)
            emit()
            emit(gain(done))
            emit(hybrid_gain(done))
            emit(f'Search it: textrip search {shlex.quote(f"{request.output}/index")} "a question"')
    return 3 if done.verdict == "REGRESSION" else 0
