"""`textrip search`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from textrip.cli.command import command
from textrip.cli.options import Device, Json


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "search")(search)


def search(
    index: Annotated[Path, typer.Argument(help="An index folder.")],
    query: Annotated[str, typer.Argument(help="A question, or - for one a line on stdin.")],
    k: Annotated[int, typer.Option("-k", "--k", help="How many documents.")] = 10,
    mode: Annotated[str, typer.Option("--mode", help="dense, bm25 or hybrid.")] = "dense",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Search an index.

    Example: textrip search out/index "how do I reset my card" -k 3
    """
    from textrip.cli.output import emit, emit_json, printable
    from textrip.cli.report import print_hits
    from textrip.errors import InputError
    from textrip.files import STDIN, numbered_lines
    from textrip.retrieval.index import Index

    opened = Index.open(index, device=device)
    asked = [line for _, line in numbered_lines(STDIN) if line.strip()] if query == STDIN else [query]
    if not asked:
        raise InputError("<stdin>: has no question; one a line was expected")
    answers = opened.search_many(asked, k=k, mode=mode)  # type: ignore[arg-type]
    for question, hits in zip(asked, answers, strict=True):
        if json:
            for hit in hits:
                found = asdict(hit)
                emit_json(
                    {
                        "query": question,
                        **{name: found[name] for name in ("rank", "doc_id", "score", "title", "text")},
                    }
                )
            continue
        if len(asked) > 1:
            emit(f"? {printable(question)}")
        if not hits:
            emit("no document shares a word with the question")
        print_hits(hits, question, opened.lexical.analyzer)
    opened.store.close()
