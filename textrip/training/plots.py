"""Pictures of a training's log and of a search: PNG by matplotlib, and a page that needs no network."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textrip.errors import MissingDependencyError
from textrip.replacing import replacing
from textrip.training.tune import ENOUGH, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# So many points or fewer are marked, each one.
_FEW = 30
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
img {{ max-width: 100% }} td {{ padding-right: 1.5rem }}</style></head>
<body><h1>{title}</h1><table>{rows}</table><img alt="{alt}" src="data:image/png;base64,{image}"></body></html>
"""


def require_matplotlib() -> None:
    """Raise MissingDependencyError where no picture can be drawn, before any work is spent on one."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise MissingDependencyError("matplotlib", purpose="a plot", extra="plot") from None
    mpl.use("agg")


def plot_training(manifest: dict[str, Any], entries: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write training.png and training.html: loss, active shares, distances, spread and rank, dev, gradient.

    Args:
        manifest: Of the training.
        entries: The log's records.
        folder: Where to.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    steps = [entry["step"] for entry in entries]
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    axes = figure.subplots(2, 3)
    _lines(axes[0, 0], "loss", steps, {"loss": [entry["loss"] for entry in entries]})
    shares = {"mined": "active_mined", "in batch": "active_in_batch", "inverted": "inverted_mined"}
    _lines(axes[0, 1], "share of the triples", steps, _series(entries, shares))
    axes[0, 1].set_ylim(0, 1)
    for name, color in (("d_ap", "tab:blue"), ("d_an", "tab:red")):
        _band(axes[0, 2], steps, [entry[name] for entry in entries], name, color)
    axes[0, 2].set_title(f"{manifest['settings']['distance']} distance (10, 50, 90 %)")
    if axes[0, 2].get_legend_handles_labels()[0]:
        axes[0, 2].legend()
    _lines(axes[1, 0], "mean distance between documents", steps, _series(entries, {"spread": "spread"}))
    axes[1, 0].set_ylim(bottom=0)
    dev = manifest["dev"]
    _lines(
        axes[1, 1],
        "dev nDCG@10",
        [point["step"] for point in dev],
        {"dev": [p["nDCG@10"] for p in dev]},
    )
    if dev:
        axes[1, 1].axvline(manifest["kept_step"], color="gray", linestyle=":", label="kept")
        axes[1, 1].legend()
    _lines(axes[1, 2], "norm of the gradient", steps, _series(entries, {"gradient": "grad_norm"}))
    for axis in axes.flat:
        axis.set_xlabel("step")
    settings = manifest["settings"]
    rows = {
        "base": manifest["base"]["name"],
        "collection": manifest["data"]["collection"],
        "loss": settings["loss"],
        "strategy": settings["strategy"],
        "margin": settings["margin"],
        "learning rate": settings["learning_rate"],
        "stopped": manifest["stopped"] or "no",
    }
    _write(figure, folder / "training", "A training", rows)


def plot_study(tuning: Tuning, folder: Path) -> None:
    """Write study.png and study.html: dev by parameter, and what mattered."""
    require_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    finished = [trial for trial in tuning.trials if trial.score is not None]
    names = ["learning_rate", "margin", "strategy", "negatives"]
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    axes = figure.subplots(2, 3)
    for axis, name in zip(axes.flat, names, strict=False):
        axis.scatter([trial.parameters[name] for trial in finished], [trial.score for trial in finished])
        axis.axhline(tuning.start, color="gray", linestyle=":")
        axis.set_xlabel(name)
        axis.set_ylabel("dev nDCG@10")
        if name in {"learning_rate", "margin"} and min(trial.parameters[name] for trial in finished) > 0:
            axis.set_xscale("log")
            # By itself every digit has a tick, and over less than a decade a number, one over the other.
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.xaxis.set_minor_locator(NullLocator())
        if name == "negatives":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if tuning.importance:
        axes[1, 1].bar(list(tuning.importance), list(tuning.importance.values()))
        axes[1, 1].set_title("what mattered (share of the variance)")
        axes[1, 1].tick_params(axis="x", rotation=20)
    else:
        why = "all ended alike" if len(finished) >= ENOUGH else "too few trials to say"
        axes[1, 1].set_title(f"what mattered: {why}")
        axes[1, 1].axis("off")
    scores = [
        trial.score for trial in sorted(finished, key=lambda trial: trial.number) if trial.score is not None
    ]
    best = [max(scores[: end + 1]) for end in range(len(scores))]
    _lines(axes[1, 2], "best so far", list(range(1, len(best) + 1)), {"best": best})
    axes[1, 2].set_xlabel("finished trials")
    axes[1, 2].xaxis.set_major_locator(MaxNLocator(integer=True))
    rows = {"untuned": f"{tuning.start:.4f}", "best": f"{finished[0].score:.4f}", **finished[0].parameters}
    _write(figure, folder / "study", "A search", rows)


def _series(entries: Sequence[dict[str, Any]], names: dict[str, str]) -> dict[str, list[Any]]:
    return {label: [entry.get(name) for entry in entries] for label, name in names.items()}


def _lines(
    axis: "Axes",
    title: str,
    steps: list[int],
    series: dict[str, list[Any]],
) -> None:
    for label, values in series.items():
        known = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
        if known:
            axis.plot(*zip(*known, strict=True), marker=_marker(known), label=label)
    axis.set_title(title)
    if len(series) > 1 and axis.lines:
        axis.legend()


def _band(
    axis: "Axes", steps: list[int], quantiles: list[list[float] | None], label: str, color: str
) -> None:
    known = [(step, values) for step, values in zip(steps, quantiles, strict=True) if values is not None]
    if known:
        at = [step for step, _ in known]
        axis.fill_between(at, [v[0] for _, v in known], [v[2] for _, v in known], color=color, alpha=0.15)
        axis.plot(at, [v[1] for _, v in known], color=color, marker=_marker(known), label=label)


def _marker(points: Sequence[Any]) -> str:
    """A line of one point is none; of many, marks would hide it."""
    return "o" if len(points) <= _FEW else ""


def _write(figure: "Figure", path: Path, title: str, rows: dict[str, Any]) -> None:
    with replacing(path.with_suffix(".png"), force=True) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    image = base64.b64encode(path.with_suffix(".png").read_bytes()).decode()
    cells = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    page = _PAGE.format(title=html.escape(title), rows=cells, alt=html.escape(title), image=image)
    with replacing(path.with_suffix(".html"), force=True) as temporary:
        temporary.write_text(page, encoding="utf-8")
