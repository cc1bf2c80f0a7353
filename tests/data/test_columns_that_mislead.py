"""Columns, splits and marks whose names say another thing than they mean."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.data.hub import collection_from_beir_datasets, read_hub
from textrip.errors import InputError

Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def document(doc_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"_id": doc_id, "title": "", "text": text, **more}


@pytest.mark.parametrize("column", ["query", "question", "anchor", "query_text", "score", "negative"])
@pytest.mark.parametrize("later", [False, True])
def test_a_corpus_is_of_documents_whatever_its_columns_are(column: str, later: bool, tmp_path: Path) -> None:
    """It was read as pairs, with ids of their own, so that judgments were of other documents."""
    more = [{}, {column: "which?"}] if later else [{column: "why?"}, {column: "which?"}]
    corpus = [document(f"d{9 - place}", f"text {place}", **had) for place, had in enumerate(more)]
    write(tmp_path / "beir" / "corpus.jsonl", corpus)
    write(tmp_path / "beir" / "queries.jsonl", [{"_id": "q1", "text": "text 0"}])
    (tmp_path / "beir" / "qrels").mkdir()
    (tmp_path / "beir" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td9\t1\n")
    of_folder = read(tmp_path / "beir")
    judged = {"test": [{"query-id": "q1", "corpus-id": "d9", "score": 1}]}
    of_hub = collection_from_beir_datasets(
        "x/y", {"corpus": corpus}, {"q": [{"_id": "q1", "text": "t"}]}, judged
    )
    of_file = read(write(tmp_path / "faq.jsonl", corpus), columns=Columns(id="_id"))
    for found in (of_folder, of_hub, of_file):
        assert found.doc_ids == ["d9", "d8"]
        assert list(found.corpus["text"]) == ["text 0", "text 1"]
        assert [json.loads(kept) for kept in found.corpus["metadata"]] == more
        assert not found.numbered
    assert of_folder.qrels == of_hub.qrels == {"test": {"q1": {"d9": 1}}}


def test_what_stands_in_two_splits_of_the_hub_is_kept_once_and_nothing_else_lost() -> None:
    """Each split was numbered from 1, and a repeated record left out by its number."""
    corpus = {
        "a": [document("d1", "one"), document("d2", "two")],
        "b": [document("d1", "one"), document("d5", "five")],
    }
    queries = {
        "train": [{"_id": "q1", "text": "uno"}, {"_id": "q2", "text": "dos"}],
        "test": [{"_id": "q3", "text": "t"}, {"_id": "q1", "text": "uno"}],
    }
    found = collection_from_beir_datasets("x/y", corpus, queries, {})
    assert found.doc_ids == ["d1", "d2", "d5"]
    assert list(found.query_texts) == ["q1", "q2", "q3"]
    assert [remark.count for remark in found.remarks] == [1, 1]


@pytest.mark.parametrize(("qrels", "told"), [
    ({"validation": [1], "dev": [1]}, "hub:x/y: dev would be a second split dev; one of"),
    ({"dev": [1], "validation": [1]}, "hub:x/y: validation would be a second split dev; one of"),
    ({"test": [1, 0]}, r"hub:x/y \(test\):2: judges 'd1' as 0, an earlier line as 1"),
])  # fmt: skip
def test_judgments_of_the_hub_that_collide_are_refused(qrels: dict[str, list[int]], told: str) -> None:
    judged = {
        split: [{"query-id": "q1", "corpus-id": "d1", "score": grade} for grade in grades]
        for split, grades in qrels.items()
    }
    with pytest.raises(InputError, match=f"^{told}"):
        collection_from_beir_datasets(
            "x/y", {"corpus": [document("d1", "one")]}, {"queries": [{"_id": "q1", "text": "q"}]}, judged
        )


@pytest.mark.parametrize("name", ["", ":", ":config"])
def test_a_hub_without_a_name_is_told(name: str) -> None:
    with pytest.raises(InputError, match=r"names no data set; hub:OWNER/NAME was expected"):
        read_hub(name, Columns())


def test_a_split_called_val_is_the_dev_split(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write(tmp_path / "pairs" / f"{split}.jsonl", [{"query": f"q {split}", "positive": f"p {split}"}])
    assert set(read(tmp_path / "pairs").qrels) == {"train", "dev", "test"}
    write(tmp_path / "beir" / "corpus.jsonl", [document("d1", "one")])
    write(tmp_path / "beir" / "queries.jsonl", [{"_id": "q1", "text": "q"}])
    (tmp_path / "beir" / "qrels").mkdir()
    (tmp_path / "beir" / "qrels" / "val.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    assert set(read(tmp_path / "beir").qrels) == {"dev"}


def test_tables_beside_those_of_the_splits_are_told(tmp_path: Path) -> None:
    for name in ("train", "test", "more", "held-out"):
        write(tmp_path / f"{name}.jsonl", [{"query": f"q {name}", "positive": f"p {name}"}])
    (remark,) = read(tmp_path).remarks
    assert (remark.kind, remark.count) == ("files-not-read", 2)
    assert "train, dev and test are" in remark.message


def test_labels_are_kept_where_the_first_split_has_none(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [{"text": "a b", "label": ""}, {"text": "d e", "label": None}])
    write(tmp_path / "test.jsonl", [{"text": "x y", "label": "L"}])
    assert list(read(tmp_path).corpus["label"]) == ["", "", "L"]


def test_a_name_as_it_is_written_comes_before_another_case_of_it(tmp_path: Path) -> None:
    found = read(write(tmp_path / "d.jsonl", [{"id": "1", "Text": "other", "text": "exact"}]))
    assert list(found.corpus["text"]) == ["exact"]
    assert json.loads(found.corpus["metadata"][0]) == {"Text": "other"}


def test_a_map_of_parquet_is_kept_as_lists_are(tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.float64())
    table = {"id": ["a"], "text": ["x"], "m": pa.array([[("k", float("nan")), ("l", 1.5)]], kind)}
    pq.write_table(pa.table(table), tmp_path / "d.parquet")
    assert json.loads(read(tmp_path / "d.parquet").corpus["metadata"][0]) == {"m": [["k", None], ["l", 1.5]]}


@pytest.mark.parametrize(("line", "title"), [
    ("# Title", "Title"), ("## Title ##", "Title"), ("# C#", "C#"), ("#hashtag here", "a page"),
    ("#!/bin/sh", "a page"), ("####### seven", "a page"), ("#", "a page"),
])  # fmt: skip
def test_a_heading_has_a_blank_behind_its_hashes(line: str, title: str, tmp_path: Path) -> None:
    (tmp_path / "a-page.md").write_text(f"{line}\n\nA rose is a rose.\n")
    found = read(tmp_path)
    assert list(found.corpus["title"]) == [title]
    assert (line in found.corpus["text"][0]) == (title == "a page")
