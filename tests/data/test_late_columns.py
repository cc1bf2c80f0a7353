"""A column that the first row lacks counts from the row that brings it, or is refused there."""

import json
from pathlib import Path
from typing import Any

import pytest

from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.errors import InputError


def read_lines(path: Path, *rows: dict[str, Any]) -> Collection:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read(path)


def test_a_title_that_the_first_document_lacks_is_the_title_of_later_ones(tmp_path: Path) -> None:
    found = read_lines(
        tmp_path / "corpus.jsonl",
        {"_id": "a", "text": "one"},
        {"_id": "b", "text": "two", "title": "Boats"},
        {"_id": "c", "text": "three", "title": "Tides", "year": 2020},
    )
    assert found.corpus["title"][:] == ["", "Boats", "Tides"]
    assert list(map(json.loads, found.corpus["metadata"][:])) == [{}, {}, {"year": 2020}]
    assert read(tmp_path).corpus["title"][:] == ["", "Boats", "Tides"]  # a folder in BEIR's layout


def test_a_negative_that_the_first_pair_lacks_is_read(tmp_path: Path) -> None:
    found = read_lines(
        tmp_path / "triples.jsonl",
        {"anchor": "roses", "positive": "prune"},
        {"anchor": "boats", "positive": "sail", "negative": "bake"},
        {"anchor": "ovens", "positive": "bake"},
    )
    assert found.qrels["train"] == {"q1": {"d1": 1}, "q2": {"d2": 1, "d3": 0}, "q3": {"d3": 1}}


@pytest.mark.parametrize(("first", "later", "reason"), [
    ({"text": "a"}, {"_id": "7", "text": "b"}, "has an id in '_id', which earlier rows lack"),
    (
        {"query": "a", "positive": "b"}, {"query": "c", "positive": "d", "score": 0},
        "has a score in 'score', which earlier rows lack",
    ),
    ({"text": "a"}, {"query": "c", "text": "d"}, "has an anchor in 'query', which earlier rows lack"),
])  # fmt: skip
def test_what_every_row_needs_is_refused_where_it_comes_late(
    first: dict[str, Any], later: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"late\.jsonl:2: {reason}: give it to all of them, or to none"):
        read_lines(tmp_path / "late.jsonl", first, later)


def test_a_role_stays_with_the_column_that_has_it(tmp_path: Path) -> None:
    rows = {"id": "a", "body": "one"}, {"id": "b", "body": "two", "text": "no body", "_id": "x"}
    found = read_lines(tmp_path / "d.jsonl", *rows)
    assert found.doc_ids == ["a", "b"]
    assert list(found.texts) == ["one", "two"]
    assert json.loads(found.corpus["metadata"][1]) == {"text": "no body", "_id": "x"}
