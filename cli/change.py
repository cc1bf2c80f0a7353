"""`textrip add` and `textrip delete`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from textrip.cli.command import command
from textrip.cli.groups import COLUMNS
from textrip.cli.options import Device, Json
from textrip.data.columns import Columns


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "add", COLUMNS)(add)
    command(app, "delete")(delete)


def add(
    index: Annotated[Path, typer.Argument(help="An index folder.")],
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, or - (JSONL on stdin).")],
    columns: Columns,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Add documents to an index; one whose id is there takes its place.

    Example: textrip add out/index new-documents.jsonl
    """
    from textrip.data.formats import read
    from textrip.retrieval.index import Index

    with Index.open(index, device=device) as opened:
        change = opened.add(read(data, columns=columns))
        report = {"added": change.added, "replaced": change.replaced, "unchanged": change.unchanged}
        _show({**report, "documents": len(opened)}, json)


def delete(
    index: Annotated[Path, typer.Argument(help="An index folder.")],
    doc_ids: Annotated[list[str], typer.Argument(help="Ids of documents, or - for one a line on stdin.")],
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="An id that is not there is no mistake.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove documents from every part of an index.

    Example: textrip delete out/index doc-17 doc-18
    """
    from textrip.errors import InputError
    from textrip.files import STDIN, numbered_lines
    from textrip.retrieval.index import Index

    if doc_ids == [STDIN]:
        doc_ids = [line for _, line in numbered_lines(STDIN) if line.strip()]
        if not doc_ids and not missing_ok:  # what was to write them failed
            raise InputError("<stdin>: has no id; one a line was expected")
    with Index.open(index) as opened:
        change = opened.delete(doc_ids, missing_ok=missing_ok)
        report = {"removed": change.removed, "missing": len(change.missing)}
        _show({**report, "documents": len(opened)}, json)


def _show(report: dict[str, Any], as_json: bool) -> None:
    from textrip.cli.output import emit, emit_json

    if as_json:
        emit_json(report)
    else:
        emit("\n".join(f"{name}: {value:,}" for name, value in report.items()))
