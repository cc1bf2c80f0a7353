"""What a strategy is worth: test nDCG@10 after the same budget of encodings, beside the library's losses.

Every system is trained on the same queries of train with the same budget of texts encoded in training: one
epoch of rows (query, positive, negative) times `epochs`. A system that encodes two texts a query takes half
as many steps again; a query whose negatives were all filtered out costs fewer texts.

A default is chosen with `held_out`: test is left alone, and a share of the other queries is measured.

Each system and seed is a process of its own (spawned). What is measured lies in a folder as JSON lines, so
that a comparison that was stopped goes on.
"""

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textrip.eval.peers.apart import apart
from textrip.eval.peers.contenders import measure
from textrip.eval.peers.rows import Row
from textrip.eval.peers.systems import MEASURE, RANKING, UNTUNED, Case
from textrip.eval.significance import paired_difference
from textrip.files import cut_half_line
from textrip.replacing import storage_errors


def compare(case: Case, *, systems: Sequence[str], seeds: Sequence[int], folder: Path) -> list[Row]:
    """Train and measure what `folder` does not hold yet; seed by seed, so that an early end is balanced."""
    path = folder / f"{case.name}.jsonl"
    with storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        found = read_results(path, case)
    for seed in seeds:
        for system in systems:
            # The untuned encoder has no seed.
            if (system, seed) in found or (system == UNTUNED and seed != seeds[0]):
                continue
            result = apart(measure, system, seed, case)
            found[system, seed] = result
            with storage_errors(path), path.open("a", encoding="utf-8") as lines:
                line = {"case": _identity(case), "system": system, "seed": seed, **result}
                lines.write(json.dumps(line) + "\n")
            print(
                f"{case.name}  seed {seed}  {system}: {MEASURE} {result[MEASURE]:.4f}, "
                f"{result['encodings']:,} texts encoded, {result['seconds']:.0f} s",
                file=sys.stderr,
            )
    return list(rows(case, found, systems=systems, seeds=seeds))


def read_results(path: Path, case: Case) -> dict[tuple[str, int], dict[str, Any]]:
    """What was measured of this very case; a line that was cut off as it was written is measured again."""
    if not path.exists():
        return {}
    cut_half_line(path)
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(entry["system"], entry["seed"]): entry for entry in entries if entry["case"] == _identity(case)}


def _identity(case: Case) -> dict[str, Any]:
    return {**vars(case), "data": case.name}


def rows(
    case: Case,
    found: dict[tuple[str, int], dict[str, Any]],
    *,
    systems: Sequence[str],
    seeds: Sequence[int],
) -> Iterator[Row]:
    """A row for each seed, the mean, and the difference to multiple negatives ranking with its p-value."""
    for system in systems:
        results = [(seed, found[system, seed]) for seed in seeds if (system, seed) in found]
        if not results:
            continue
        for seed, result in results:
            yield Row(system, f"{case.name}, seed {seed}", f"{case.measured} {MEASURE}", result[MEASURE], "")
            yield Row(
                system, f"{case.name}, seed {seed}", "texts encoded in training", result["encodings"], ""
            )
        mean = statistics.mean(result[MEASURE] for _, result in results)
        yield Row(system, case.name, f"{case.measured} {MEASURE}, mean", mean, "")
        if all((RANKING, seed) in found for seed in seeds) and system != RANKING:
            difference = paired_difference(
                _per_query([found[RANKING, seed] for seed in seeds]),
                _per_query([result for _, result in results]),
            )
            yield Row(system, case.name, f"over {RANKING}", difference.mean, "")
            yield Row(system, case.name, f"p of the difference to {RANKING}", difference.p, "")


def _per_query(results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """From query to the mean over seeds."""
    return {
        query: statistics.mean(result["queries"][query] for result in results)
        for query in results[0]["queries"]
    }


def table(found: Sequence[Row]) -> str:
    """Markdown: a system a line; by data set the mean, every seed, and the difference to the baseline."""
    values = {(row.peer, row.case, row.measure): row.value for row in found}
    measured = next(row.measure for row in found if row.measure.endswith(MEASURE))
    single = [row for row in found if row.measure == measured]
    cases = list(dict.fromkeys(row.case for row in found if row.measure == f"{measured}, mean"))
    lines = [f"| {measured} | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|"]
    for system in dict.fromkeys(row.peer for row in found):
        cells = []
        for case in cases:
            mean = values.get((system, case, f"{measured}, mean"))
            seeds = [row.value for row in single if row.peer == system and row.case.startswith(f"{case}, ")]
            cells.append("-" if mean is None else _cell(mean, seeds, values, system, case))
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(
    mean: float, seeds: Sequence[float], values: dict[tuple[str, str, str], float], system: str, case: str
) -> str:
    text = f"{mean:.3f}"
    if len(seeds) > 1:
        text += f" ({', '.join(f'{value:.3f}' for value in seeds)})"
    difference = values.get((system, case, f"over {RANKING}"))
    if difference is not None:
        p = values[system, case, f"p of the difference to {RANKING}"]
        text += f"; {difference:+.3f}, p {p:.2g}"
    return text
