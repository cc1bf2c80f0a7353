"""`textrip search`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textrip.cli.command import command, refuse_idle, typed
from textrip.cli.options import Device, Json

if TYPE_CHECKING:
    from textrip.records import Hit
    from textrip.retrieval.where import Where


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "search")(search)


def search(
    context: typer.Context,
    index: Annotated[Path, typer.Argument(help="An index folder.")],
    query: Annotated[str | None, typer.Argument(help="A question, or - for one a line on stdin.")] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="How many documents.")] = 10,
    mode: Annotated[str, typer.Option("--mode", help="dense, bm25 or hybrid.")] = "dense",
    where: Annotated[
        str | None,
        typer.Option("--where", help='Only documents for which this SQL holds: "year > :from".'),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", help="A value for --where: from=2010; JSON, else text. May be repeated."),
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="Find what is near to this document, in place of a question.")
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option("--rerank", help="A cross-encoder (or encoder) that scores the best documents again."),
    ] = None,
    rerank_depth: Annotated[
        int, typer.Option("--rerank-depth", min=1, help="How many of the best are scored again; -k, if more.")
    ] = 50,
    exact: Annotated[
        bool, typer.Option("--exact", help="Look at every vector, where the index looks at some.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Search an index.

    Example: textrip search out/index "how do I reset my card" -k 3
    """
    from textrip.errors import InputError
    from textrip.files import STDIN, numbered_lines
    from textrip.retrieval.index import Index

    if (query is None) == (like is None):
        raise InputError("a question or --like DOC_ID was expected, one of the two")
    condition = _condition(where, param or [])
    if like is not None:
        refuse_idle(context, "--like encodes nothing", ["device"])
    elif mode == "bm25":
        idle = ["exact"] if rerank is not None else ["device", "exact"]
        refuse_idle(context, "--mode bm25 encodes nothing and looks at no vector", idle)
    if rerank is None:
        refuse_idle(context, "without --rerank nothing is scored again", ["rerank_depth"])
    with Index.open(index, device=device) as opened:
        if like is not None:
            if rerank is not None or mode != "dense":
                raise InputError("--like goes by the documents' vectors; leave out --rerank and --mode")
            hits = opened.more_like(like, k=k, where=condition, exact=exact)
            _show(like, hits, opened, json, alone=True, mode=mode, asked_by="like")
            return
        asked = [line for _, line in numbered_lines(STDIN) if line.strip()] if query == STDIN else [query]
        if not asked:
            raise InputError("<stdin>: has no question; one a line was expected")
        answers = opened.search_many(
            asked,  # type: ignore[arg-type]
            k=k,
            mode=mode,  # type: ignore[arg-type]
            where=condition,
            rerank=_scorer(rerank, device),
            # Only one that was typed is meant for this -k.
            rerank_depth=rerank_depth if typed(context, ["rerank_depth"]) else max(k, rerank_depth),
            exact=exact,
        )
        for question, hits in zip(asked, answers, strict=True):
            _show(question or "", hits, opened, json, alone=len(asked) == 1, mode=mode)


def _show(
    question: str,
    hits: "list[Hit]",
    opened: Any,
    as_json: bool,
    *,
    alone: bool,
    mode: str,
    asked_by: str = "query",
) -> None:
    from textrip.cli.output import emit, emit_json, printable
    from textrip.cli.report import print_hits

    if as_json:
        for hit in hits:
            found = {name: getattr(hit, name) for name in ("rank", "doc_id", "score", "title", "text")}
            if hit.passage is not None:
                found["passage"] = hit.passage
            if hit.metadata:
                found["metadata"] = dict(hit.metadata)
            emit_json({asked_by: question, **found})
        return
    if not alone:
        emit(f"? {printable(question)}")
    if not hits and mode == "bm25" and opened.analyzer.stop_words and not opened.analyzer(question):
        emit("the question has no word that is looked for: the commonest ones are left out")
    elif not hits:
        emit("no document shares a word with the question" if mode == "bm25" else "no document was found")
    print_hits(hits, question, opened.analyzer)


def _condition(expression: str | None, values: list[str]) -> "Where | None":
    import json

    from textrip.errors import InputError
    from textrip.retrieval.where import Where

    if expression is None:
        if values:
            raise InputError("--param is a value for --where, which is not given")
        return None
    parameters: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise InputError(f"--param {value!r}: NAME=VALUE was expected")
        if name in parameters:
            raise InputError(f"--param {name} is given twice, a name has one value; leave one out")
        try:
            parameters[name] = json.loads(text)
        except (ValueError, RecursionError):
            parameters[name] = text
        if isinstance(parameters[name], list | dict):
            parameters[name] = text
    return Where(expression, parameters)


def _scorer(name: str | None, device: str) -> Any:
    if name is None:
        return None
    from textrip.mining.scoring import load_scorer

    return load_scorer(name, device=device)
