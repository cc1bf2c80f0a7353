"""Columns without a role are kept with the document, with their types."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textrip.data.formats import read
from textrip.errors import InputError


def metadata(path: Path, content: str) -> list[Any]:
    path.write_text(content, encoding="utf-8")
    return [json.loads(value) for value in read(path).corpus["metadata"]]


def test_jsonl_keeps_its_types(tmp_path: Path) -> None:
    content = (
        '{"id": "a", "text": "x", "year": 2010, "lang": "en", "tags": ["p", NaN], "open": true, "s": NaN}\n'
        '{"id": "b", "text": "y", "metadata": {"url": "u"}, "year": 2}\n'
        '{"id": "c", "text": "z", "metadata": "plain"}\n'
    )
    assert metadata(tmp_path / "d.jsonl", content) == [
        {"year": 2010, "lang": "en", "tags": ["p", None], "open": True, "s": None},
        {"url": "u", "year": 2},
        {"metadata": "plain"},
    ]


@pytest.mark.parametrize(("suffix", "comma"), [("csv", ","), ("tsv", "\t")])
def test_numbers_of_a_table_without_types(suffix: str, comma: str, tmp_path: Path) -> None:
    lines = [
        ["id", "text", "year", "zip", "share", "note", "n", "none"],
        ["a", "x", "2010", "007", "0.5", "1e3", "nan", ""],
    ]
    content = "".join(comma.join(line) + "\n" for line in lines)
    found = metadata(tmp_path / f"d.{suffix}", content)
    assert found == [{"year": 2010, "zip": "007", "share": 0.5, "note": "1e3", "n": "nan", "none": None}]


def test_what_cannot_be_kept_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"d\.jsonl:1: metadata \('bad'\) cannot be kept"):
        metadata(tmp_path / "d.jsonl", '{"id": "a", "text": "x", "bad": "\\ud800"}\n')


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a": ', "}")])
@pytest.mark.parametrize("depth", [101, 480, 700])
def test_what_is_nested_too_deep_is_told_with_its_line(
    depth: int, begin: str, end: str, tmp_path: Path
) -> None:
    """Near the limit of the interpreter's stack it depends on the caller what is read."""
    ok = begin * 100 + "1" + end * 100
    assert metadata(tmp_path / "d.jsonl", f'{{"id": "a", "text": "x", "n": {ok}}}\n') == [
        {"n": json.loads(ok)}
    ]
    deep = begin * depth + "1" + end * depth
    with pytest.raises(InputError, match=r":1: metadata \('n'\) cannot be kept: it is nested more than 100"):
        metadata(tmp_path / "d.jsonl", f'{{"id": "a", "text": "x", "n": {deep}}}\n')


def test_what_would_be_lost_beside_a_column_of_the_same_name_is_refused(tmp_path: Path) -> None:
    line = '{"id": "b", "text": "y", "metadata": {"url": "u", "year": 1}, "year": 2}\n'
    with pytest.raises(InputError, match=r"d\.jsonl:1: 'year' is a column, and in 'metadata', too"):
        metadata(tmp_path / "d.jsonl", line)


def test_decimals_of_a_table_are_numbers(tmp_path: Path) -> None:
    """As texts they would all be above every number, in a condition of a search."""
    prices = ["12.50", "3.25", "-7.00", "1234567890.12", "0.12345678901234567890", None]
    table = pa.table(
        {
            "id": [str(number) for number in range(len(prices))],
            "text": ["x"] * len(prices),
            "price": pa.array([None if price is None else Decimal(price) for price in prices]),
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    kept = [json.loads(value)["price"] for value in read(tmp_path / "d.parquet").corpus["metadata"]]
    assert kept == [12.5, 3.25, -7, 1234567890.12, "0.12345678901234567890", None]
    assert [type(value) for value in kept] == [float, float, int, float, str, type(None)]


def test_columns_of_bytes_are_left_out_and_told(tmp_path: Path, remarks: list[str]) -> None:
    """They were kept as Python writes them, four characters a byte."""
    picture = [{"bytes": b"\x89PNG", "path": "a.png"}, None]
    table = pa.table(
        {
            "id": ["a", "b"],
            "text": ["x", "y"],
            "year": [1999, 2001],
            "raw": pa.array([b"\xff", b"rose"], type=pa.large_binary()),
            "digest": pa.array([b"0123", b"4567"], type=pa.binary(4)),
            "kind": pa.array([b"k", b"l"]).dictionary_encode(),
            "picture": picture,
            "pages": pa.array([[b"1"], []], type=pa.list_(pa.binary())),
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    found = read(tmp_path / "d.parquet")
    assert [json.loads(value) for value in found.corpus["metadata"]] == [{"year": 1999}, {"year": 2001}]
    told = "left out: 'digest', 'kind', 'pages', 'picture', 'raw', of bytes and not of text"
    assert remarks == [f"{tmp_path / 'd.parquet'}: {told}"]
