"""`textrip cluster`."""

from typing import Annotated, Any

import typer

from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS
from textrip.cli.options import Device, Json, Seed
from textrip.data.columns import Columns


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "cluster", COLUMNS)(cluster)


def cluster(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="An index folder, or what textrip index reads.")
    ],
    columns: Columns,
    k: Annotated[
        int | None,
        typer.Option("--k", "-k", help="How many clusters; sqrt(n / 2), 2 to 50, where not given."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="Encodes INPUT where it is no index.")
    ] = "all-MiniLM-L6-v2",
    device: Device = "auto",
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Group documents and name each group by its keywords; the same seed gives the same groups.

    With --json, a line per cluster: cluster, size, keywords, representatives, doc_ids.

    Example: textrip cluster out/index --k 20
    """
    from textrip.cli.output import emit_json, emit_table
    from textrip.cli.reading import read_for_models
    from textrip.pipeline.cluster import cluster as group
    from textrip.retrieval.index import Index
    from textrip.retrieval.layout import is_index

    indexed = is_index(source)
    if indexed:
        idle = ["model", "device", *COLUMNS.options]
        refuse_idle(context, f"{source} is an index, which has its vectors", idle)
    opened: Any
    if indexed:
        opened = Index.open(source, device=device)
    else:
        opened = read_for_models(source, columns, model, device=device)
    clusters = group(opened, k=k, model=model, device=device, seed=seed)
    if json:
        for found in clusters:
            emit_json(found.to_dict())
        return
    emit_table(
        ["cluster", "size", "keywords", "representatives"],
        [
            [found.cluster, found.size, ", ".join(found.keywords[:6]), ", ".join(found.representatives)]
            for found in clusters
        ],
    )
