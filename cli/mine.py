"""`textrip mine`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS, MINING
from textrip.cli.options import Device, DryRun, Force, Json, Output, Seed, Stemmer
from textrip.data.columns import Columns
from textrip.data.table_file import table_stem
from textrip.errors import InputError
from textrip.mining.settings import MineSettings
from textrip.replacing import taken_back

if TYPE_CHECKING:
    from textrip.data.collection import Collection
    from textrip.encoding.encoder import Encoder
    from textrip.mining.scoring import Reranker
    from textrip.mining.verdicts import Verdicts

_REPORTED = 200
# What the names of a collection's files begin with, in BEIR's layout and in that of a file for each split.
_OF_DATA = {"corpus", "queries", "qrels", "train", "dev", "test", "valid", "validation"}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "mine", MINING, COLUMNS)(mine)


def mine(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    output: Output,
    columns: Columns,
    mining: MineSettings,
    queries: Annotated[int | None, typer.Option("--queries", help="At most so many queries, drawn.")] = None,
    split: Annotated[str, typer.Option("--split", help="Whose judgments are used.")] = "train",
    stemmer: Stemmer = "english",
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", help="Also write plain anchor, positive, negative rows here.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Also write an audit here: one HTML page, JSONL beside it."),
    ] = None,
    report_queries: Annotated[
        int | None,
        typer.Option(
            "--report-queries",
            min=1,
            help="The audit looks at so many queries, evenly taken; 200 if not given.",
        ),
    ] = None,
    report_model: Annotated[
        str | None,
        typer.Option("--report-model", help="The model whose scores the audit shows; --denoise's, or none."),
    ] = None,
    verdicts: Annotated[
        list[Path] | None,
        typer.Option("--verdicts", help="What a person decided on the audit's page (JSONL)."),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Mine triples with BM25 hard negatives that are not judged relevant and no copies of what is.

    Where DATA has no judgments, training pairs are made from its structure: title to body, heading to
    section, first sentence to the rest. Where it has no dev or test split, they are cut from train first and
    not mined.

    Example: textrip mine my-corpus/ -o triples.parquet --negatives 4 --report audit.html
    """
    from textrip.cli.output import emit, emit_json
    from textrip.cli.reading import read_for_models
    from textrip.encoding.kept import keeping
    from textrip.lexical.analyzer import Analyzer
    from textrip.lexical.searcher import LexicalSearcher
    from textrip.mining.audit import audit
    from textrip.mining.audit_page import write_page
    from textrip.mining.audited import write_jsonl
    from textrip.mining.dense import DenseRanker
    from textrip.mining.mine import describe, spread_in_words
    from textrip.mining.mine import mine as mine_triples
    from textrip.mining.verdicts import Verdicts
    from textrip.pipeline.prepare import prepare_to_mine
    from textrip.writable import refuse_taking_away

    lines = report.with_suffix(".jsonl") if report is not None and report.name else None
    _refuse_one_file_for_two(
        [
            ("DATA", Path(data) if Path(data).is_file() else None),
            *(("--verdicts", path) for path in verdicts or ()),
            ("--output", output),
            ("--jsonl", jsonl),
            ("--report", report),
            ("the audit's lines beside --report", lines),
        ]
    )
    _refuse_unread(context, mining, report, report_model)
    decided = Verdicts.read(*verdicts) if verdicts else None
    settings = replace(mining, split=split, queries=queries)
    analyzer = Analyzer.for_language(stemmer)
    if output.suffix != ".parquet":
        raise InputError(
            f"--output is {output}: triples are written as Parquet; name it {output.stem}.parquet "
            "(--jsonl FILE writes them as JSON lines besides)"
        )
    for path in (output, jsonl, report, lines):
        if path is not None:
            refuse_taking_away(path, force=force)
            _refuse_to_overwrite(path, Path(data))
    collection = prepare_to_mine(
        read_for_models(data, columns, report_model, *mining.models, device=device), split
    )
    # Before anything is written, and by a dry run, too: what is of another mining, or not there, is told now.
    _require_about(decided, collection)
    scorer, reporter, dense = _models(settings, report_model, device)
    if dry_run:
        plan = {**_plan(collection, settings), "writes": str(output)}
    else:
        searcher = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
        with keeping(output, jsonl, report, lines):  # what an encoder or a cross-encoder said of a document
            triples = mine_triples(
                collection,
                settings=settings,
                searcher=searcher,
                dense=None
                if dense is None
                else DenseRanker(dense, collection, nearest=settings.dense_nearest),
                scorer=scorer,
                verdicts=decided,
            )
            outputs: dict[Path | None, Callable[[Path], object]] = {}
            if report is not None:
                audited = audit(
                    triples,
                    collection,
                    scorer=reporter or scorer,
                    searcher=searcher,
                    verdicts=decided,
                    queries=report_queries or _REPORTED,
                )
                outputs[report] = partial(write_page, audited, name=collection.name, force=force)
                outputs[lines] = partial(write_jsonl, audited, force=force)
            outputs[jsonl] = partial(triples.write_jsonl, collection=collection, force=force)
            outputs[output] = partial(triples.write, force=force)
            _write(outputs)
        paths = {"written": output, "for other programs": jsonl, "page": report, "lines of the page": lines}
        plan = {**describe(triples), **{name: str(path) for name, path in paths.items() if path is not None}}
    if json:
        emit_json(plan)
    else:
        shown = {
            name: spread_in_words(value) if isinstance(value, dict) else value for name, value in plan.items()
        }
        emit("\n".join(f"{name}: {value}" for name, value in shown.items()))


def _write(outputs: dict[Path | None, Callable[[Path], object]]) -> None:
    """Write all of several outputs, or none: what one that was stopped left would refuse the next.

    Args:
        outputs: From path to what writes it; the triples, without which the others are nothing, last.
    """
    with taken_back():
        for path, write in outputs.items():
            if path is not None:
                write(path)


def _refuse_unread(
    context: typer.Context, mining: MineSettings, report: Path | None, report_model: str | None
) -> None:
    """Raise InputError where an option was typed that no other one makes anything of."""
    # `train` mines again with what it tuned, and filters by what it trains: here there is neither.
    if not mining.dense:
        refuse_idle(context, "--dense is 0", ["dense_nearest"])
        if mining.denoise_model is None and not report_model:
            refuse_idle(context, "no model is named that would run on it", ["device"])
    if mining.denoise == "auto":
        refuse_idle(context, "--denoise auto filters only where an encoder is trained", ["denoise_margin"])
    if report is None:
        refuse_idle(context, "without --report there is no page", ["report_queries", "report_model"])


def _require_about(decided: "Verdicts | None", collection: "Collection") -> None:
    """Raise MismatchError where no verdict is about this collection; mining says how many are not."""
    if decided is not None:
        decided.of(collection, tell=False)


def _models(
    settings: MineSettings, report_model: str | None, device: str
) -> tuple["Reranker | None", "Reranker | None", "Encoder | None"]:
    """The filter's model, the audit's and the one that ranks, as far as they are named."""
    from textrip.encoding.encoder import Encoder
    from textrip.mining.scoring import load_scorer

    named = (settings.denoise_model, report_model)
    scorer, reporter = (None if name is None else load_scorer(name, device=device) for name in named)
    return (
        scorer,
        reporter,
        Encoder.load(settings.dense_model, device=device) if settings.dense_model else None,
    )


def _plan(collection: "Collection", settings: MineSettings) -> dict[str, Any]:
    """What would be mined, at most: which queries are drawn is not known, so those of most positives."""
    positives = sorted(
        (
            min(collection.count_relevant(grades), settings.positives)
            for grades in collection.judged(settings.split).values()
        ),
        reverse=True,
    )[: settings.queries or None]
    documents = len(collection.corpus)
    return {
        "documents": documents,
        "queries": len(positives),
        "triples at most": sum(positives) * min(settings.negatives, documents),
        # Measured on 2 cores: 7,000 documents a second to count, 2,500 queries a second to ask.
        "seconds about": round(documents / 7000 + len(positives) / 2500, 1),
    }


def _refuse_to_overwrite(path: Path, data: Path) -> None:
    """Raise InputError where a file of the data would be taken away, or one be read as data the next time."""
    place, folder = _place(path), _place(data)
    if not folder.is_dir() or not place.is_relative_to(folder):
        return
    first = place.relative_to(folder).parts[0].partition(".")[0]
    read = path.exists() or table_stem(path) is not None
    if (first in _OF_DATA and read) or path.suffix in {".txt", ".md"}:
        verb = "is" if path.exists() else "would be"
        raise InputError(f"{path}: {verb} of the data that is mined; name another place")


def _place(path: Path) -> Path:
    """Where a path leads; a circle of links, which `Path.resolve` raises for, to itself."""
    return Path(os.path.realpath(path))


def _refuse_one_file_for_two(named: Sequence[tuple[str, Path | None]]) -> None:
    """Raise InputError where what is written would take the place of something else that is written or read.

    Args:
        named: Arguments with their paths; two of them may be one file in another spelling.
    """
    report = dict(named)["--report"]
    if report is not None and report.suffix.lower() not in {".html", ".htm"}:
        raise InputError(
            f"--report is {report}: an HTML page was expected, whose lines are written beside it as JSONL; "
            f"name it {report.stem or 'audit'}.html"
        )
    held: dict[str, str] = {}
    for name, path in named:
        if path is None:
            continue
        other = held.setdefault(os.path.normcase(_place(path)), name)
        if other != name:
            raise InputError(f"{other} and {name} are both {_place(path).name}; name another place for one")
