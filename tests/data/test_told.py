"""What reading resolved is told by a check, and nothing is resolved in silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from textrip import progress
from textrip.data.check import check
from textrip.data.finding import Finding
from textrip.data.formats import read
from textrip.data.near_duplicates import near_duplicates
from textrip.errors import InputError


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def found(path: Path) -> dict[str, Finding]:
    return {finding.kind: finding for finding in check(read(path))}


def test_rows_whose_negative_is_the_positive_or_the_question(tmp_path: Path) -> None:
    rows = [
        {"anchor": "what blooms", "positive": "a rose", "negative": "a rose"},
        {"anchor": "what sails", "positive": "a boat", "negative": "what sails"},
        {"anchor": "what sings", "positive": "a choir", "negative": "a boat"},
    ]
    told = found(lines(tmp_path / "triples.jsonl", rows))
    assert told["positive-equals-negative"].count == 1
    assert "triples.jsonl:1: what blooms / a rose" in told["positive-equals-negative"].examples[0]
    assert told["anchor-among-negatives"].count == 1
    assert "triples.jsonl:2: what sails" in told["anchor-among-negatives"].examples[0]


def test_pairs_that_are_relevant_here_and_not_there(tmp_path: Path) -> None:
    rows = [{"query": f"q {n}", "positive": f"d {n}", "score": score} for n in range(3) for score in (1, 0)]
    assert found(lines(tmp_path / "pairs.jsonl", rows))["positive-equals-negative"].count == 3


def test_records_that_are_repeated(tmp_path: Path) -> None:
    documents = [{"_id": f"d{n % 4}", "text": f"text {n % 4}"} for n in range(6)]
    queries = [{"_id": f"q{n % 2}", "text": f"query {n % 2}"} for n in range(3)]
    lines(tmp_path / "beir" / "corpus.jsonl", documents)
    lines(tmp_path / "beir" / "queries.jsonl", queries)
    told = [finding for finding in check(read(tmp_path / "beir")) if finding.kind == "repeated-records"]
    assert [finding.count for finding in told] == [2, 1]


@pytest.mark.parametrize("judged", [0, 2])
def test_queries_that_nothing_is_done_with(judged: int, tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    lines(folder / "corpus.jsonl", [{"_id": f"d{n}", "text": f"text {n}"} for n in range(9)])
    lines(folder / "queries.jsonl", [{"_id": f"q{n}", "text": f"query {n}"} for n in range(9)])
    if judged:
        (folder / "qrels").mkdir()
        rows = "".join(f"q{n}\td{n}\t1\n" for n in range(judged))
        (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    finding = found(folder)["queries-without-judgments"]
    assert finding.count == 9 - judged
    assert ("nothing is trained or measured" if judged else "none is used") in finding.message


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    lines(folder / "corpus.jsonl", [{"_id": "d", "text": "text"}])
    lines(folder / "queries.jsonl", [{"_id": "q", "text": "query"}])
    (folder / "qrels").mkdir()
    for name in ("train.tsv", "train.tsv.gz"):
        (folder / "qrels" / name).write_bytes(b"query-id\tcorpus-id\tscore\nq\td\t1\n")
    with pytest.raises(InputError, match=r"train\.tsv and train\.tsv\.gz both hold the judgments of train"):
        read(folder)


def test_texts_of_one_template_are_no_quadratic_number_of_pairs() -> None:
    words = " ".join(f"word{n}" for n in range(60))
    pairs = list(near_duplicates(f"{words} number {n}" for n in range(400)))
    assert {pair.second for pair in pairs} == set(range(1, 400))  # everyone is told
    assert len(pairs) < 400 * 20


def test_what_a_folder_of_texts_has_besides(tmp_path: Path) -> None:
    """A PDF is not found by a search, and whoever put it there does not know why."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    for name, text in {
        "a.md": "# A\n\nrose", "b.txt": "wave", "empty.txt": "", "sub/blank.md": " \n\n", "c.pdf": "%PDF",
        "sub/d.HTML": "<p>x</p>", "sub/e.html": "<p>x</p>", "photo.png": "no", ".f.pdf": "hidden",
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append):
        collection = read(folder)
        assert len(remarks) == 2
        read(folder, tell=False)
    assert collection.doc_ids == ["a.md", "b.txt"]
    assert remarks == [
        f"{folder}: 2 files without text passed over",
        f"{folder}: 3 documents are not read (2 .html, 1 .pdf): convert what is to be found to .txt or .md",
    ]
    told = found(folder)
    assert told["empty-files"].examples == ("empty.txt", "sub/blank.md")
    assert told["files-not-read"].examples == ("c.pdf", "sub/d.HTML", "sub/e.html")


def test_a_folder_of_what_has_to_be_converted(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("%PDF")
    (tmp_path / "empty.md").write_text("\n")
    with pytest.raises(InputError, match=r"files ending in .* were expected; there is a\.pdf: convert it$"):
        read(tmp_path)


def test_what_a_table_repeats_is_said_as_it_is_read(tmp_path: Path) -> None:
    path = lines(tmp_path / "d.jsonl", [{"id": "a", "text": "rose"}, {"id": "a", "text": "rose"}])
    remarks: list[str] = []
    with progress.reporting(bars=False, say=remarks.append):
        read(path)
    assert remarks == [finding.message for finding in check(read(path)) if finding.kind == "repeated-records"]
    assert len(remarks) == 1
