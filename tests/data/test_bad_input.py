"""Every parser against bad input: one line with file, line and reason; never a traceback, never a hang."""

import gzip
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textrip import files
from textrip.data.beir import read_qrels
from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.errors import InputError, TextripError

GOOD = '{"_id": "1", "text": "one"}\n'

BAD_JSONL: list[tuple[str, bytes, str]] = [
    ("empty", b"", "is empty, at least one row was expected"),
    ("only blank lines", b"\n  \n\n", "is empty, at least one row was expected"),
    ("only a byte-order mark", b"\xef\xbb\xbf", "is empty, at least one row was expected"),
    ("not JSON", GOOD.encode() + b"{oops\n", r":2: not JSON at column 2: .*; one JSON object a line was expected"),
    ("a list", b"[1]\n", ":1: a JSON list; one JSON object a line was expected"),
    ("a NUL", GOOD.encode() + b"\0\n", ":2: a NUL byte; text was expected"),
    ("Latin-1", GOOD.encode() + b'{"_id": "2", "text": "caf\xe9"}\n', ":2: byte 0xe9 at column 26 is not UTF-8"),
    ("UTF-16", GOOD.encode("utf-16"), ":1: the file is UTF-16, UTF-8 was expected"),
    ("a lone surrogate", b'{"_id": "1", "text": "a \\ud800 b"}\n', r":1: 'text' has a lone surrogate \\ud800"),
    ("deep nesting", b"[" * 100_000 + b"\n", ":1: JSON nested too deep"),
    ("a huge integer", b'{"_id": ' + b"9" * 5000 + b', "text": "a"}\n', ":1: not JSON that can be read"),
    ("no text", b'{"_id": "1", "name": "x"}\n', ":1: columns '_id', 'name' have no text, and no anchor and positive"),
    ("no text later", GOOD.encode() + b'{"_id": "2"}\n', ":2: has no 'text' \\(found: '_id'\\)"),
    ("text is a number", b'{"_id": "1", "text": 5}\n', ":1: 'text' is a number, text was expected"),
    ("text is a list", b'{"_id": "1", "text": ["a"]}\n', ":1: 'text' is a list, text was expected"),
    ("id is a list", b'{"_id": [1], "text": "a"}\n', ":1: '_id' is a list, text was expected"),
    ("id is null", b'{"_id": null, "text": "a"}\n', ":1: '_id' is null, a value was expected"),
    ("id is blank", b'{"_id": " ", "text": "a"}\n', ":1: '_id' is blank, an id was expected"),
    ("id is a fraction", b'{"_id": 18.5, "text": "a"}\n', ":1: '_id' is 18.5, a text or a whole number was"),
    ("id is true", b'{"_id": true, "text": "a"}\n', ":1: '_id' is true or false, text was expected"),
    (
        "a duplicate id",
        GOOD.encode() + b"\n" + b'{"_id": "1", "text": "two"}\n',
        ":3: id '1' occurs again with another content \\(first in line 1\\)",
    ),
    (
        "a NaN score",
        b'{"query": "a", "positive": "b", "score": NaN}\n',
        ":1: relevance is nan, a whole number was expected",
    ),
    (
        "no score later",
        b'{"query": "a", "positive": "b", "score": 1}\n{"query": "a", "positive": "c"}\n',
        ":2: has no 'score', which other rows have \\(found: 'query', 'positive'\\)",
    ),
    ("half a score", b'{"query": "a", "positive": "b", "score": 0.5}\n', ":1: relevance is 0.5, a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"), [case[1:] for case in BAD_JSONL], ids=[case[0] for case in BAD_JSONL]
)
def test_bad_jsonl_is_one_line_with_file_and_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}.*{reason}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


BAD_TABLES: list[tuple[str, str, bytes, str]] = [
    (
        "a ragged row",
        "t.csv",
        b"id,text\n1,a\n2,b,c\n",
        r"t\.csv:3: 3 columns, the header has 2 \(id, text\)",
    ),
    ("an open quote", "t.csv", b'id,text\n1,"a\n', r"t\.csv:2: not a row of comma-separated values"),
    ("a column twice", "t.csv", b"id,text,text\n", r"t\.csv:1: a column name occurs twice"),
    ("a header only", "t.csv", b"id,text\n", r"t\.csv: is empty"),
    ("a ragged tsv", "t.tsv", b"id\ttext\n1\n", r"t\.tsv:2: 1 columns, the header has 2"),
    ("not Parquet", "t.parquet", b"PAR1 but no", r"t\.parquet: is not a Parquet file that can be read"),
    ("packed Parquet", "t.parquet.gz", b"anything", r"t\.parquet\.gz: is packed Parquet, .*; unpack it"),
    ("an unknown suffix", "t.docx", b"x", r"t\.docx: has suffix '\.docx', one of \.jsonl"),
    ("not gzip", "t.jsonl.gz", GOOD.encode(), r"t\.jsonl\.gz:1: the archive is damaged"),
    (
        "cut gzip",
        "t.jsonl.gz",
        gzip.compress(GOOD.encode() * 99)[:40],
        r"t\.jsonl\.gz:\d+: the archive is damaged",
    ),
    (
        "cut zstandard",
        "t.jsonl.zst",
        zstandard.compress(b"".join(b'{"text": "%d"}\n' % n for n in range(9999)))[:-40],
        r"t\.jsonl\.zst:\d+: the archive is damaged: Truncated",
    ),
    (
        "cut zstandard of one line",
        "t.jsonl.zst",
        zstandard.compress(GOOD.encode())[:-1],
        r"t\.jsonl\.zst:1: the archive is damaged",
    ),
    (
        "cut in its second frame",
        "t.csv.zst",
        zstandard.compress(b"id,text\n1,a\n") + zstandard.compress(b"2,b\n")[:6],
        r"t\.csv\.zst:\d: the archive is damaged",
    ),
    ("not zstandard", "t.jsonl.zst", GOOD.encode(), r"t\.jsonl\.zst:1: the archive is damaged"),
]


@pytest.mark.parametrize(
    ("name", "content", "reason"), [case[1:] for case in BAD_TABLES], ids=[case[0] for case in BAD_TABLES]
)
def test_bad_tables(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read(tmp_path / name)


def parquet(path: Path, names: list[str], columns: list[pa.Array]) -> Path:
    pq.write_table(pa.Table.from_arrays(columns, names=names), path)
    return path


ODD_VALUES = {
    "a year beyond all calendars": pa.array([0, 10**18], pa.timestamp("us")),
    "a day beyond all calendars": pa.array([0, 10**8], pa.date32()),
    "a duration beyond all time": pa.array([0, 2**62], pa.duration("s")),
    "a field twice": pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"]),
}


@pytest.mark.parametrize("values", ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_a_value_of_parquet_that_cannot_be_read_is_told_with_column_and_row(
    values: pa.Array, tmp_path: Path
) -> None:
    path = parquet(tmp_path / "t.parquet", ["text", "when"], [pa.array(["one", "two"]), values])
    row = 1 if pa.types.is_struct(values.type) else 2
    with pytest.raises(InputError, match=rf"t\.parquet:{row}: 'when' is a .* that cannot be read") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_two_columns_or_keys_of_one_name_are_refused_in_every_format(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", ["text", "id", "text"], [pa.array(["a"])] * 3)
    with pytest.raises(InputError, match=r"t\.parquet: a column name occurs twice: text, id, text"):
        read(path)
    path = tmp_path / "t.jsonl"
    path.write_text(GOOD + '{"_id": "2", "text": "two", "text": "three"}\n')
    with pytest.raises(InputError, match=r"t\.jsonl:2: .*the key 'text' occurs twice"):
        read(path)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names of files are Unicode there")
def test_a_file_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("coffee")
    with pytest.raises(InputError, match=r"the name of the file caf\\xe9\.txt is not UTF-8; rename it"):
        read(tmp_path)


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (zstandard.compress, ".zst")])
def test_a_bomb_of_one_line_is_refused_before_it_fills_the_memory(
    pack: Callable[[bytes], bytes], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 2**20)
    path = tmp_path / f"bomb.jsonl{suffix}"
    path.write_bytes(pack(b"a" * 2**24))
    with pytest.raises(InputError, match=r":1: the line is longer than 1 MiB"):
        read(path)


def test_archives_of_several_parts_are_read_to_the_end(tmp_path: Path) -> None:
    parts = [b'{"_id": "1", "te', b'xt": "one"}\n', b"", b'{"_id": "2", "text": "two"}\n']
    aside = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"any"  # a frame that readers skip
    for pack, suffix, between in ((gzip.compress, "gz", b""), (zstandard.compress, "zst", aside)):
        path = tmp_path / f"parts.jsonl.{suffix}"
        path.write_bytes(between.join(map(pack, parts)))
        assert read(path).doc_ids == ["1", "2"]


def test_a_line_of_10_megabytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"_id": "1", "text": "word " * 2_000_000}))
    assert len(read(path).texts[0]) == 10_000_000


@pytest.mark.parametrize(("judgments", "reason"), [
    ("query-id\tcorpus-id\n1\t2\n", r":1: columns query-id, corpus-id; query-id, corpus-id and score were expected"),
    ("1\t2\t3\n3\t4\t1\n", ":1: columns 1, 2, 3; query-id"),
    ("query-id\tcorpus-id\tscore\n1\t2\tyes\n", ":2: relevance is 'yes', a whole number was expected"),
    ("query-id\tcorpus-id\tscore\n1\t2\t1700000000000\n", ":2: relevance is '1700000000000', a grade of at most"),
    ("query-id\tcorpus-id\tscore\n1\t2\tinf\n", ":2: relevance is 'inf', a whole number was expected"),
    ("query-id\tcorpus-id\tscore\n1\t2\t1\n1\t2\t0\n", ":3: judges '2' as 0, an earlier line as 1"),
])  # fmt: skip
def test_bad_judgments(judgments: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(judgments)
    with pytest.raises(InputError, match=reason):
        read_qrels(path)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has nothing to read; a BEIR folder .* or files ending in .txt"):
        read(tmp_path)
    for name, instead in (
        (".hidden.csv", ""),
        ("index.json", ""),  # a page's
        ("docs.csv", "; there is docs.csv: name the file itself"),
        ("dev.csv.gz", "; there is dev.csv.gz and no train.jsonl: what is trained on belongs there"),
        ("documents.sqlite", "; this is an index: name the data that it was built from"),
    ):
        (tmp_path / name).write_text("{}")
        with pytest.raises(InputError) as refused:
            read(tmp_path)
        assert str(refused.value).endswith(f".markdown were expected{instead}")
    (tmp_path / "notes.md").write_text("# Notes\nof mine")
    assert [found.message for found in read(tmp_path).remarks] == [
        f"{tmp_path}: 2 tables are not read, as the text files beside are; name a table by its own path, or put "
        "what is trained on into train.jsonl"
    ]
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "corpus.jsonl").write_text(GOOD)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n")
    with pytest.raises(InputError, match=r"has judgments and no queries\.jsonl; add the queries' texts"):
        read(tmp_path)
    (tmp_path / "queries.jsonl").write_text('{"_id": "other", "text": "a"}\n')
    with pytest.raises(InputError, match="1 judged queries of split 'test' have no text, '1' first"):
        read(tmp_path).queries_of("test")
    with pytest.raises(InputError, match=r"has no judgments for split 'dev' \(judged splits: test\)"):
        read(tmp_path).judged("dev")


@pytest.mark.timeout(20)
def test_a_pipe_is_no_file_and_nobody_waits_for_who_writes_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "docs.jsonl")
    with pytest.raises(
        InputError, match=r"docs\.jsonl: is a pipe or a device; a file or a folder was expected, or -"
    ):
        read(tmp_path / "docs.jsonl")


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(GOOD)
    with pytest.raises(InputError, match=r"has no column 'body' \(columns: _id, text\)"):
        read(path, columns=Columns(text="body"))


def test_blank_lines_a_byte_order_mark_and_crlf_are_no_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"_id": "1", "text": "one"}\r\n\r\n\n{"_id": 2, "text": "two"}')
    collection = read(path)
    assert collection.doc_ids == ["1", "2"]
    assert list(collection.texts) == ["one", "two"]


def test_the_same_document_twice_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(GOOD + GOOD + '{"_id": "2", "text": "two"}\n')
    assert read(path).doc_ids == ["1", "2"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".jsonl.zst"])
@given(
    content=st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_in_one_line(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    try:
        read(path)
    except TextripError as error:
        assert str(error)
        assert str(path) in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["_id", "id", "text", "title", "query", "positive", "negative", "score", "label", "x"])


@given(rows=st.lists(st.dictionaries(KEYS, JSON, max_size=5), min_size=1, max_size=4))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_rows_are_read_or_refused_in_one_line(rows: list[dict[str, object]], tmp_path: Path) -> None:
    path = tmp_path / "any.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    try:
        collection = read(path)
    except InputError as error:
        assert str(error).startswith(str(path))
    else:
        assert len(collection.corpus) > 0


def test_a_cell_of_a_single_column_may_be_empty(tmp_path: Path) -> None:
    """The row was lost without a word, and those after it had other numbers."""
    (tmp_path / "d.csv").write_text('text\nfoo\n""\n\nbar\n')
    assert list(read(tmp_path / "d.csv").corpus["text"]) == ["foo", "", "bar"]


def test_a_grade_is_no_number_as_python_writes_it(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1_0\n")
    with pytest.raises(InputError, match="relevance is '1_0', a whole number was expected"):
        read_qrels(tmp_path / "train.tsv")
