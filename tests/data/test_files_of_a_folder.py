"""Every table of a folder is read, or refused, or told: none is passed over in silence."""

import errno
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.errors import InputError

DOCUMENTS = "".join(json.dumps({"_id": f"d{n}", "text": f"text {n}"}) + "\n" for n in range(3))
QUERIES = "".join(json.dumps({"_id": f"q{n}", "text": f"query {n}"}) + "\n" for n in range(3))
JUDGED = "query-id\tcorpus-id\tscore\nq0\td0\t1\n"


def folder_of(path: Path, **files: str) -> Path:
    """A folder in BEIR's layout; `__` in a name is a slash, `_` a dot."""
    for name, content in {"corpus_jsonl": DOCUMENTS, "queries_jsonl": QUERIES, **files}.items():
        place = path / name.replace("__", "/").replace("_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return path


def splits(found: Collection) -> dict[str, int]:
    return {split: len(qrels) for split, qrels in found.qrels.items()}


def test_judgments_are_read_in_every_format_and_validation_is_dev(tmp_path: Path) -> None:
    comma = JUDGED.replace("\t", ",")
    line = json.dumps({"query-id": "q1", "corpus-id": "d1", "score": 1})
    folder = folder_of(
        tmp_path / "beir", qrels__train_csv=comma, qrels__validation_tsv=JUDGED, qrels__test_jsonl=line
    )
    found = read(folder)
    assert splits(found) == {"train": 1, "dev": 1, "test": 1}
    assert found.remarks == ()
    (folder / "qrels" / "test.jsonl").write_text(line.replace("corpus-id", "doc"))
    with pytest.raises(InputError, match=r"test\.jsonl:1: columns query-id, doc, score; query-id, corpus-id"):
        read(folder)


@pytest.mark.parametrize(("files", "reason"), [
    (
        {"qrels__valid_tsv": JUDGED, "qrels__dev_tsv": JUDGED},
        r"dev\.tsv and valid\.tsv both hold the judgments of dev",
    ),
    ({"qrels_tsv": JUDGED}, r"qrels\.tsv: judgments were expected in qrels/train\.tsv"),
    ({"qrels": JUDGED}, r"qrels: judgments were expected in qrels/train\.tsv"),
    ({"qrels__train_txt": "q0 0 d0 1\n"}, r"qrels: has no table of judgments \(found: train\.txt\); judgm"),
    ({"corpus_csv": "id,text\na,b\n"}, r"corpus\.jsonl and corpus\.csv both hold the corpus; remove the one"),
    ({"queries_ndjson": QUERIES}, r"queries\.jsonl and queries\.ndjson both hold the queries"),
])  # fmt: skip
def test_two_files_of_one_meaning_and_judgments_that_are_not_found_are_refused(
    files: dict[str, str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=reason):
        read(folder_of(tmp_path / "beir", **files))


def test_a_packed_file_beside_the_plain_one_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "beir")
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(DOCUMENTS.encode()))
    with pytest.raises(InputError, match=r"corpus\.jsonl and corpus\.jsonl\.gz both hold the corpus"):
        read(folder)


def test_an_empty_folder_of_judgments_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "beir")
    (folder / "qrels").mkdir()
    with pytest.raises(InputError, match=r"qrels: has no table of judgments \(found: nothing\)"):
        read(folder)


def test_other_files_among_judgments_are_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "beir", qrels__train_tsv=JUDGED, qrels__test_txt="q0 0 d0 1\n")
    (folder / "qrels" / ".hidden").write_text("")
    found = read(folder)
    assert splits(found) == {"train": 1}
    (finding,) = found.remarks
    assert (finding.kind, finding.count) == ("files-not-read", 1)
    assert finding.examples == (str(folder / "qrels" / "test.txt"),)


@pytest.mark.parametrize("name", ["train.csv.zst", "train.ndjson", "train.tab.gz", "train.jsonl.zst"])
def test_a_folder_of_labelled_texts_in_any_format(name: str, tmp_path: Path) -> None:
    if "json" in name:
        content = "".join(json.dumps({"text": text, "label": text[0]}) + "\n" for text in ("aa", "bb"))
    else:
        content = "text,label\naa,a\nbb,b\n".replace(",", "\t" if ".tab" in name else ",")
    packed = content.encode()
    if name.endswith(".zst"):
        packed = zstandard.compress(packed)
    elif name.endswith(".gz"):
        packed = gzip.compress(packed)
    (tmp_path / name).write_bytes(packed)
    assert read(tmp_path).labels == ["a", "b"]


@pytest.mark.parametrize(("first", "second", "split"), [
    ("train.csv", "train.csv.gz", "train"), ("dev.csv", "validation.csv", "dev"),
    ("test.csv", "test.tsv", "test"),
])  # fmt: skip
def test_two_files_of_one_split_of_labelled_texts_are_refused(
    first: str, second: str, split: str, tmp_path: Path
) -> None:
    for name in {"train.csv", first, second}:
        (tmp_path / name).write_text("text,label\naa,a\n")
    with pytest.raises(InputError, match=rf"{first} and {second} both hold the texts of {split}; remove"):
        read(tmp_path)


@pytest.mark.timeout(60)
def test_links_are_told_and_pipes_passed_over(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("a wave")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.txt").symlink_to(tmp_path / "real.txt")
    with pytest.raises(InputError, match=r"; b\.txt is a symbolic link, and none is followed"):
        read(folder)
    (folder / "a.txt").write_text("a rose")
    (folder / "more").symlink_to(tmp_path)
    os.mkfifo(folder / "z.txt")  # who reads it waits for who writes
    found = read(folder)
    assert found.doc_ids == ["a.txt"]
    (remark,) = found.remarks
    assert remark.message.startswith(f"{folder}: 2 symbolic links are not followed: copy")


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.txt").write_text("a rose")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)  # root may read all
    with pytest.raises(InputError, match=r"locked: permission denied"):
        read(tmp_path)


def test_a_table_beside_the_corpus_is_told(tmp_path: Path) -> None:
    """Questions in it were passed over without a word, and others were made."""
    (tmp_path / "corpus.csv").write_text("id,text\nd1,rose\nd2,tulip\n")
    assert [finding.kind for finding in read(tmp_path).remarks] == []
    (tmp_path / "clicks.csv").write_text("question,answer\nred flower,d1\n")
    (remark,) = read(tmp_path).remarks
    assert remark.kind == "tables-not-read"
    assert "1 table is not read beside the corpus: questions belong into queries.jsonl" in remark.message
    assert remark.examples == ("clicks.csv",)
