"""Tables of pairs and triples: empty cells, labels of 0 and 1, several negatives, columns without a use."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from textrip.data.check import check
from textrip.data.formats import read
from textrip.data.leaks import without_held_out
from textrip.errors import InputError


def table(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def judged(path: Path, *lines: str) -> Mapping[str, Mapping[str, int]]:
    found = read(table(path, *lines))
    texts = dict(zip(found.doc_ids, found.texts, strict=True))
    return {
        found.query_texts[query_id]: {texts[doc_id]: grade for doc_id, grade in grades.items()}
        for query_id, grades in found.qrels["train"].items()
    }


@pytest.mark.parametrize(("suffix", "comma"), [("csv", ","), ("tsv", "\t")])
def test_an_empty_negative_is_none(suffix: str, comma: str, tmp_path: Path) -> None:
    lines = ["anchor,positive,negative", "roses,prune,", "boats,sail,bake", "ovens,bake, "]
    found = judged(tmp_path / f"t.{suffix}", *(line.replace(",", comma) for line in lines))
    assert found == {"roses": {"prune": 1}, "boats": {"sail": 1, "bake": 0}, "ovens": {"bake": 1}}
    lines = ['{"anchor": "a", "positive": "b", "negative": ["", "c", null]}']
    assert judged(tmp_path / "t.jsonl", *lines) == {"a": {"b": 1, "c": 0}}


@pytest.mark.parametrize(("row", "column"), [("roses,,bake", "positive"), (" ,prune,bake", "anchor")])
def test_an_empty_anchor_or_positive_is_refused(row: str, column: str, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "anchor,positive,negative", "boats,sail,bake", row)
    with pytest.raises(InputError, match=rf"t\.csv:3: '{column}' is blank; text was expected"):
        read(path)


def test_a_label_of_0_or_1_says_what_is_relevant(tmp_path: Path) -> None:
    lines = ["query,passage,label", "roses,prune,1", "roses,sail,0", "boats,sail,1", "boats,bake,0"]
    expected = {"roses": {"prune": 1, "sail": 0}, "boats": {"sail": 1, "bake": 0}}
    assert judged(tmp_path / "l.csv", *lines) == expected
    lines = [
        '{"query": "roses", "passage": "prune", "label": true}',
        '{"query": "roses", "passage": "sail", "label": 0.0}',
    ]
    assert judged(tmp_path / "l.jsonl", *lines) == {"roses": {"prune": 1, "sail": 0}}


@pytest.mark.parametrize(("rows", "reason"), [
    (["1", "often"], r":3: 'label' is 'often', 0 or 1 was expected, as in the first row"),
    (["0", "2"], r":3: 'label' is '2', 0 or 1 was expected, as in the first row"),
    (["0", ""], r":3: 'label' is '', 0 or 1 was expected, as in the first row"),
])  # fmt: skip
def test_a_label_that_was_0_or_1_and_is_not(rows: list[str], reason: str, tmp_path: Path) -> None:
    path = table(
        tmp_path / "l.csv", "query,passage,label", *(f"q{n},d{n},{row}" for n, row in enumerate(rows))
    )
    with pytest.raises(InputError, match=reason):
        read(path)


def test_a_label_that_comes_late_is_refused(tmp_path: Path) -> None:
    rows = '{"query": "a", "passage": "b"}', '{"query": "c", "passage": "d", "label": 0}'
    with pytest.raises(
        InputError, match=r"l\.jsonl:2: 'label' is 0, and earlier rows have no 'label': give it"
    ):
        read(table(tmp_path / "l.jsonl", *rows))


def test_several_columns_of_negatives(tmp_path: Path) -> None:
    lines = ["anchor,positive,negative_1,negative_2", "roses,prune,sail,bake", "boats,sail,,bake"]
    expected = {"roses": {"prune": 1, "sail": 0, "bake": 0}, "boats": {"sail": 1, "bake": 0}}
    assert judged(tmp_path / "n.csv", *lines) == expected
    rows = (
        '{"anchor": "roses", "positive": "prune", "negatives": ["sail", "bake"]}',
        '{"anchor": "boats", "positive": "sail", "negative_1": "bake"}',
    )
    assert judged(tmp_path / "n.jsonl", *rows) == expected


def test_columns_of_pairs_that_are_not_read_are_told(tmp_path: Path) -> None:
    lines = ["id,query,title,text,topic", "7,roses,Of roses,prune,garden"]
    (finding,) = read(table(tmp_path / "t.csv", *lines)).remarks
    assert (finding.level, finding.kind, finding.count) == ("warning", "columns-not-read", 3)
    assert "id, title, topic" in finding.message
    lines = ["query,text,label", "roses,prune,garden"]
    (finding,) = read(table(tmp_path / "t.csv", *lines)).remarks
    assert "label" in finding.message
    assert read(table(tmp_path / "t.csv", "query,text,score,negative", "roses,prune,1,sail")).remarks == ()


@pytest.mark.parametrize("scores", [(1, 0), (0, 1), (2, 1)])
def test_a_pair_that_is_judged_twice_has_its_best_score(scores: tuple[int, int], tmp_path: Path) -> None:
    lines = ["query,text,score", *(f"roses,prune,{score}" for score in scores)]
    assert judged(tmp_path / "t.csv", *lines) == {"roses": {"prune": max(scores)}}


def splits_of_pairs(folder: Path, **rows: list[dict[str, str]]) -> Path:
    folder.mkdir()
    for split, own in rows.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    return folder


def test_a_folder_with_a_table_of_pairs_for_each_split(tmp_path: Path) -> None:
    data = splits_of_pairs(
        tmp_path / "pairs",
        train=[{"query": "flowers", "positive": "a rose", "negative": "a boat"}],
        valid=[{"query": "ships", "positive": "a boat"}],
        test=[{"query": "flowers", "positive": "a tulip", "colour": "red"}],
    )
    found = read(data)
    assert found.corpus["text"][:] == ["a rose", "a boat", "a tulip"]
    assert found.query_texts == {"q1": "flowers", "q2": "ships"}
    assert found.qrels == {
        "train": {"q1": {"d1": 1, "d2": 0}},
        "dev": {"q2": {"d2": 1}},
        "test": {"q1": {"d3": 1}},
    }
    assert [remark.examples for remark in found.remarks] == [(str(data / "test.jsonl"),)]
    assert {found.kind: found.examples for found in check(found)}["test-queries-in-train"] == ("q1: flowers",)
    with pytest.raises(InputError, match=r"every query of train \(1\) is asked in test, too"):
        without_held_out(found)


@pytest.mark.parametrize(("test", "reason"), [
    ([{"text": "a", "label": "x"}], "train.jsonl holds pairs and .*test.jsonl does not: make"),
    ([{"query": "a", "positive": ""}], "test.jsonl:1: 'positive' is blank"),
    ([], "test.jsonl: is empty"),
])  # fmt: skip
def test_splits_that_do_not_fit(test: list[dict[str, str]], reason: str, tmp_path: Path) -> None:
    data = splits_of_pairs(tmp_path / "pairs", train=[{"query": "a", "positive": "b"}], test=test)
    with pytest.raises(InputError, match=reason):
        read(data)
