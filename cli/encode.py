"""`textrip encode`."""

from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Annotated

import typer

from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS
from textrip.cli.options import (
    Backend,
    Device,
    Dimension,
    EncodePrecision,
    Force,
    Json,
    MaxLength,
    Output,
    TrustRemoteCode,
)
from textrip.data.columns import Columns


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "encode", COLUMNS)(encode)


def encode(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="A .txt file or - (stdin): a text a line; else what textrip index reads."
        ),
    ],
    output: Output,
    columns: Columns,
    model: Annotated[str, typer.Option("--model", help="An encoder's name or folder.")] = "all-MiniLM-L6-v2",
    backend: Backend = "torch",
    precision: EncodePrecision = "float32",
    max_length_tokens: MaxLength = None,
    dimension: Dimension = None,
    queries: Annotated[
        bool, typer.Option("--queries", help="Encode as queries (the model's prompt for them).")
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
    device: Device = "auto",
    json: Json = False,
    force: Force = False,
) -> None:
    """Texts to unit vectors in .npy (ids and the encoder's fingerprint beside it) or .parquet, in order.

    One that is stopped goes on where it was, by 4,096 texts, when it is typed again.

    Example: textrip encode corpus.jsonl -o vectors.parquet
    """
    from textrip.cli.output import emit, emit_json
    from textrip.cli.reading import read_for_models
    from textrip.data.collection import Texts
    from textrip.encoding.backend import load_backend
    from textrip.encoding.cut import SAMPLE, say_what_is_cut
    from textrip.encoding.kept import keeping
    from textrip.encoding.vectors import refuse_foreign_sidecar, refuse_suffix, sidecar, write_vectors
    from textrip.errors import InputError
    from textrip.files import STDIN, uncompressed_suffix
    from textrip.records import Kind
    from textrip.writable import refuse_taking_away

    refuse_taking_away(refuse_suffix(output), force=force, read=[source])
    refuse_foreign_sidecar(output)
    texts: Texts | Iterator[str]
    ids: Iterator[str]
    total: int | None = None
    if source == STDIN or (uncompressed_suffix(Path(source)) == ".txt" and not Path(source).is_dir()):
        refuse_idle(context, "a text a line has no columns", COLUMNS.options)
        lines = _lines(source)
        sample: Sequence[str] = list(islice(lines, SAMPLE))
        if not sample:
            raise InputError(
                f"{'<stdin>' if source == STDIN else source}: is empty, at least one text was expected"
            )
        texts = chain(sample, lines)
        ids = map(str, count(1))
    else:
        collection = read_for_models(source, columns, model, max_length_tokens=max_length_tokens)
        sample = texts = collection.texts
        total = len(collection.corpus)
        ids = iter(collection.doc_ids)
    with keeping(output), load_backend(
        model, backend=backend, precision=precision, device=device, max_length_tokens=max_length_tokens,
        dimension=dimension, trust_remote_code=trust_remote_code,
    ) as (encoder, _):  # fmt: skip
        kind: Kind = "query" if queries else "document"
        say_what_is_cut(encoder, sample, ", and are cut", what="texts", kind=kind)
        windows = encoder.encode_stream(texts, kind=kind, progress="encoding", total=total)
        rows = write_vectors(
            output, ids, windows, fingerprint=encoder.fingerprint, encoder=encoder.name, force=force
        )
    report = {
        "rows": rows,
        "dimension": encoder.dimension,
        "fingerprint": encoder.fingerprint,
        "written": str(output),
    }
    if output.suffix == ".npy":
        report["about"] = str(sidecar(output))
    if json:
        emit_json(report)
    else:
        emit("\n".join(f"{name}: {value}" for name, value in report.items()))


def _lines(source: str) -> Iterator[str]:
    from textrip.files import numbered_lines
    from textrip.progress import say

    for number, line in numbered_lines(source):
        if number == 1 and line.startswith("{") and line.rstrip().endswith("}"):
            say("the first line looks like JSON, and is encoded as a text; of a .jsonl file it would be read")
        yield line
