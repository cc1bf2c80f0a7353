"""The rows of a comparison: written as JSON, shown as a table with ratios."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from textrip.errors import InputError
from textrip.provenance import provenance
from textrip.training.plots import require_matplotlib
from textrip.writable import refuse_taking_away


@dataclass(frozen=True)
class Row:
    """One figure of one system in one case."""

    peer: str
    case: str
    measure: str
    value: float
    unit: str


PICTURES = (".png", ".svg", ".pdf")


def writable(path: Path | None) -> Path | None:
    """The path; raises InputError where it could not be written, before a measurement of hours."""
    if path is not None:
        refuse_taking_away(path, force=True)
    return path


def drawable(path: Path | None) -> Path | None:
    """As `writable`, for a picture."""
    if path is not None:
        writable(path)
        require_matplotlib()
        if path.suffix.lower() not in PICTURES:
            raise InputError(f"{path}: a picture's name ends in one of {', '.join(PICTURES)}")
    return path


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as a JSON list; machine, versions and date in a file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    about = path.with_suffix(".about.json")
    about.write_text(json.dumps(provenance(), indent=1) + "\n", encoding="utf-8")


def table(rows: Sequence[Row], *, baseline: str) -> str:
    """Markdown: a table for each measure, cases across, with each system's ratio to the baseline's."""
    parts = []
    for measure in dict.fromkeys(row.measure for row in rows):
        chosen = [row for row in rows if row.measure == measure]
        values = {(row.peer, row.case): row.value for row in chosen}
        cases = list(dict.fromkeys(row.case for row in chosen))
        lines = [f"{measure} ({chosen[0].unit})", ""]
        lines += [f"| | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|"]
        for peer in dict.fromkeys(row.peer for row in chosen):
            cells = [_cell(values.get((peer, case)), values.get((baseline, case))) for case in cases]
            lines.append(f"| {peer} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(value: float | None, reference: float | None) -> str:
    if value is None:
        return "-"
    ratio = f" ({value / reference:.2f}x)" if reference else ""
    return f"{value:,.4g}{ratio}"
