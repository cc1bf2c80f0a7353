"""`textrip fit`."""

from typing import Annotated, Any

import typer

from textrip.cli.options import (
    BatchQueries,
    DevDocuments,
    Device,
    Distance,
    Dropout,
    Epochs,
    Force,
    HardestPositive,
    Json,
    LearningRate,
    Loss,
    Margin,
    MaxLength,
    Negatives,
    Output,
    SecondMargin,
    Seed,
    Stemmer,
    Strategy,
    Temperature,
    command,
)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "fit", data=True)(fit)


def fit(
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    output: Output,
    columns: Any = None,
    model: Annotated[str, typer.Option("--model", help="The base encoder.")] = "all-MiniLM-L6-v2",
    epochs: Epochs = 1,
    batch_queries: BatchQueries = 16,
    learning_rate: LearningRate = 2e-5,
    max_length_tokens: MaxLength = None,
    loss: Loss = "triplet",
    strategy: Strategy = "batch-hard",
    hardest_positive: HardestPositive = False,
    distance: Distance = "cosine",
    margin: Margin = 0.2,
    temperature: Temperature = 0.05,
    second_margin: SecondMargin = None,
    dropout: Dropout = False,
    negatives: Negatives = 1,
    dev_documents: DevDocuments = 2500,
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
    from textrip import pipeline
    from textrip.cli.output import emit, emit_json
    from textrip.cli.report import gain, print_evaluation
    from textrip.data.formats import read
    from textrip.files import refuse_existing
    from textrip.lexical.analyzer import Analyzer
    from textrip.mining.mine import MineSettings
    from textrip.progress import say
    from textrip.training.settings import TrainSettings

    refuse_existing(output, force=force)
    settings = TrainSettings(
        epochs=epochs, batch_queries=batch_queries, learning_rate=learning_rate,
        max_length_tokens=max_length_tokens, loss=loss, strategy=strategy, distance=distance,  # type: ignore[arg-type]
        hardest_positive=hardest_positive, margin=margin, temperature=temperature,
        second_margin=second_margin, dropout=dropout, seed=seed,
    )  # fmt: skip
    done = pipeline.fit(
        read(data, columns=columns),
        output,
        model=model,
        settings=settings,
        mining=MineSettings(negatives=negatives, seed=seed),
        dev_documents=dev_documents,
        analyzer=Analyzer.for_language(stemmer),
        device=device,
        force=force,
        stage=lambda name: say(f"· {name}"),
    )
    if json:
        emit_json(done.to_dict())
    else:
        print_evaluation(done.evaluation, as_json=False)
        emit()
        emit(gain(done))
        emit(f'Search it: textrip search {output}/index "a question"')
    return 3 if done.verdict == "REGRESSION" else 0
