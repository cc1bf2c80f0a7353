"""What a training was asked, as it lies in the folder of an unfinished run: all that --resume needs."""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import typer

from textrip.cli.command import typed
from textrip.data.columns import Columns
from textrip.errors import InputError
from textrip.files import STDIN
from textrip.mining.settings import MineSettings
from textrip.place import from_anywhere
from textrip.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `textrip train` and `textrip fit` that decide their result.

    trust_remote_code is none of them: no file may decide that code is run.
    """

    source: str
    data: str | None = None
    output: str
    columns: Columns = field(default_factory=Columns)
    mining: MineSettings
    settings: TrainSettings
    model: str = "all-MiniLM-L6-v2"
    dev_documents: int = 2500
    without_own_id: bool = False
    by_label: bool = False
    stemmer: str = "english"
    device: str = "auto"
    checkpoint_minutes: float = 5.0
    rounds: int = 1
    dense_share: float = 0.5
    plot: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Models that mining asks are compared by name when a run goes on: so from the beginning."""
        object.__setattr__(self, "mining", self.mining.from_anywhere())

    def to_dict(self) -> dict[str, Any]:
        """For JSON; paths are made absolute, as a run may be resumed from elsewhere."""
        values = asdict(self) | {"output": str(Path(self.output).absolute())}
        for name in ("source", "data", "model"):
            if values[name] is not None:
                values[name] = from_anywhere(values[name])
        return values

    @classmethod
    def of_run(cls, folder: Path, *, of: str) -> Self:
        """Read what an unfinished run was asked.

        Args:
            folder: Of the run.
            of: The command that is to go on: train or fit.

        Raises:
            InputError: this is no unfinished run, or one that was begun from Python, or by the other
                command; or its data came on standard input, and nothing is piped in.
        """
        from textrip.training.run_folder import RunFolder

        run = RunFolder(folder)
        asked = run.asked()
        values = asked["request"]
        whole = RunFolder(folder.absolute().parent)
        if values is None and whole.is_one:
            raise InputError(f"{folder}: is a part of {whole.path}; go on with: {whole.way_on}")
        if values is None:
            raise InputError(f"{folder}: was begun from Python; resume it there, with textrip.{asked['of']}")
        if asked["of"] != of:
            raise InputError(f"{folder}: was begun by textrip {asked['of']}; go on with: {run.way_on}")
        if STDIN in (values["source"], values["data"]) and sys.stdin.isatty():
            raise InputError(
                f"{folder} was begun with data on standard input; pipe the same in again: {run.way_on}"
            )
        records: dict[str, Any] = {
            "columns": Columns(**values["columns"]),
            "mining": MineSettings(**values["mining"]),
            "settings": TrainSettings(**values["settings"]),
        }
        return cls(**{**values, **records})


def refuse_beside_resume(context: typer.Context, *, but: Iterable[str] = ()) -> None:
    """A run goes on as it was begun: what is typed besides would be ignored, so it is refused.

    Args:
        context: Of the command.
        but: Options of the command that change no result, besides the common ones.
    """
    allowed = {"resume", "json", "force", *but}
    names = [parameter.name for parameter in context.command.params if parameter.name is not None]
    given = typed(context, [name for name in names if name not in allowed])
    if given:
        raise InputError(
            "--resume takes data, output and settings from the run; give nothing else: leave "
            f"{', '.join(given)} out, or begin anew"
        )
