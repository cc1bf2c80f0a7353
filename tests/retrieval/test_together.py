"""Readers and a writer at once: no error, and every answer is of one state that was there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.retrieval.stub import StubEncoder
from tests.retrieval.together_worker import state
from textrip.data.collection import Collection
from textrip.records import Document
from textrip.retrieval.index import Index

ROOT = Path(__file__).parents[2]


def run(folder: Path, *, readers: int, seconds: float) -> tuple[int, int]:
    """How many searches and states there were."""
    with Index.build(Collection.of("c", [Document("x", "", "x")]), StubEncoder(), folder) as index:
        index.add(state(0))
        index.delete(["x"])
    command = [sys.executable, "-m", "tests.retrieval.together_worker"]
    started = [
        subprocess.Popen(
            [*command, role, str(folder), str(seconds)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for role in ["write", *["read"] * readers]
    ]  # fmt: skip
    counts = []
    for process in started:
        out, err = process.communicate()
        assert process.returncode == 0, err
        *failures, count = out.splitlines()
        assert failures == []
        counts.append(int(count))
    return sum(counts[1:]), counts[0]


def test_two_readers_and_a_writer(tmp_path: Path) -> None:
    for seconds in (4, 40):  # on a busy machine less is done in the same time
        searches, states = run(tmp_path / str(seconds), readers=2, seconds=seconds)
        if searches > 10 and states > 3:
            return
    pytest.fail(f"{searches} searches over {states} states in {seconds} s")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_eight_readers_and_a_writer_for_a_minute(tmp_path: Path) -> None:
    searches, states = run(tmp_path / "index", readers=8, seconds=60)
    print(f"{searches} searches over {states} states")
    assert searches > 100
    assert states > 20
