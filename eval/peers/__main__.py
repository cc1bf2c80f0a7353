"""`python -m textrip.eval.peers NAME`: run one comparison and print its table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from textrip.errors import InputError, OfflineError, StorageError
from textrip.eval.peers import rows as tables
from textrip.eval.peers.rows import drawable, writable, write_rows
from textrip.training.settings import TrainSettings, number_or_auto

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

JsonFile = Annotated[Path | None, typer.Option("--json", callback=writable, help="Also write the rows here.")]


@app.callback()
def peers() -> None:
    """Compare textrip with other packages, side by side in one run on this machine."""


@app.command()
def training(
    *,
    data: Annotated[
        str, typer.Option("--data", help="Whose texts are trained on; what textrip reads.")
    ] = "stdlib",
    model: Annotated[
        str, typer.Option("--model", help="The encoder; also random-bert-base, random-modernbert-base.")
    ] = "all-MiniLM-L6-v2",
    negatives: Annotated[
        list[int] | None, typer.Option("--negatives", help="Mined negatives a query.")
    ] = None,
    max_length_tokens: Annotated[
        int, typer.Option("--max-length-tokens", help="Longer texts are cut.")
    ] = 128,
    batch_queries: Annotated[int, typer.Option("--batch-queries", help="Queries a batch.")] = 16,
    cache_tokens: Annotated[
        int, typer.Option("--cache-tokens", help="Tokens that a cached step holds at once.")
    ] = 4096,
    steps: Annotated[int, typer.Option("--steps", min=2, help="Steps measured, after one that is not.")] = 4,
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Only these; all where none is given.")
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Each system is measured so often, in turn.")
    ] = 2,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="float32, or bf16 autocast for every system.")
    ] = "float32",
    json: JsonFile = None,
) -> None:
    """Triples and TFLOP/s, peak memory and encodings per triple against sentence-transformers' losses."""
    from textrip.eval.peers.training import SYSTEMS, Case, compare

    _refuse_unknown("--system", system, SYSTEMS)
    if precision not in {"float32", "bf16"}:
        raise typer.BadParameter(f"{precision!r} is none of: float32, bf16", param_hint="--precision")
    cases = [
        Case(data, model, k, max_length_tokens, batch_queries, steps, device, cache_tokens, precision)
        for k in negatives or [1, 4, 8]
    ]
    rows = compare(cases, rounds=rounds, systems=system or SYSTEMS)
    typer.echo(tables.table(rows, baseline="TripletLoss"))
    if json is not None:
        write_rows(json, rows)


def _refuse_unknown(
    option: str, given: Sequence[str] | None, known: Sequence[str], *, between: str = "; "
) -> None:
    unknown = [name for name in given or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of: {between.join(known)}", param_hint=option)


def _rate(given: str) -> float | Literal["auto"]:
    """A learning rate from the command line."""
    try:
        return TrainSettings(learning_rate=number_or_auto("learning_rate", given)).learning_rate
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--learning-rate") from None


@app.command()
def strategies(
    *,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Collections with train and test judgments.")
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Only these; all where none is given.")
    ] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="0, 1 and 2 where none is given.")] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Keeps what was measured; a comparison that was stopped goes on.")
    ] = Path("strategies"),
    model: Annotated[str, typer.Option("--model", help="The encoder.")] = "all-MiniLM-L6-v2",
    epochs: Annotated[
        float, typer.Option("--epochs", help="The budget: epochs of three texts a query.")
    ] = 1.0,
    queries: Annotated[
        int | None, typer.Option("--queries", help="So many queries of train, drawn at random.")
    ] = None,
    max_length_tokens: Annotated[
        int, typer.Option("--max-length-tokens", help="Longer texts are cut.")
    ] = 128,
    batch_queries: Annotated[int, typer.Option("--batch-queries", help="Queries a batch.")] = 16,
    learning_rate: Annotated[
        str, typer.Option("--learning-rate", help="At its peak, for every system; auto: by the width.")
    ] = "auto",
    held_out: Annotated[
        float | None,
        typer.Option(
            "--held-out", min=0.01, max=0.9, help="Leave test alone: measure this share of train and dev."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    json: JsonFile = None,
) -> None:
    """Test nDCG@10 of every strategy after the same budget, against multiple negatives ranking.

    Without --system all are compared but the variants of the default.
    """
    from textrip.eval.peers.strategies import compare, table
    from textrip.eval.peers.systems import SYSTEMS, VARIANTS, Case

    rate = _rate(learning_rate)
    _refuse_unknown("--system", system, SYSTEMS)
    rows = []
    for source in data or ["stdlib"]:
        case = Case(source, model, epochs, queries, max_length_tokens, batch_queries, rate, device, held_out)
        usual = [name for name in SYSTEMS if name not in VARIANTS]
        rows += compare(case, systems=system or usual, seeds=seeds or [0, 1, 2], folder=folder)
    typer.echo(table(rows))
    if json is not None:
        write_rows(json, rows)


@app.command()
def mining(
    *,
    data: Annotated[list[str] | None, typer.Option("--data", help="Collections; what textrip reads.")] = None,
    documents: Annotated[
        list[int] | None,
        typer.Option("--documents", min=1, help="Only the first so many; else all."),
    ] = None,
    queries: Annotated[int, typer.Option("--queries", min=1, help="How many are asked at most.")] = 1000,
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many of them rank-bm25 is asked.")] = 10,
    k: Annotated[int, typer.Option("-k", "--top", min=1, help="Documents a query.")] = 100,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Each system answers so often, in turn.")
    ] = 3,
    memory: Annotated[
        bool, typer.Option("--memory", help="Also measure the memory of building, in a process of its own.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", callback=drawable, help="Queries per second against documents.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """BM25 queries per second and seconds to index against rank-bm25 and bm25s."""
    from textrip.eval.peers.mining import BM25S, Case, building_memory, compare
    from textrip.eval.peers.mining import plot as draw

    sources = data or ["stdlib"]
    sizes: list[int | None] = [*documents] if documents else [None]
    rows = compare([Case(source, size, queries, sample, k, rounds) for source in sources for size in sizes])
    if memory:
        rows += [row for source in sources for row in building_memory(source)]
    typer.echo(tables.table(rows, baseline=BM25S))
    if json is not None:
        write_rows(json, rows)
    if plot is not None:
        draw(rows, plot)


@app.command()
def cold(
    *,
    data: Annotated[str, typer.Option("--data", help="What is searched; what textrip reads.")] = "stdlib",
    model: Annotated[str, typer.Option("--model", help="The encoder.")] = "all-MiniLM-L6-v2",
    question: Annotated[str, typer.Option("--question", help="What is asked.")] = "parse a date from text",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Each process is started so often.")] = 7,
    json: JsonFile = None,
) -> None:
    """Seconds from the shell to the first hit, against a script with sentence-transformers and FAISS."""
    from textrip.eval.peers.cold import SCRIPT, compare

    rows = compare(data=data, model=model, question=question, rounds=rounds)
    typer.echo(tables.table(rows, baseline=SCRIPT))
    if json is not None:
        write_rows(json, rows)


@app.command()
def encoding(
    *,
    data: Annotated[str, typer.Option("--data", help="Whose texts; what textrip reads.")] = "stdlib",
    documents: Annotated[int, typer.Option("--documents", min=1, help="How many of them.")] = 512,
    model: Annotated[str, typer.Option("--model", help="The encoder.")] = "all-MiniLM-L6-v2",
    max_length_tokens: Annotated[
        int | None, typer.Option("--max-length-tokens", help="Longer texts are cut.")
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Each system encodes so often, in turn.")
    ] = 3,
    quality: Annotated[
        list[str] | None, typer.Option("--quality", help="Collections to measure test nDCG@10 on.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    json: JsonFile = None,
) -> None:
    """Documents per second of every backend against sentence-transformers' encode."""
    from textrip.eval.peers.encoding import LIBRARY, Case, compare

    case = Case(data, documents, model, max_length_tokens, rounds, device)
    rows = compare(case, quality=quality or ())
    typer.echo(tables.table(rows, baseline=LIBRARY))
    if json is not None:
        write_rows(json, rows)


@app.command()
def search(
    *,
    vectors: Annotated[Path, typer.Option("--vectors", help="A file of textrip encode.")],
    documents: Annotated[
        list[int] | None,
        typer.Option("--documents", min=1, help="Sizes; beyond the file's, with noise."),
    ] = None,
    noise: Annotated[float, typer.Option("--noise", help="How far a repeated vector is moved.")] = 0.5,
    queries: Annotated[
        int, typer.Option("--queries", min=1, help="Vectors that are left out and asked.")
    ] = 500,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="exact, hnsw, int8 and binary where none is given.")
    ] = None,
    breadth: Annotated[
        list[int] | None, typer.Option("--breadth", min=1, help="Candidates, besides as it comes.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Each answers so often, in turn.")] = 3,
    plot: Annotated[
        Path | None, typer.Option("--plot", callback=drawable, help="Recall against queries per second.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Recall and queries per second against FAISS and sentence-transformers' semantic_search."""
    from textrip.encoding.approximate import KINDS
    from textrip.eval.peers.search import FLAT, Case, compare
    from textrip.eval.peers.search import plot as draw

    known = [name for name in KINDS if name != "auto"]
    _refuse_unknown("--kind", kind, known, between=", ")
    cases = [Case(vectors, size, noise, queries, rounds) for size in documents or [100_000]]
    rows = compare(
        cases,
        kinds=kind or known,  # type: ignore[arg-type]
        breadths=breadth or [32, 64, 256],
    )
    typer.echo(tables.table(rows, baseline=FLAT))
    if json is not None:
        write_rows(json, rows)
    if plot is not None:
        draw(rows, plot)


@app.command()
def scale(
    *,
    data: Annotated[str, typer.Option("--data", help="Whose texts; what textrip reads.")],
    vectors: Annotated[Path, typer.Option("--vectors", help="A file of textrip encode, of the model.")],
    model: Annotated[str, typer.Option("--model", help="The encoder.")] = "all-MiniLM-L6-v2",
    nearest: Annotated[str, typer.Option("--nearest", help="exact, hnsw, int8 or binary.")] = "hnsw",
    noise: Annotated[float, typer.Option("--noise", help="How far a repeated vector is moved.")] = 0.5,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Each process is started so often.")] = 5,
    json: JsonFile = None,
) -> None:
    """Build, open, search and change an index of as many documents as there are."""
    from textrip.eval.peers.scale import measure

    rows = measure(data=data, vectors=vectors, model=model, nearest=nearest, noise=noise, rounds=rounds)
    typer.echo(tables.table(rows, baseline=""))
    if json is not None:
        write_rows(json, rows)


def main() -> None:
    """Run one; what is wrong with its input is one line."""
    try:
        app()
    except (InputError, OfflineError, StorageError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
