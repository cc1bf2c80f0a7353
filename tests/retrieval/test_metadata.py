"""What an index keeps of a row beside its text: as JSON has it, and nothing of it lost in silence."""

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.stub import StubEncoder
from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.errors import InputError
from textrip.records import Document
from textrip.retrieval import build
from textrip.retrieval.index import Change, Index

ONE = Document("m", "", "zeppelin")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    first = Collection.of("c", [Document("a", "", "rose")])
    with Index.build(first, StubEncoder(), tmp_path / "index") as built:
        yield built


def kept(index: Index) -> Any:
    (hit,) = index.search("zeppelin", mode="bm25")
    return dict(hit.metadata)


@pytest.mark.parametrize(
    ("before", "after"), [(1, True), (1, 1.0), (0, False), (0.0, -0.0), ([1], [True]), ({"x": 1}, {"x": 1.0})]
)
def test_another_type_is_another_value(before: Any, after: Any, index: Index) -> None:
    """To Python they are equal."""
    index.add([(ONE, {"n": before})])
    assert index.add([(ONE, {"n": after})]) == Change(replaced=1)
    assert repr(kept(index)) == repr({"n": after})


@pytest.mark.parametrize(
    ("metadata", "as_json"),
    [
        ({"t": (1, 2)}, {"t": [1, 2]}),
        ({7: "x", True: "y"}, {"7": "x", "true": "y"}),
        ({"n": {1: [()]}}, {"n": {"1": [[]]}}),
    ],
)
def test_what_json_writes_otherwise_is_the_same_the_next_time(
    metadata: dict[Any, Any], as_json: Any, index: Index
) -> None:
    assert index.add([(ONE, metadata)]) == Change(added=1)
    assert index.add([(ONE, metadata)]) == Change(unchanged=1)
    assert kept(index) == as_json
    assert set(as_json) <= set(index.store.columns())


def test_the_order_of_names_is_no_change(index: Index) -> None:
    index.add([(ONE, {"a": 1, "b": 2})])
    assert index.add([(ONE, {"b": 2, "a": 1})]) == Change(unchanged=1)


@pytest.mark.parametrize("value", ["\ud800", float("nan"), object(), {"\udc00": 1}, {(1, 2): 3}])
def test_what_json_cannot_hold_is_refused(value: Any, index: Index) -> None:
    with pytest.raises(InputError, match=r"^document 'm': metadata cannot be kept: "):
        index.add([(ONE, {"n": value})])
    assert len(index) == 1


def test_numpys_numbers_are_numbers_as_in_a_condition(index: Index) -> None:
    index.add([(ONE, {"n": np.int64(3), "x": np.float32(0.5), "b": np.bool_(True), "l": [np.int8(1)]})])
    assert kept(index) == {"n": 3, "x": 0.5, "b": True, "l": [1]}
    with pytest.raises(InputError, match="metadata cannot be kept"):
        index.add([(ONE, {"n": np.float64("nan")})])


@pytest.mark.parametrize("value", [datetime.date(2024, 2, 29), {1, 2}, b"x", [b"x"], np.zeros(2)])
def test_which_value_json_has_no_word_for_is_told(value: Any, index: Index) -> None:
    told = re.escape(
        f"document 'm': metadata cannot be kept: 'when' is {value!r}; text, a number, true or false"
    )
    with pytest.raises(InputError, match=f"^{told}"):
        index.add([(ONE, {"year": 1995, "when": value})])


@pytest.mark.parametrize("depth", [101, 5000])
def test_what_is_nested_too_deep_is_refused(depth: int, index: Index) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    with pytest.raises(InputError, match=r"^document 'm': metadata cannot be kept: it is nested more than"):
        index.add([(ONE, {"n": value})])


@pytest.mark.parametrize(
    ("given", "found"),
    [("abc", "str"), (("a", "b", "c"), "tuple"), (None, "NoneType"), ({"text": "x"}, "dict"), (7, "int"),
     (("x", {}), "str"), ((ONE, [("a", 1)]), "Document and list"), ((ONE, 7), "Document and int")],
)  # fmt: skip
def test_what_is_no_document_is_told(given: Any, found: str, index: Index) -> None:
    with pytest.raises(InputError, match=f"^{found} given, a Document was expected, or a pair"):
        index.add([given])
    assert len(index) == 1


def test_a_label_takes_the_place_of_no_other_column(index: Index, tmp_path: Path) -> None:
    data = tmp_path / "d.jsonl"
    data.write_text('{"id": "m", "text": "zeppelin", "label": "L", "category": "C"}\n')
    named = read(data, columns=Columns(label="category"))
    with pytest.raises(InputError, match=r"document 'm': its label is 'C', and a column 'label' .* says 'L'"):
        index.add(named)
    with pytest.raises(InputError, match=r"rename that column in the data, or name it with --label-column"):
        Index.build(named, StubEncoder(), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    index.add(read(data))
    assert kept(index) == {"label": "L", "category": "C"}


def test_a_build_that_goes_on_writes_a_change_of_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "d.jsonl"
    data.write_text('{"id": "m", "text": "zeppelin", "n": 1}\n{"id": "b", "text": "rose", "n": 2}\n')
    with monkeypatch.context() as patch:
        patch.setattr(build, "publish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Index.build(read(data), StubEncoder(), tmp_path / "built")
    data.write_text('{"id": "m", "text": "zeppelin", "n": true}\n{"id": "b", "text": "rose", "n": 2}\n')
    with Index.build(read(data), StubEncoder(), tmp_path / "built") as index:
        assert kept(index)["n"] is True
