"""Changes an index on a disk that fails at the Nth call, for every N, and looks at what is left each time.

LD_PRELOAD=failing_disk.so python -m tests.disk.worker OPERATION FOLDER EVERY

Each N is a process of its own, forked off this one, which itself never searches: faiss would hang in a child.
A line of JSON for each: how it ended, and whether what is left is whole; what is not is told on stderr.
"""

import ctypes
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.retrieval.stub import StubEncoder, text_of
from textrip.alone import LOCK
from textrip.data.collection import Collection
from textrip.errors import TextripError
from textrip.records import Document
from textrip.retrieval import build as build_module
from textrip.retrieval import inspect, tune_fusion  # noqa: F401  # imported before anything can fail
from textrip.retrieval.answer import MODES
from textrip.retrieval.change import add_documents  # noqa: F401
from textrip.retrieval.fusion import Fusion
from textrip.retrieval.index import Index

HOW = {"die": 1, "once": 2, "full": 3, "read": 4}
DIED = 137
State = dict[str, int]
BEFORE: State = {f"d{n:02d}": n for n in range(12)}
QUERY = "rose tulip boat"


def collection(documents: State) -> Collection:
    """Documents by id and the number of their text."""
    return Collection.of("c", [Document(doc_id, "", text_of(n)) for doc_id, n in documents.items()])


def build(folder: Path, documents: State, **how: Any) -> None:
    """Write an index of these documents."""
    Index.build(collection(documents), StubEncoder(), folder, nearest="hnsw", **how).close()


def opened(folder: Path) -> Index:
    """The index, with the encoder that made it."""
    return Index.open(folder, encoder=StubEncoder())


def _add(folder: Path) -> None:
    with opened(folder) as index:
        index.add(collection({"d03": 103, "d04": 104, "new1": 105, "new2": 106}))


def _delete(folder: Path) -> None:
    with opened(folder) as index:
        index.delete(["d01", "d07"])


def _rebuild(folder: Path) -> None:
    with opened(folder) as index:
        index.rebuild()


def _note(folder: Path) -> None:
    with opened(folder) as index:
        index.note(fusion=vars(Fusion(weight=0.3, tuned_on="dev", queries=3)))


# By name: whether an index is there before, what is done, and which documents are there when it is done.
OVER = {**{doc_id: n for doc_id, n in BEFORE.items() if n % 2}, "other": 200}
OPERATIONS: dict[str, tuple[bool, Callable[[Path], None], State]] = {
    "build": (False, lambda folder: build(folder, BEFORE), BEFORE),
    "build over": (True, lambda folder: build(folder, OVER, force=True), OVER),
    "add": (True, _add, {**BEFORE, "d03": 103, "d04": 104, "new1": 105, "new2": 106}),
    "delete": (True, _delete, {doc_id: n for doc_id, n in BEFORE.items() if doc_id not in {"d01", "d07"}}),
    "rebuild": (True, _rebuild, BEFORE),
    "note": (True, _note, BEFORE),
}


Held = tuple[dict[str, str], dict[Any, dict[str, float]]]


def held(folder: Path) -> Held:
    """Which documents an index has, and what it answers; it has to be whole."""
    with opened(folder) as index:
        texts = {stored.document.doc_id: stored.document.text for stored in index.store}
        problems = index.check()
        assert problems == [], problems
        answers = {
            mode: {hit.doc_id: round(hit.score, 6) for hit in index.search(QUERY, k=50, mode=mode)}
            for mode in MODES[:2]
        }
    return texts, answers


def require(folder: Path, allowed: list[Held]) -> None:
    """The index is in one of these states."""
    found = held(folder)
    assert found in allowed, "neither the state before nor the one after"


def require_tidy(place: Path) -> None:
    """Nothing is left but the index."""
    left = [
        path
        for path in place.rglob("*")
        if (path.name.startswith(".") and path.name != LOCK)
        or path.name.endswith((".tmp", ".textrip-old", ".textrip-gone"))
    ]
    assert not left, f"left: {left}"
    assert [path.name for path in place.iterdir()] == ["index"], list(place.iterdir())


def in_child(function: Callable[[], Any]) -> tuple[int, Any]:
    """Run in a forked process: its exit status, and what it returned, by way of JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as stream:
                stream.write(json.dumps(function()))
            status = 0
        except BaseException:  # nothing may get past: this is a copy of the parent
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, json.loads(told) if told and status == 0 else None


def main(operation: str, folder: Path, every: int) -> None:
    """In each way to fail: at call 1, 1 + every, 1 + 2 every, ... until the operation ends before it."""
    build_module._PASSAGES_A_CHUNK = 4
    there, _, after = OPERATIONS[operation]
    first, wanted = folder / "first", folder / "wanted"
    first.mkdir(parents=True)

    def prepare() -> list[Held]:
        build(first / "index", BEFORE)
        build(wanted, after)
        return [held(first / "index"), held(wanted)]

    _, states = in_child(prepare)
    allowed = [tuple(state) for state in states]
    for how in HOW:
        number, ended = 1, ""
        while ended not in {"over", "broke"}:
            place = folder / "place"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(first, place) if there else place.mkdir()
            status, told = in_child(partial(attempt, operation, place, how, number))
            ended, message = told or ("died" if status == DIED else "broke", "")
            status, _ = in_child(partial(look, operation, place, (ended, message), allowed))
            line = {"how": how, "number": number, "ended": ended, "message": message, "whole": status == 0}
            print(json.dumps(line), flush=True)
            number += every


def attempt(operation: str, place: Path, how: str, number: int) -> tuple[str, str]:
    """Do it on a disk that fails: how that ended, and the message. over: it ended before call `number`."""
    disk = ctypes.CDLL(None)
    disk.disk_arm(os.fsencode(place), ctypes.c_long(number), HOW[how])
    ended, message = "done", ""
    try:
        OPERATIONS[operation][1](place / "index")
    except TextripError as error:
        ended, message = "raised", str(error)
    if ended == "done" and disk.disk_seen() < number:
        ended = "over"
    disk.disk_arm(os.fsencode(place), ctypes.c_long(0), 0)
    return ended, message


def look(operation: str, place: Path, end: tuple[str, str], allowed: list[Held]) -> None:
    """What is left is whole, and doing it again leads where it leads without a failure."""
    there, act, _ = OPERATIONS[operation]
    index, (ended, message) = place / "index", end
    assert ended != "broke", "an error that is none of textrip's"
    if ended == "raised":
        assert str(place) in message, message
        assert "\n" not in message, message
    if index.exists() or there:
        require(index, allowed[1:] if ended in {"done", "over"} else allowed)
    if there or not index.exists():
        act(index)
    require(index, allowed[1:])
    require_tidy(place)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
