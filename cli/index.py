"""`textrip index`."""

from typing import Annotated, Any

import typer

from textrip.cli.command import command
from textrip.cli.groups import COLUMNS
from textrip.cli.options import (
    Device,
    DryRun,
    Force,
    Json,
    MaxLength,
    Output,
    Stemmer,
    TrustRemoteCode,
)
from textrip.data.columns import Columns


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "index", COLUMNS)(index)


def index(
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    output: Output,
    columns: Columns,
    model: Annotated[str, typer.Option("--model", help="An encoder's name or folder.")] = "all-MiniLM-L6-v2",
    max_length_tokens: MaxLength = None,
    stemmer: Stemmer = "english",
    trust_remote_code: TrustRemoteCode = False,
    device: Device = "auto",
    json: Json = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Build an index folder that carries documents, vectors, BM25 and its encoder.

    Example: textrip index my-corpus/ --model out/model -o out/index
    """
    from textrip.cli.output import emit, emit_json
    from textrip.data.formats import read
    from textrip.encoding.encoder import Encoder
    from textrip.files import refuse_existing
    from textrip.lexical.analyzer import Analyzer
    from textrip.retrieval.index import Index

    if not dry_run:
        refuse_existing(output, force=force)
    collection = read(data, columns=columns)
    analyzer = Analyzer.for_language(stemmer)
    documents = len(collection.corpus)
    encoder = Encoder.load(
        model, device=device, max_length_tokens=max_length_tokens, trust_remote_code=trust_remote_code
    )
    report: dict[str, Any] = {
        "documents": documents,
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
    }
    if dry_run:
        sample = collection.texts[: min(64, documents)]
        report |= {
            "megabytes of vectors": round(documents * encoder.dimension * 4 / 1e6, 1),
            "seconds about": round(_seconds(encoder, sample) * documents / len(sample)),
            "writes": str(output),
        }
    else:
        Index.build(collection, encoder, output, analyzer=analyzer, force=force).store.close()
        report["written"] = str(output)
    if json:
        emit_json(report)
    else:
        emit("\n".join(f"{name}: {value}" for name, value in report.items()))


def _seconds(encoder: Any, texts: list[str]) -> float:
    """How long encoding these texts takes here."""
    import time

    encoder.encode(texts[:4])  # the first call pays for what the others share
    started = time.perf_counter()
    encoder.encode(texts)
    return time.perf_counter() - started
