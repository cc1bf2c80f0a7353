"""Tables of pairs and triples: empty cells, labels of 0 and 1, several negatives, columns without a use."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from textrip.data.formats import read
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
