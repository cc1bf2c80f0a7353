"""Curves can be seen, whatever the number of their points."""

import pytest

from textrip.training.plots import _band, _lines

figures = pytest.importorskip("matplotlib.figure")


def test_a_curve_of_one_point_is_seen() -> None:
    """A run of fewer steps than a record needs left pictures with axes and nothing in them."""
    axes = figures.Figure().subplots(2, 2)
    for row, points in zip(axes, (1, 500), strict=True):
        _lines(row[0], "loss", list(range(points)), {"loss": [0.1] * points})
        _band(row[1], list(range(points)), [[0.1, 0.2, 0.3]] * points, "d_ap", "tab:blue")
    marks = [[axis.lines[0].get_marker() for axis in row] for row in axes]
    assert marks == [["o", "o"], ["", ""]]
