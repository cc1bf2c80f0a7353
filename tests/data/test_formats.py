"""Every shape of data reads to the same collection; what was written reads back equal."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textrip.data.collection import Collection
from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.data.hub import collection_from_beir_datasets
from textrip.errors import InputError, OfflineError
from textrip.records import Document

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
DOCUMENTS = st.lists(
    st.builds(Document, doc_id=TEXT.filter(str.strip), title=TEXT, text=TEXT),
    min_size=1, max_size=8, unique_by=lambda document: document.doc_id,
)  # fmt: skip


def rows_of(collection: Collection) -> list[Document]:
    return [Document(row["doc_id"], row["title"], row["text"]) for row in collection.corpus]


def write_jsonl(documents: list[Document], path: Path) -> None:
    lines = [json.dumps({"_id": d.doc_id, "title": d.title, "text": d.text}) for d in documents]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_csv(documents: list[Document], path: Path) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "title", "text"])
    writer.writerows([d.doc_id, d.title, d.text] for d in documents)
    path.write_bytes(stream.getvalue().encode())


def write_parquet(documents: list[Document], path: Path) -> None:
    columns = {name: [getattr(d, name) for d in documents] for name in ("doc_id", "title", "text")}
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(("write", "suffix"), [(write_jsonl, ".jsonl"), (write_parquet, ".parquet")])
@given(documents=DOCUMENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_documents_read_back_equal(
    write: Callable[[list[Document], Path], None], suffix: str, documents: list[Document], tmp_path: Path
) -> None:
    path = tmp_path / f"corpus{suffix}"
    write(documents, path)
    assert rows_of(read(path)) == documents


@given(documents=DOCUMENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_documents_without_carriage_returns_read_back_from_csv(
    documents: list[Document], tmp_path: Path
) -> None:
    documents = [
        Document(d.doc_id.replace("\r", "?"), d.title.replace("\r", "?"), d.text.replace("\r", "?"))
        for d in documents
    ]
    if len({d.doc_id for d in documents}) < len(documents):
        return
    path = tmp_path / "corpus.csv"
    write_csv(documents, path)
    assert rows_of(read(path)) == documents


def test_beir_reads_back_equal_plain_and_compressed(
    tiny_collection: Collection, write_beir: Callable[[Collection, Path], Path], tmp_path: Path
) -> None:
    folder = write_beir(tiny_collection, tmp_path / "tiny")
    plain = read(folder)
    assert rows_of(plain) == rows_of(tiny_collection)
    assert plain.query_texts == tiny_collection.query_texts
    assert plain.qrels == tiny_collection.qrels
    for path in [*folder.glob("*.jsonl"), *folder.glob("qrels/*.tsv")]:
        pack = gzip.compress if path.name.startswith("corpus") else zstandard.compress
        suffix = ".gz" if path.name.startswith("corpus") else ".zst"
        path.with_name(path.name + suffix).write_bytes(pack(path.read_bytes()))
        path.unlink()
    assert read(folder).fingerprint == plain.fingerprint


def test_pairs_and_triples_become_queries_documents_and_judgments(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"query": "a", "positive": "one", "negative": "two"},
        {"query": "a", "positive": "three", "negative": ["two", "four"]},
        {"query": "b", "positive": "two"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    collection = read(path)
    assert list(collection.texts) == ["one", "two", "three", "four"]
    assert collection.query_texts == {"q1": "a", "q2": "b"}
    assert collection.qrels == {"train": {"q1": {"d1": 1, "d2": 0, "d3": 1, "d4": 0}, "q2": {"d2": 1}}}


def test_columns_are_found_by_usual_names_and_taken_by_given_ones(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_text("Ticket,Subject,Body,Queue\n7,Printer,It smokes,hardware\n")
    found = read(path, columns=Columns(id="Ticket", label="Queue"))
    assert found.corpus[0] == {"doc_id": "7", "title": "Printer", "text": "It smokes", "label": "hardware"}


def test_labelled_texts_without_ids_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "banking.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    assert read(path).doc_ids == ["1", "2"]
    assert read(path).corpus["label"][:] == ["x", "y"]


def test_a_folder_of_text_and_markdown(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("\n# A heading\n\nThe body.\n")
    (tmp_path / "a_note.txt").write_text("# no heading in plain text\nmore")
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    assert rows_of(read(tmp_path)) == [
        Document("a_note.txt", "a note", "# no heading in plain text\nmore"),
        Document("sub/b.md", "A heading", "The body."),
    ]


def test_standard_input_is_jsonl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"id": "x", "text": "piped"}\n')))
    assert rows_of(read("-")) == [Document("x", "", "piped")]


def test_the_hub_is_not_tried_when_offline() -> None:
    with pytest.raises(OfflineError, match=r"hub:BeIR/scifact is on the hub and the network is switched off"):
        read("hub:BeIR/scifact")


def test_beirs_three_data_sets_of_the_hub_make_a_collection() -> None:
    from datasets import Dataset, DatasetDict

    corpus = DatasetDict({"corpus": Dataset.from_list([{"_id": "1", "title": "t", "text": "a"}])})
    queries = DatasetDict({"queries": Dataset.from_list([{"_id": "9", "text": "q"}])})
    qrels = DatasetDict(
        {"validation": Dataset.from_list([{"query-id": 9, "corpus-id": 1, "score": 2}])}
    )  # ids are numbers there
    collection = collection_from_beir_datasets("BeIR/x", corpus, queries, qrels)
    assert rows_of(collection) == [Document("1", "t", "a")]
    assert collection.qrels == {"dev": {"9": {"1": 2}}}


def test_the_fingerprint_tells_collections_apart(tiny_collection: Collection) -> None:
    documents = rows_of(tiny_collection)
    same = Collection.of("another name", documents, tiny_collection.query_texts, tiny_collection.qrels)
    assert same.fingerprint == tiny_collection.fingerprint
    other = Collection.of("tiny", documents[::-1], tiny_collection.query_texts, tiny_collection.qrels)
    assert other.fingerprint != tiny_collection.fingerprint


def test_a_selection_of_rows_has_the_ids_of_its_rows(tiny_collection: Collection) -> None:
    """`Dataset.data` does not know of `select`; ids read from it would be those of other documents."""
    picked = Collection("picked", tiny_collection.corpus.select([5, 3]), tiny_collection.queries)
    assert picked.doc_ids == ["d05", "d03"]
    assert picked.texts[0] == tiny_collection.texts[5]


@pytest.mark.parametrize(("name", "documents", "splits"), [
    ("scifact", 5183, {"train": 809, "test": 300}),
    ("nfcorpus", 3633, {"train": 2590, "dev": 324, "test": 323}),
    ("cranfield", 1400, {"test": 225}),
    ("papers", 87188, {"train": 82787, "dev": 1726, "test": 2675}),
])  # fmt: skip
def test_real_collections(name: str, documents: int, splits: dict[str, int], real_data: Path) -> None:
    collection = read(real_data / name)
    assert len(collection.corpus) == documents
    assert {split: len(judged) for split, judged in collection.qrels.items()} == splits
    assert all(collection.queries_of(split) for split in splits)


@pytest.mark.parametrize(("content", "rows"), [
    ("id;text;price\n1;rose, red;0,5\n2;\"a;b\";1\n", [("1", "rose, red"), ("2", "a;b")]),
    ("\n id ; text \n1;rose\n", [("1", "rose")]),
    ("id\ttext\n1\t\"two\nlines\"\n", [("1", "two\nlines")]),
    ("id,text\n1,a;b\n", [("1", "a;b")]),
    ("text\na;b\n", [("1", "a;b")]),
    ("id,a;b,text\n1,x,y\n", [("1", "y")]),
    ('id;"title, short";text\n1;t;rose\n', [("1", "rose")]),
    ('id;"title,\nshort";text\n1;t;rose\n', [("1", "rose")]),
    ("sep=;\nid;text\n1;rose\n", [("1", "rose")]),
    ("sep=,\nid,text\n1,a;b\n", [("1", "a;b")]),
])  # fmt: skip
def test_a_csv_is_separated_as_its_header_is(
    content: str, rows: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Where numbers have a comma, spreadsheets write semicolons."""
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    collection = read(path)
    assert list(zip(collection.doc_ids, collection.texts, strict=True)) == rows


def test_a_line_of_a_csv_with_semicolons_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\nid;text\n1;rose\n2;too;many\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"t\.csv:4: 3 columns, the header has 2 \(id, text\)"):
        read(path)
    path.write_text('id;text\n1;"rose\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"t\.csv:2: not a row of semicolon-separated values"):
        read(path)


def test_texts_of_a_folder_may_be_packed(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a_note.txt.gz").write_bytes(gzip.compress(b"a rose"))
    (folder / "b.MD.gz").write_bytes(gzip.compress(b"# B\n\na wave"))
    found = [(row["doc_id"], row["title"], row["text"]) for row in read(folder).corpus]
    assert found == [("a_note.txt.gz", "a note", "a rose"), ("b.MD.gz", "B", "a wave")]


def test_a_single_text_is_no_data(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# A\n\nrose")
    with pytest.raises(InputError, match=rf"is a single text; a folder of texts was expected \({tmp_path}\)"):
        read(path)


@pytest.mark.parametrize(("content", "remedy"), [
    ("id,text\n1,caf\u00e9\n".encode("latin-1"), "iconv -f WINDOWS-1252 -t UTF-8"),
    ("id,text\n1,caf\u00e9\n".encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
])  # fmt: skip
def test_another_encoding_is_told_how_to_convert(content: bytes, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=remedy):
        read(path)
