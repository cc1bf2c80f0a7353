"""`textrip index`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS
from textrip.cli.options import (
    Backend,
    Device,
    Dimension,
    DryRun,
    EncodePrecision,
    Force,
    Json,
    MaxLength,
    Seed,
    Stemmer,
    TrustRemoteCode,
)
from textrip.data.columns import Columns

if TYPE_CHECKING:
    from textrip.data.collection import Collection
    from textrip.lexical.analyzer import Analyzer
    from textrip.retrieval.passages import Cutting


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "index", COLUMNS)(index)


def index(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin); an index: its documents, or for "
            "--check and --rebuild."
        ),
    ],
    columns: Columns,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")] = None,
    model: Annotated[str, typer.Option("--model", help="An encoder's name or folder.")] = "all-MiniLM-L6-v2",
    backend: Backend = "torch",
    precision: EncodePrecision = "float32",
    max_length_tokens: MaxLength = None,
    dimension: Dimension = None,
    passages: Annotated[
        int, typer.Option("--passages", help="Cut documents into passages of so many tokens; 0: whole.")
    ] = 0,
    overlap: Annotated[
        int | None, typer.Option("--overlap", help="Tokens that neighbours share; a quarter if not given.")
    ] = None,
    nearest: Annotated[
        str,
        typer.Option("--nearest", help="auto, exact, hnsw, int8 or binary; auto: hnsw past 200,000 vectors."),
    ] = "auto",
    recall: Annotated[
        bool, typer.Option("--recall", help="Measure recall@10 against an exact search, and keep it.")
    ] = False,
    tune_hybrid: Annotated[
        bool, typer.Option("--tune-hybrid", help="Choose hybrid's fusion on the data's dev queries.")
    ] = False,
    stemmer: Stemmer = "english",
    trust_remote_code: TrustRemoteCode = False,
    device: Device = "auto",
    json: Json = False,
    dry_run: DryRun = False,
    force: Force = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read every byte of an index and say what is wrong.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Work out anew what an index derives from its documents.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Build an index folder that carries documents, vectors, words and its encoder.

    A build that is stopped goes on with the same command; --force over an index encodes only new texts.
    With an index as DATA, its documents get another encoder: textrip index old -o new --model out/model

    Example: textrip index my-corpus/ --model out/model -o out/index
    """
    from textrip.cli.output import emit, emit_json
    from textrip.cli.reading import read_for_models
    from textrip.encoding.approximate import chosen
    from textrip.encoding.backend import load_backend
    from textrip.encoding.load import require_models
    from textrip.errors import InputError
    from textrip.lexical.analyzer import Analyzer
    from textrip.retrieval.about import ABOUT
    from textrip.retrieval.index import Index
    from textrip.retrieval.layout import is_index
    from textrip.retrieval.passages import Cutting
    from textrip.writable import refuse_taking_away

    if check or rebuild:
        idle = [name for name in context.params if name not in {"data", "check", "rebuild", "json"}]
        refuse_idle(context, f"--{'rebuild' if rebuild else 'check'} reads an index that is there", idle)
        _mend(Path(data), rebuild=rebuild, json=json)
        return
    if output is None:
        raise InputError("--output (-o) is missing: where is the index to be written?")
    refuse_taking_away(output, force=force, mark=ABOUT, read=[data])
    chosen(nearest, 0)  # type: ignore[arg-type]
    if not passages:
        refuse_idle(context, "without --passages nothing is cut", ["overlap"])
    cutting = Cutting(tokens=passages, overlap=passages // 4 if overlap is None else overlap)
    if is_index(data):
        refuse_idle(context, f"{data} is an index, which has its columns", COLUMNS.options)
        refuse_idle(context, f"{data} is an index, which has no questions", ["tune_hybrid"])
        require_models(model, device=device, max_length_tokens=max_length_tokens)
    collection = (
        _held_by(data, cutting, Analyzer.for_language(stemmer), nearest)
        if is_index(data)
        else read_for_models(data, columns, model, max_length_tokens=max_length_tokens)
    )
    if tune_hybrid:
        collection.queries_of("dev")
        collection.require_relevant("dev")
    documents = len(collection.corpus)
    with load_backend(
        model, backend=backend, precision=precision, device=device, max_length_tokens=max_length_tokens,
        dimension=dimension, trust_remote_code=trust_remote_code,
        texts=collection.texts[: min(16, documents)],
    ) as (encoder, torch_encoder):  # fmt: skip
        report: dict[str, Any] = {
            "documents": documents,
            "encoder": encoder.name,
            "fingerprint": encoder.fingerprint,
        }
        if dry_run:
            report |= {**_plan(collection, encoder, cutting), "writes": str(output)}
        else:
            with Index.build(
                collection, encoder, output, model=torch_encoder, force=force, seed=seed, cutting=cutting,
                nearest=nearest, analyzer=Analyzer.for_language(stemmer),  # type: ignore[arg-type]
            ) as built:  # fmt: skip
                report["written"] = str(output)
                if recall:
                    report["recall@10"] = round(built.recall(seed=seed), 4)
                    built.note(recall={"recall@10": report["recall@10"], "sample": min(200, documents)})
                if tune_hybrid:
                    report["hybrid"] = _in_words(built.tune_fusion(collection))
    if json:
        emit_json(report)
    else:
        emit("\n".join(f"{name}: {value}" for name, value in report.items()))


def _plan(collection: "Collection", encoder: Any, cutting: "Cutting") -> dict[str, Any]:
    """What a build would make, from 64 of the documents."""
    from textrip.retrieval.encoded import require_labels

    require_labels(collection)
    cutting.require_fit(encoder)
    documents = len(collection.corpus)
    count = min(64, documents)
    sample = [collection.texts[place * documents // count] for place in range(count)]
    pieces = [
        text[begin:end]
        for text, spans in zip(sample, cutting.spans(encoder, sample), strict=True)
        for begin, end in spans.tolist()
    ]
    vectors = documents * len(pieces) / count
    return {
        "vectors about": round(vectors),
        "megabytes of vectors": round(vectors * encoder.dimension * 4 / 1e6, 1),
        "seconds about": round(_seconds(encoder, pieces) * documents / count),
    }


def _held_by(folder: str, cutting: "Cutting", analyzer: "Analyzer", nearest: str) -> "Collection":
    """The documents of an index; in what the new one will differ is said."""
    from textrip.progress import say
    from textrip.retrieval.index import Index

    with Index.open(folder) as held:
        cut = held.cutting
        for mine, other, what in (
            (
                cut,
                cutting,
                f"--passages {cut.tokens} --overlap {cut.overlap}" if cut.tokens else "whole documents",
            ),
            (held.analyzer, analyzer, f"--stemmer {held.analyzer.stemmer or 'none'}"),
            (held.about["nearest"], nearest, f"--nearest {held.about['nearest']}"),
            (held.fusion.weight, None, "a weight for hybrid that was tuned on dev"),
        ):
            if mine != other:
                say(f"{folder} has {what}, and this one has not")
        return held.collection()


def _in_words(fusion: Any) -> str:
    from textrip.cli.report import weighed

    return f"{weighed(fusion.weight)} (tuned on {fusion.tuned_on}, {fusion.queries:,} queries)"


def _mend(folder: Path, *, rebuild: bool, json: bool) -> None:
    """--rebuild and --check."""
    from textrip.cli.output import emit, emit_json
    from textrip.errors import InputError, StorageError
    from textrip.progress import say
    from textrip.retrieval.about import restore_about
    from textrip.retrieval.index import Index

    if rebuild and folder.is_dir() and restore_about(folder):
        say(f"{folder}: index.json is restored from the documents' copy")
    with Index.open(folder) as opened:
        if rebuild and not opened.rebuild():
            raise StorageError(f"{folder}: another process is rebuilding this index")
        found = opened.check()
        if found:
            raise InputError("; ".join(found))
        report = {"documents": len(opened), "problems": 0}
    if json:
        emit_json(report)
    else:
        emit(f"{folder}: whole, {report['documents']:,} documents")


def _seconds(encoder: Any, texts: list[str]) -> float:
    """How long encoding these texts takes here."""
    import time

    encoder.encode(texts[:4])  # the first call pays for what the others share
    started = time.perf_counter()
    encoder.encode(texts)
    return time.perf_counter() - started
