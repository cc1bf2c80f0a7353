"""The log of a run: JSON lines on disk, one every few steps."""

import json
import math
from pathlib import Path
from typing import Any

from textrip.processes import is_first
from textrip.replacing import replacing
from textrip.training.board import Board

# What is drawn or compared of a record, besides its step and its quantiles.
_NUMBERS = (
    "loss", "spread", "spread_before", "spread_last", "active_mined", "active_in_batch", "inverted_mined",
)  # fmt: skip


class Log:
    """Records, in memory and on disk, and on TensorBoard where a board is given.

    Attributes:
        entries: Every record so far, in the order of the steps.
    """

    def __init__(self, path: Path, board: Board | None = None) -> None:
        self.path = path
        self.board = board
        self.entries: list[dict[str, Any]] = []

    def resume(self, step: int) -> None:
        """Read what was logged up to a step, and forget what came after: it will be logged again.

        The last line may be half-written, where a process was killed.
        """
        self.entries = [entry for entry in read_log(self.path) if entry["step"] <= step]
        if is_first():
            with replacing(self.path, force=True) as temporary:
                temporary.write_text("".join(map(_line, self.entries)), encoding="utf-8")

    def append(self, entry: dict[str, Any]) -> None:
        """Add one record."""
        self.entries.append(entry)
        if not is_first():
            return
        if self.board is not None:
            self.board.add(entry)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(entry))


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a log, up to a line that is not whole."""
    entries = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not _is_record(entry):
            break
        entries.append(entry)
    return entries


def _is_record(entry: Any) -> bool:
    """Whether a line is one that a training wrote, as far as anything is made of it."""
    if not isinstance(entry, dict) or type(entry.get("step")) is not int:
        return False
    numbers = [entry.get(name, "missing") for name in _NUMBERS]
    quantiles = [entry.get(name, "missing") for name in ("d_ap", "d_an")]
    return all(value is None or isinstance(value, int | float) for value in numbers) and all(
        value is None or (isinstance(value, list) and len(value) == 3) for value in quantiles
    )


def _line(entry: dict[str, Any]) -> str:
    """JSON has no NaN and no infinity: they are null, which jq reads."""
    return json.dumps({name: _finite(value) for name, value in entry.items()}) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
