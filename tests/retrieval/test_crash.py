"""Killed with -9 anywhere: what was committed is there, the index opens, and it answers as one built anew."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.killing import killed
from tests.retrieval.crash_worker import FIRST, collection
from tests.retrieval.stub import StubEncoder
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Index

WORKER = "tests.retrieval.crash_worker"
QUERIES = ["rose tulip", "boat orbit"]


def states(folder: Path) -> list[dict[str, int]]:
    """What the index may hold: the state after the last change that was done, or after the one begun."""
    path = folder / "journal.jsonl"
    entries: list[dict[str, Any]] = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
    ]
    state: dict[str, int] = dict(FIRST)
    before = state
    for entry in entries:
        if entry["op"] in {"add", "delete"}:
            before, state = state, dict(state)
            for doc_id in entry["change"]:
                state.pop(doc_id, None)
            if entry["op"] == "add":
                state |= entry["change"]
        elif entry["op"] != "built":
            before = state
        if entry["op"] == "adopted":
            before = state = entry["state"]
    return [before, state]


def answers(index: Index) -> Any:
    return [index.search_many(QUERIES, k=20, mode=mode, exact=True) for mode in MODES]


def require_whole(folder: Path) -> None:
    with Index.open(folder / "index", encoder=StubEncoder()) as index:
        held = {stored.document.doc_id: stored.document.text for stored in index.store}
        matching = [
            state
            for state in states(folder)
            if held == {document["doc_id"]: document["text"] for document in collection(state).corpus}
        ]
        assert matching, "neither the last state nor the next"
        assert index.check() == []
        in_order = {doc_id: matching[0][doc_id] for doc_id in index.doc_ids}
        fresh = Index.build(
            collection(in_order), StubEncoder(), folder / "fresh", force=True, nearest="exact"
        )
        with fresh:
            assert answers(index) == answers(fresh)
    # What follows begins where this index is.
    with (folder / "journal.jsonl").open("a", encoding="utf-8") as journal:
        journal.write(json.dumps({"op": "adopted", "state": matching[0]}) + "\n")


def run(folder: Path, *, kills: int, seed: int, least: int) -> None:
    """Kill again and again, so often at least where the index had been built."""
    draw, open_at_kill, number = random.Random(seed), 0, 0
    while number < kills or open_at_kill < least:
        assert number < 10 * kills, f"of {number} kills {open_at_kill} found an index"
        assert not killed(WORKER, folder, seed * 1000 + number, seconds=draw.uniform(0.0, 0.8))
        number += 1
        if (folder / "index").exists():
            open_at_kill += 1
            require_whole(folder)
            if draw.random() < 0.25:  # again from the beginning, so that builds are killed too
                for left in (folder / "index", folder / "journal.jsonl"):
                    subprocess.run(["rm", "-rf", str(left)], check=True)


def test_killed_at_a_few_points(tmp_path: Path) -> None:
    run(tmp_path, kills=8, seed=1, least=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_two_hundred_points(tmp_path: Path) -> None:
    run(tmp_path, kills=200, seed=2, least=100)


def test_a_build_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Every vector that was committed is used again."""
    for _ in range(20):
        assert not killed(WORKER, tmp_path, 0, seconds=0.05)
        left = tmp_path / ".index.building" / "documents.sqlite"
        if left.exists() or (tmp_path / "index").exists():
            break
    import sqlite3

    committed = 0
    if left.exists():
        with sqlite3.connect(left) as database:
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            committed = database.execute("SELECT count(*) FROM documents").fetchone()[0] if tables else 0
        database.close()
    encoder = StubEncoder()
    if not (tmp_path / "index").exists():
        Index.build(collection(FIRST), encoder, tmp_path / "index", nearest="hnsw").close()
        assert encoder.texts == len(FIRST) - committed
    require_nothing_left(tmp_path)
    with Index.open(tmp_path / "index", encoder=StubEncoder()) as index:
        assert index.doc_ids == list(FIRST)
        assert index.check() == []


def require_nothing_left(folder: Path) -> None:
    assert not [
        path.name for path in folder.iterdir() if path.name.startswith(".index.building") and path.is_dir()
    ]
