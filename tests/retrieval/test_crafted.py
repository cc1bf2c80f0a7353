"""An index whose files are sealed and say what textrip never wrote: one line, and no derivation read."""

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.whole import answers
from textrip.errors import InputError
from textrip.files import write_sealed_json
from textrip.records import Document, Hit
from textrip.retrieval.index import Index

GONE = object()


def craft(path: Path, field: str, value: Any) -> None:
    """Put another value where a field is, and a seal that holds."""
    said = json.loads(path.read_text(encoding="utf-8"))
    said.pop("seal_sha256")
    *outer, name = field.split("/")
    inside = said
    for step in outer:
        inside = inside[step]
    inside.pop(name)
    if value is not GONE:
        inside[name] = value
    write_sealed_json(path, said)


FIELDS = [
    "index_id", "encoder", "encoder/fingerprint", "encoder/dimension", "encoder/onnx", "analyzer", "cutting",
    "cutting/tokens", "nearest", "fusion", "fusion/weight", "fusion/queries", "sha256",
]  # fmt: skip
ODD = [None, -1, 10**12, "x", [], {"x": 1}, True, GONE]
# A seal does not tell a number from another; no error is raw.
FIT = {("encoder/onnx", True), ("fusion/queries", 10**12), ("fusion/weight", None)}


def test_an_odd_index_json(copy: Path) -> None:
    path = copy / "index.json"
    content = path.read_bytes()
    accepted = set()
    for field, value in itertools.product(FIELDS, ODD):
        craft(path, field, value)
        with contextlib.suppress(InputError), Index.open(copy) as index:
            index.search("rose", mode="hybrid")
            index.check()
            accepted.add((field, value))
        path.write_bytes(content)
    assert accepted == FIT


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("sha256", GONE, "has no 'sha256'"),
        ("sha256/model.onnx", GONE, "has no 'model.onnx'"),
        ("dimension", 10**12, "dimension is 1000000000000, a whole number from 1 to 131071 was expected"),
        ("dimension", 31, r"makes vectors of shape \(32,\), 31 was expected"),
        ("dimension", True, "dimension is True"),
        ("precision", "fp8", "precision is 'fp8', one of float32, int8 was expected"),
        ("prompts", None, "prompts is None, an object of query, document was expected"),
        ("name", GONE, "has no 'name'"),
        ("max_length_tokens", 10**30, "max_length_tokens is 10"),
    ],
)
def test_an_odd_onnx_json(field: str, value: Any, reason: str, copy: Path) -> None:
    craft(copy / "onnx" / "onnx.json", field, value)
    with Index.open(copy) as index, pytest.raises(InputError, match=reason):
        index.search("rose")


@pytest.mark.parametrize("value", [None, -1, "x", [], GONE], ids=["null", "-1", "text", "list", "gone"])
@pytest.mark.parametrize("field", ["index_id", "generation", "nearest", "nearest/kind", "sha256"])
def test_an_odd_derivation_is_passed_over(
    field: str, value: Any, copy: Path, undamaged: list[list[list[Hit]]], remarks: list[str]
) -> None:
    (path,) = copy.glob("derived/*/derived.json")
    craft(path, field, value)
    assert answers(copy) == undamaged
    assert any("until textrip index --rebuild does so" in remark for remark in remarks)


@pytest.mark.parametrize("statement", [
    "CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM documents WHERE key <> new.key; END",
    "ALTER TABLE removed RENAME TO other; CREATE VIEW removed AS SELECT * FROM other",
])  # fmt: skip
def test_what_no_textrip_puts_into_a_database_is_refused(statement: str, copy: Path) -> None:
    """A trigger took all documents away, and `add` said that it had added one."""
    with contextlib.closing(sqlite3.connect(copy / "documents.sqlite")) as database:
        database.executescript(statement)
        before = database.execute("SELECT count(*) FROM documents").fetchone()
    told = r"documents\.sqlite: has a (trigger|view) \((t|removed)\), which no textrip makes"
    uses: tuple[Callable[[Index], object], ...] = (
        lambda index: index.check(),
        lambda index: index.search("rose"),
        lambda index: index.add([Document("new", "", "zeppelin")]),
        lambda index: index.delete(["d01"]),
    )
    for use in uses:
        with pytest.raises(InputError, match=told), Index.open(copy) as index:
            use(index)
    with contextlib.closing(sqlite3.connect(copy / "documents.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM documents").fetchone() == before


def test_metadata_that_is_no_json_is_damage_and_no_mistake_of_the_condition(copy: Path) -> None:
    condition = "json_extract('{', '$.x') > 5 OR title = 'x'"
    with Index.open(copy) as index, pytest.raises(InputError, match="malformed JSON"):
        index.search("rose", where=condition)
    with contextlib.closing(sqlite3.connect(copy / "documents.sqlite")) as database, database:
        database.execute("INSERT OR IGNORE INTO columns VALUES ('year')")
        database.execute("UPDATE documents SET metadata = '{\"year' WHERE key = 3")
    told = r"documents\.sqlite: a document's metadata is no JSON; the index is damaged"
    with Index.open(copy) as index, pytest.raises(InputError, match=told):
        index.search("rose", where="year > 5")
