"""`textrip fit`."""

import shlex
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
    Output,
    Rounds,
    Seed,
    Stemmer,
)
from textrip.cli.request import Request
from textrip.data.columns import Columns
from textrip.mining.settings import MineSettings
from textrip.training.settings import TrainSettings


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "fit", TRAINING, MINING, COLUMNS)(fit)


def fit(
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    output: Output,
    columns: Columns,
    mining: MineSettings,
    settings: TrainSettings,
    model: Annotated[str, typer.Option("--model", help="The base encoder.")] = "all-MiniLM-L6-v2",
    dev_documents: DevDocuments = 2500,
    rounds: Rounds = 1,
    dense_share: DenseShare = 0.5,
    stemmer: Stemmer = "english",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    force: Force = False,
) -> int:
    """Raw text to a tuned, measured and indexed search: split, mine, train, evaluate, gate, index.

    Exits with 3 where the tuned encoder is worse than the base on the test split (REGRESSION); the index is
    then built with the base.

    Example: textrip fit my-corpus/ -o out && textrip search out/index "a question"
    """
    from textrip.cli.output import emit, emit_json, heard_or_not
    from textrip.cli.report import gain, print_evaluation
    from textrip.data.formats import read
    from textrip.lexical.analyzer import Analyzer
    from textrip.pipeline.fit import REPORT
    from textrip.pipeline.fit import fit as run
    from textrip.progress import say
    from textrip.replacing import refuse_taking_away

    refuse_taking_away(output, force=force, mark=REPORT, read=[data])
    request = Request(
        source=data, data=None, output=f"{output}.model", columns=columns, mining=mining, settings=settings,
        model=model, dev_documents=dev_documents, by_label=False, stemmer=stemmer, device=device,
        checkpoint_minutes=5.0, rounds=rounds, dense_share=dense_share, of_fit=True,
    )  # fmt: skip
    done = run(
        read(data, columns=columns),
        output,
        model=model,
        settings=settings,
        mining=mining,
        dev_documents=dev_documents,
        rounds=rounds,
        dense_share=dense_share,
        analyzer=Analyzer.for_language(stemmer),
        device=device,
        force=force,
        request=request.to_dict(),
        stage=lambda name: say(f"· {name}"),
    )
    with heard_or_not():
        if json:
            emit_json(done.to_dict())
        else:
            print_evaluation(done.evaluation)
            emit()
            emit(gain(done))
            emit(f'Search it: textrip search {shlex.quote(f"{output}/index")} "a question"')
    return 3 if done.verdict == "REGRESSION" else 0
