"""What a training was asked, as it lies in the folder of an unfinished run: all that --resume needs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from textrip.data.columns import Columns
from textrip.errors import InputError
from textrip.mining.settings import MineSettings
from textrip.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `textrip train` that decide its result.

    trust_remote_code is none of them: no file may decide that code is run.
    """

    source: str
    data: str | None
    output: str
    columns: Columns
    mining: MineSettings
    settings: TrainSettings
    model: str
    dev_documents: int
    by_label: bool
    stemmer: str
    device: str
    checkpoint_minutes: float
    rounds: int = 1
    dense_share: float = 0.5
    plot: bool = False
    tensorboard: bool = False
    of_fit: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON; paths are made absolute, as a run may be resumed from elsewhere."""
        values = asdict(self)
        for name in ("source", "data", "output", "model"):
            value = values[name]
            if value is not None and (name == "output" or Path(value).exists()):
                values[name] = str(Path(value).absolute())
        return values

    @classmethod
    def of_run(cls, folder: Path) -> Self:
        """Read what an unfinished run was asked.

        Raises:
            InputError: this is no unfinished run, or one that was begun from Python.
        """
        from textrip.training.run_folder import RunFolder

        values = RunFolder(folder).asked()["request"]
        if values is None:
            raise InputError(f"{folder}: was begun from Python; resume it there, with textrip.train")
        records: dict[str, Any] = {
            "columns": Columns(**values["columns"]),
            "mining": MineSettings(**values["mining"]),
            "settings": TrainSettings(**values["settings"]),
        }
        return cls(**{**values, **records})
