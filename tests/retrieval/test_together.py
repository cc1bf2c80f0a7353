"""Readers and a writer at once: no error, and every answer is of one state that was there."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.retrieval.stub import StubEncoder, text_of
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "nothing derived"])
def test_a_forked_process_has_connections_of_its_own_and_does_not_wait_for_ever(
    damaged: bool, tmp_path: Path
) -> None:
    documents = [Document(f"d{number:02d}", "", text_of(number)) for number in range(64)]
    Index.build(Collection.of("c", documents), StubEncoder(), tmp_path / "index", nearest="hnsw").close()
    if damaged:
        shutil.rmtree(tmp_path / "index" / "derived")
    done = subprocess.run(
        [sys.executable, "-m", "tests.retrieval.forked_worker", str(tmp_path / "index")],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "4"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, first, second, after = map(json.loads, done.stdout.splitlines())
    assert [seen["who"] for seen in (before, first, second, after)] == ["parent", "child", "child", "parent"]
    assert first["connection"] == second["connection"] != before["connection"] == after["connection"]
    assert before["best"] == first["best"] == second["best"] == after["best"] == [d.doc_id for d in documents]
    assert [seen["new"] for seen in (before, first, second, after)] == [[], [], ["new"], ["new"]]


def test_a_process_that_is_started_anew_opens_it_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    documents = [Document(f"d{number:02d}", "", text_of(number)) for number in range(12)]
    with Index.build(Collection.of("c", documents), StubEncoder(), Path("index")) as index:
        sent = pickle.dumps(index)
        (found,) = index.search(text_of(3), k=1)
    monkeypatch.chdir("/")
    with pickle.loads(sent) as opened:
        assert opened.search(text_of(3), k=1) == [found]
        assert isinstance(opened.encoder, StubEncoder)


def test_two_readers_and_a_writer(tmp_path: Path) -> None:
    for seconds in (4, 40):  # on a busy machine less is done in the same time
        # What is published lies beside the index: each run has a place of its own.
        place = tmp_path / str(seconds)
        place.mkdir()
        searches, states = run(place / "index", readers=2, seconds=seconds)
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
