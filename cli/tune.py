"""`textrip tune`."""

import inspect
import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textrip.cli.command import command, with_defaults
from textrip.cli.groups import COLUMNS, MINING, TRAINING
from textrip.cli.options import (
    DevDocuments,
    Device,
    Json,
    Output,
    Seed,
    Stemmer,
    TrustRemoteCode,
    WithoutOwnId,
)
from textrip.data.columns import Columns
from textrip.files import STDIN
from textrip.mining.settings import MineSettings
from textrip.place import from_anywhere
from textrip.training.settings import TrainSettings

if TYPE_CHECKING:
    from textrip.training.tune import Tuning


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "tune", TRAINING, with_defaults(MINING, negatives=4), COLUMNS)(tune)


def tune(
    data: Annotated[str, typer.Argument(help="A folder, a file, hub:NAME, stdlib, or - (JSONL on stdin).")],
    output: Output,
    columns: Columns,
    mining: MineSettings,
    settings: TrainSettings,
    model: Annotated[str, typer.Option("--model", help="The base encoder.")] = "all-MiniLM-L6-v2",
    trials: Annotated[int, typer.Option("--trials", min=1, help="Trainings in all, earlier ones too.")] = 20,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            min=0,
            help="No trial begins after so much time, mining not counted; one that runs ends at its next "
            "look at dev.",
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also study.png and study.html.")] = False,
    dev_documents: DevDocuments = 2500,
    without_own_id: WithoutOwnId = False,
    stemmer: Stemmer = "english",
    trust_remote_code: TrustRemoteCode = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    force: Annotated[
        bool, typer.Option("--force", help="Search in spite of errors that textrip check finds.")
    ] = False,
) -> None:
    """Search for rate, margin, strategy and negatives on the dev split; the test split is not looked at.

    The folder of --output holds the study, and the same command goes on with it; best.toml in it is for
    --config of train and fit.

    Example: textrip tune my-corpus/ -o study --minutes 60
    """
    from textrip.cli.output import emit, emit_json
    from textrip.cli.reading import read_for_models
    from textrip.lexical.analyzer import Analyzer
    from textrip.pipeline.tune import tune as search
    from textrip.training.plots import plot_study, require_matplotlib
    from textrip.training.tune import ENOUGH, refuse_other

    refuse_other(output)
    if plot:
        require_matplotlib()
    used = {
        "model": model,
        "stemmer": stemmer,
        "dev_documents": dev_documents,
        "without_own_id": without_own_id,
    }
    named = {f"{role}_column": name for role, name in asdict(columns).items() if name is not None}

    def keep(found: "Tuning") -> None:
        """After each trial: what is found so far is there for whoever has no time for more."""
        how = {**_not_defaults(used), **named, **_mining(mining, found.negatives)}
        _write_config(Path(output) / "best.toml", found, how)

    tuning = search(
        read_for_models(
            data, columns, model, *mining.models, device=device,
            max_length_tokens=settings.max_length_tokens,
        ), output,
        model=model, settings=settings, mining=mining,
        analyzer=Analyzer.for_language(stemmer), trials=trials, minutes=minutes,
        dev_documents=dev_documents, without_own_id=without_own_id, device=device,
        trust_remote_code=trust_remote_code, force=force, after_trial=keep,
    )  # fmt: skip
    keep(tuning)
    if plot:
        plot_study(tuning, Path(output))
    piped = "cat DATA | " if data == STDIN else ""
    command = (
        f"{piped}{shlex.join(['textrip', 'train', data, '-o', 'model', '--config', f'{output}/best.toml'])}"
    )
    scores = [trial.score for trial in tuning.trials if trial.score is not None]  # the best one first
    if json:
        for trial in tuning.trials:
            emit_json(trial.to_dict())
        emit_json(_summary(tuning, scores[0], command))
        return
    emit(_table([trial.to_dict() for trial in tuning.trials]))
    emit()
    if tuning.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in tuning.importance.items())
        emit(f"What mattered: {shares}")
    elif len(scores) >= ENOUGH:
        emit("What mattered: nothing, all complete trials ended alike")
    else:
        whole = [trial.seconds for trial in tuning.trials if trial.score is not None]
        emit(
            f"What mattered: too early to say, {len(whole)} of {ENOUGH} trials are complete, each in "
            f"{sum(whole) / len(whole) / 60:.1f} min; more --trials and --minutes go on with the study"
        )
    emit(f"dev nDCG@10: untuned {tuning.start:.4f}, best {scores[0]:.4f}")
    if scores[0] <= tuning.start:
        emit("No trial was better than the untuned encoder: a training with the best one would keep that")
    emit(f"Train with it: {command}")


def _summary(tuning: "Tuning", best: float, command: str) -> dict[str, Any]:
    """What the table is followed by, for a program: the last line, and the one without a trial."""
    return {
        "untuned dev nDCG@10": round(tuning.start, 4),
        "best dev nDCG@10": round(best, 4),
        "better than untuned": best > tuning.start,
        "what mattered": {name: round(share, 4) for name, share in tuning.importance.items()},
        "train with it": command,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    cells = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _not_defaults(used: dict[str, Any]) -> dict[str, Any]:
    """What train would not do by itself; a folder is named so that it is found from anywhere."""
    defaults = {name: inspect.signature(tune).parameters[name].default for name in used}
    found = {name: value for name, value in used.items() if value != defaults[name]}
    return {name: from_anywhere(value) if name == "model" else value for name, value in found.items()}


def _mining(mining: MineSettings, negatives: int) -> dict[str, Any]:
    """How it was mined, save for the seed, so that it gives the first negatives that the trial used.

    BM25's come first, then an encoder's, then random ones: of fewer, less are of the later sources.
    """
    from textrip.mining.shares import shares_of

    dense, of_chance = shares_of(asdict(mining), negatives)
    unused = set() if dense else {"dense_model", "dense_nearest"}
    placed = mining.from_anywhere()
    found = {field.name: getattr(placed, field.name) for field in fields(MineSettings)}
    found |= {"dense": dense, "random": of_chance}
    return {
        field.name: found[field.name]
        for field in fields(MineSettings)
        if field.name not in {"negatives", "seed", *unused} and found[field.name] != field.default
    }


def _write_config(path: Path, tuning: "Tuning", used: dict[str, Any]) -> None:
    """TOML for --config: what the best trial had and is not the default."""
    from textrip.replacing import replacing

    lines = [f"negatives = {tuning.negatives}"]
    lines += [f"{name} = {_toml(value)}" for name, value in used.items()]
    for field in fields(TrainSettings):
        value = getattr(tuning.settings, field.name)
        if value is None or (value == field.default and field.name not in {"margin", "strategy"}):
            continue
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        lines.append(f"{field.name} = {_toml(str(shown) if field.name == 'margin' else shown)}")
    with replacing(path, force=True) as temporary:
        tables = [f"[{name}]\n" + "\n".join(lines) for name in ("train", "fit")]
        temporary.write_text("\n\n".join(tables) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    import json

    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
