"""Options that commands share, and how a command gets them.

An option given wins over its environment variable (TEXTRIP_<COMMAND>_<OPTION>, shown by --help), which
wins over --config FILE, which wins over the default.
"""

import inspect
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from textrip.cli import output
from textrip.errors import InputError

COMMON = "Common options"
COLUMNS = "Columns (where the usual names do not tell)"


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make a TOML file's values the defaults: its top level for every command, [train] for train."""
    if path is None or context.resilient_parsing:
        return path
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not TOML: {error}") from None
    command = context.info_name or ""
    own = values.get(command, {})
    shared = {name: value for name, value in values.items() if not isinstance(value, dict)}
    known = {name for name in (parameter.name for parameter in context.command.params) if name}
    if not isinstance(own, dict):
        raise InputError(f"{path}: {command!r} is a value, a table [{command}] was expected")
    unknown = [name for name in own if name.replace("-", "_") not in known]
    if unknown:
        raise InputError(
            f"{path}: [{command}] has {', '.join(unknown)}, which textrip {command} does not know"
        )
    merged = {**shared, **own}
    context.default_map = {name.replace("-", "_"): value for name, value in merged.items()}
    return path


Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Seed = Annotated[int, typer.Option("--seed", help="For every draw: the same seed, the same result.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for a program.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print plan, sizes and time; write nothing.")]
Epochs = Annotated[int, typer.Option("--epochs", help="An epoch asks every query once.")]
BatchQueries = Annotated[int, typer.Option("--batch-queries", help="Queries a batch.")]
LearningRate = Annotated[float, typer.Option("--learning-rate", help="At its peak.")]
MaxLength = Annotated[
    int | None,
    typer.Option("--max-length-tokens", help="Longer texts are cut; the model's own length where not given."),
]
Loss = Annotated[
    str,
    typer.Option(
        "--loss",
        help="triplet, soft-margin, smooth, contrastive, online-contrastive or quadruplet.",
    ),
]
Strategy = Annotated[
    str,
    typer.Option(
        "--strategy",
        help="Of triplet and soft-margin: mined, batch-all, batch-hard, semi-hard or mixed negatives.",
    ),
]
HardestPositive = Annotated[
    bool,
    typer.Option("--hardest-positive", help="Compare with the farthest relevant document of the batch."),
]
Temperature = Annotated[
    float, typer.Option("--temperature", help="The smooth loss's, in units of the distance.")
]
SecondMargin = Annotated[
    float | None,
    typer.Option("--second-margin", help="The quadruplet loss's; half of --margin where not given."),
]
Distance = Annotated[
    str, typer.Option("--distance", help="cosine, euclidean, squared-euclidean or manhattan.")
]
Margin = Annotated[float, typer.Option("--margin", help="In units of the distance.")]
Dropout = Annotated[bool, typer.Option("--dropout", help="Leave the base's dropout on.")]
Negatives = Annotated[int, typer.Option("--negatives", help="Mined negatives for a positive, at most.")]
DevDocuments = Annotated[
    int, typer.Option("--dev-documents", help="Dev searches at most so many documents; 0: all of them.")
]
Stemmer = Annotated[
    str,
    typer.Option("--stemmer", help="Language of BM25's Snowball stemmer (english, german, ...), or none."),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that a model brings along. Only for models you trust."
    ),
]

_COMMON = {
    "threads": (
        int | None,
        typer.Option("--threads", min=1, help="CPU threads.", rich_help_panel=COMMON),
        None,
    ),
    "offline": (bool, typer.Option("--offline", help="No network, at all.", rich_help_panel=COMMON), False),
    "quiet": (
        bool,
        typer.Option("--quiet", "-q", help="No progress and no remarks.", rich_help_panel=COMMON),
        False,
    ),
    "verbose": (
        bool,
        typer.Option("--verbose", "-v", help="Tracebacks of errors.", rich_help_panel=COMMON),
        False,
    ),
    "config": (
        Path | None,
        typer.Option(
            "--config",
            help="TOML with defaults.",
            rich_help_panel=COMMON,
            is_eager=True,
            callback=_read_config,
        ),
        None,
    ),
}
_COLUMNS = ("id", "title", "text", "anchor", "positive", "negative", "score", "label")


@contextmanager
def _in_force(*, threads: int | None, offline: bool, quiet: bool, **_: Any) -> Iterator[None]:
    """Put the common options into force for one command."""
    from textrip import progress

    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded, which is later
    with progress.reporting(bars=not quiet, say=None if quiet else output.say):
        yield


def _parameter(name: str, annotation: Any, info: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, info]
    )


def command(
    app: typer.Typer, name: str, *, data: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command with the common options.

    Args:
        app: The program.
        name: What is typed.
        data: The function takes `columns`, and gets one option for each role of a column.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        own = [
            p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "columns"
        ]
        added = [_parameter(key, *value) for key, value in _COMMON.items()]
        if data:
            added += [
                _parameter(
                    f"{role}_column",
                    str | None,
                    typer.Option(f"--{role}-column", help=f"The {role}'s column.", rich_help_panel=COLUMNS),
                    None,
                )
                for role in _COLUMNS
            ]

        def run(**values: Any) -> Any:
            common = {key: values.pop(key) for key in _COMMON}
            if data:
                from textrip.data.columns import Columns

                values["columns"] = Columns(**{role: values.pop(f"{role}_column") for role in _COLUMNS})
            with _in_force(**common):
                return function(**values)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.__signature__ = inspect.Signature([*keyword, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*keyword, *added]}
        app.command(name)(run)
        return function

    return register
