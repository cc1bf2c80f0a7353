"""`textrip check`."""

from pathlib import Path
from typing import Annotated

import typer

from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS
from textrip.cli.options import Device, Json, MaxLength
from textrip.data.columns import Columns

WITH_ERRORS = 2


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "check", COLUMNS)(check)


def check(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    columns: Columns,
    triples: Annotated[
        Path | None, typer.Option("--triples", help="Also look through triples of `textrip mine`.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Also say which share of the texts this encoder cuts.")
    ] = None,
    max_length_tokens: MaxLength = None,
    near: Annotated[
        bool,
        typer.Option("--near/--no-near", help="Look for near-duplicates: a minute for 100,000 texts."),
    ] = True,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Say what is wrong with the data before it costs a training run.

    Errors make training or its figures wrong: the exit code is 2, and `textrip train` and `textrip fit` stop
    at them without --force. Warnings are worth knowing.

    Example: textrip check my-corpus/ --model all-MiniLM-L6-v2
    """
    from textrip.cli.output import emit, emit_json, heard_or_not
    from textrip.cli.reading import read_for_models
    from textrip.data.finding import summary
    from textrip.encoding.encoder import Encoder
    from textrip.mining.triples import Triples
    from textrip.pipeline.check import check as look_through

    if model is None:
        refuse_idle(context, "without --model no text is cut", ["max_length_tokens", "device"])
    collection = read_for_models(  # the findings have what was passed over
        data, columns, model, device=device, max_length_tokens=max_length_tokens, tell=False
    )
    encoder = None
    if model is not None:
        encoder = Encoder.load(model, device=device, max_length_tokens=max_length_tokens)
    findings = look_through(
        collection,
        triples=None if triples is None else Triples.read(triples),
        encoder=encoder,
        near=near,
    )
    levels = summary(findings)
    with heard_or_not():
        if json:
            emit_json(
                {
                    "collection": collection.name,
                    "errors": levels["error"],
                    "warnings": levels["warning"],
                    "findings": [finding.to_dict() for finding in findings],
                }
            )
        else:
            verdict = _verdict(levels["error"], levels["warning"])
            emit("\n".join([repr(collection), *map(str, findings), verdict]))
    if levels["error"]:
        raise typer.Exit(WITH_ERRORS)


def _verdict(errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return "nothing is wrong"
    counts = ((errors, "error"), (warnings, "warning"))
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
