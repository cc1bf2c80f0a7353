"""The log for TensorBoard, while the training runs."""

from pathlib import Path
from typing import Any

from textrip.errors import MissingDependencyError

FOLDER = "tensorboard"


class Board:
    """Writes the numbers of a log's records as scalars; quantiles as three curves.

    Args:
        folder: Where the event files go.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingDependencyError(
                "tensorboard", purpose="--tensorboard", extra="tensorboard"
            ) from None
        self._open = SummaryWriter
        self.folder = folder
        self._writer: Any = None

    def add(self, entry: dict[str, Any]) -> None:
        """One record of the log, or a measurement of dev."""
        if self._writer is None:  # the run's folder is made after the first checks
            self._writer = self._open(str(self.folder))
        step = entry["step"]
        for name, value in entry.items():
            if isinstance(value, list):
                for quantile, part in zip(("10 %", "50 %", "90 %"), value, strict=True):
                    self._writer.add_scalar(f"{name}/{quantile}", part, step)
            elif isinstance(value, int | float) and name != "step":
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Nothing more comes."""
        if self._writer is not None:
            self._writer.close()
