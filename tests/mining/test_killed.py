"""Mining that is killed with -9 and asked again gives the triples of one that was not."""

import random
import time
from pathlib import Path

import pytest

from tests.encoding.kept_worker import WINDOW
from tests.killing import killed
from textrip.encoding.kept import _LEAST_TEXTS
from textrip.mining.triples import Triples

WORKER = "tests.mining.mine_worker"


def encoded(folder: Path) -> int:
    """How many texts, in windows that are kept: fewer are encoded again sooner than looked up."""
    windows = map(int, (folder / "notes.txt").read_text(encoding="utf-8").split())
    return sum(texts for texts in windows if texts >= _LEAST_TEXTS)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_again_and_again(kills: int, tmp_path: Path) -> None:
    whole, often = tmp_path / "whole", tmp_path / "often"
    whole.mkdir()
    often.mkdir()
    began = time.perf_counter()
    assert killed(WORKER, whole, seconds=120)
    seconds = time.perf_counter() - began
    draw = random.Random(kills)
    output, died = often / "triples.parquet", 0
    for _ in range(kills):
        # Long enough, also of many, that each has something to lose.
        died += not killed(WORKER, often, seconds=draw.uniform(0, seconds / min(kills, 5)))
        if output.exists():
            break
    assert died, "it ended before it was killed"
    assert output.exists() or killed(WORKER, often, seconds=120)
    assert Triples.read(output).groups == Triples.read(whole / "triples.parquet").groups
    # The window that it was killed in.
    assert encoded(often) <= encoded(whole) + died * WINDOW
    assert not list(often.glob("*.kept"))
