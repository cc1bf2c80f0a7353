"""`textrip train`."""

from typing import Annotated, Any

import typer

from textrip.cli.options import (
    BatchQueries,
    DevDocuments,
    Device,
    Distance,
    Dropout,
    DryRun,
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
    TrustRemoteCode,
    command,
)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "train", data=True)(train)


def train(
    source: Annotated[
        str, typer.Argument(metavar="DATA-or-TRIPLES", help="Data (mined first), or triples of textrip mine.")
    ],
    output: Output,
    columns: Any = None,
    data: Annotated[
        str | None, typer.Option("--data", help="What the triples were mined from, when TRIPLES are given.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="The base encoder: a name or a folder.")
    ] = "all-MiniLM-L6-v2",
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
    trust_remote_code: TrustRemoteCode = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Fine-tune an encoder with triplet loss; the epoch that is best on dev is saved.

    The result is an ordinary sentence-transformers folder with a model card and a manifest.

    Example: textrip train my-corpus/ -o model --epochs 3 --strategy batch-hard
    """
    from textrip import pipeline
    from textrip.cli.output import emit, emit_json
    from textrip.data.formats import read
    from textrip.encoding.encoder import Encoder
    from textrip.errors import InputError
    from textrip.files import refuse_existing
    from textrip.lexical.analyzer import Analyzer
    from textrip.mining.mine import MineSettings
    from textrip.mining.triples import Triples, is_triples_file
    from textrip.training.settings import TrainSettings

    settings = TrainSettings(
        epochs=epochs, batch_queries=batch_queries, learning_rate=learning_rate,
        max_length_tokens=max_length_tokens, loss=loss, strategy=strategy, distance=distance,  # type: ignore[arg-type]
        hardest_positive=hardest_positive, margin=margin, temperature=temperature,
        second_margin=second_margin, dropout=dropout, seed=seed,
    )  # fmt: skip
    mining = MineSettings(negatives=negatives, seed=seed)
    if not dry_run:
        refuse_existing(output, force=force)
    triples = None
    if is_triples_file(source):
        if data is None:
            raise InputError(f"{source} holds triples by id: name what they were mined from with --data")
        triples = Triples.read(source)
    elif data is not None:
        raise InputError(f"{source} holds no triples, so --data has nothing to add; give one of them")
    collection = read(data or source, columns=columns)
    if dry_run:
        plan = _plan(pipeline.prepare(collection), settings, negatives, str(output))
        emit_json(plan) if json else emit("\n".join(f"{name}: {value}" for name, value in plan.items()))
        return
    encoder = Encoder.load(model, device=device, trust_remote_code=trust_remote_code)
    manifest = pipeline.train(
        collection, output, triples=triples, model=encoder, settings=settings, mining=mining,
        analyzer=Analyzer.for_language(stemmer), dev_documents=dev_documents, force=force,
    )  # fmt: skip
    if json:
        emit_json({**manifest, "output": str(output)})
        return
    measured = [f"{step['nDCG@10']:.4f} (epoch {step['epoch']:g})" for step in manifest["dev"]]
    emit(f"dev nDCG@10: {', '.join(measured)}")
    kept = (
        "the untuned weights: no epoch was better"
        if manifest["kept_step"] == 0
        else f"step {manifest['kept_step']}"
    )
    emit(f"kept: {kept}")
    emit(f"written: {output}")


def _plan(collection: Any, settings: Any, negatives: int, output: str) -> dict[str, Any]:
    queries = len(collection.judged("train"))
    texts = queries * (2 + negatives) * settings.epochs
    tokens = queries * (20 + (1 + negatives) * (settings.max_length_tokens or 256)) * settings.epochs
    return {
        "documents": len(collection.corpus),
        "queries": queries,
        "steps": -(-queries // settings.batch_queries) * settings.epochs,
        "texts encoded": texts,
        # Measured on 2 CPU cores with MiniLM-L6: 2,000 tokens a second forward and backward.
        "seconds about (2 CPU cores, MiniLM-L6)": round(tokens / 2000),
        "writes": output,
    }
