"""Conditions read documents and nothing else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.stub import StubEncoder
from textrip.data.collection import Collection
from textrip.errors import InputError
from textrip.records import Document
from textrip.retrieval import where as where_module
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Index
from textrip.retrieval.where import Where

# Names that JSON writes with an escape, or SQL does.
ESCAPED = [
    "a\\b",
    'q"t',
    '"',
    "\\",
    'a\\"b',
    "two\nlines",
    "tab\there",
    "a\\u0062",
    "bell\x07",
    "tick`y",
    "]",
]
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("a", {"year": 2010, "lang": "en", "open": True}),
    ("b", {"year": 2015, "lang": "de", "odd name": "x", "quote'd": 1}),
    ("c", {"year": 2020.5, "lang": "en", "open": False}),
    ("d", {"lang": None, "a.b": 1, "2020": 2, "$price": 3, "[x]": 4, "1st": 5, "key": 6, "Case": 7}),
    ("e", {"case": 8, "lowercase": 1}),
    ("f", {**{name: place for place, name in enumerate(ESCAPED)}, 'say "x"': ["l", 1]}),
    ("h", {"É": 1, "é": 2, "n": "a\0b", "Title": "T", "of title": 1}),
    ("g", {'q"t': True, "tab\there": None, "\\": 10**30, "a\\b": "text", "a\bb": 99}),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("where") / "index"
    first = Collection.of("c", [Document("z", "", "rose filler")])
    with Index.build(first, StubEncoder(), folder) as built:
        built.add([(Document(doc_id, f"title {doc_id}", f"rose word{doc_id}"), row) for doc_id, row in ROWS])
        yield built


def found(index: Index, where: str | Where, mode: Any = "dense") -> list[str]:
    return sorted(hit.doc_id for hit in index.search("rose worda", k=50, mode=mode, where=where))


@pytest.mark.parametrize(
    ("expression", "parameters", "expected"),
    [
        ("year > 2010", {}, "bc"),
        ("year >= :y AND lang = :l", {"y": 2010, "l": "en"}, "ac"),
        ("year > ?", [2015], "c"),
        ("lang IS NULL", {}, "defghz"),
        ("open", {}, "a"),
        ("NOT open", {}, "c"),
        ("\"odd name\" = 'x'", {}, "b"),
        ("doc_id IN ('a', 'e', 'nowhere')", {}, "ae"),
        ("text LIKE '%wordc%' OR text LIKE '%wordd%'", {}, "cd"),
        ("1 = 0", {}, ""),
        ("1 -- a comment", {}, "abcdefghz"),
        ("coalesce(year, 0) = 0", {}, "defghz"),
        ('"a.b" = 1 AND "2020" = 2 AND "$price" = 3 AND "[x]" = 4 AND "1st" = 5', {}, "d"),
        ("lang = 'case'", {}, ""),  # of the pair Case and case there is no word outside of a text
        ("lowercase = 1 OR year = 2010", {}, "ae"),
        ("key = 6", {}, "d"),
        ("key = 1", {}, ""),
        ('"q""t" = 1', {}, "fg"),
        ('[a\\b] = 0 OR "tick`y" = 8', {}, "f"),
        ('`tick``y` = 9 AND `q"t` = 1', {}, "f"),
        ('"\\" > 1e20', {}, "g"),
        ('"say ""x""" = \'["l",1]\'', {}, "f"),
        ("É = 1 AND é = 2", {}, "h"),  # SQLite folds ASCII alone
        ("É = 2 OR é = 1", {}, ""),
        ("n = :n", {"n": "a\0b"}, "h"),
        ("n = 'a'", {}, ""),
        ("length(n) = 3", {}, ""),  # SQLite counts up to the NUL
        ("doc_id = :title /* title */ OR doc_id = 'title'", {"title": "a"}, "a"),
        ('"of title" = 1', {}, "h"),
        ("text LIKE ')%' OR doc_id = 'a' /* ) */ -- )", {}, "a"),
    ],
)
def test_conditions(index: Index, expression: str, parameters: Any, expected: str) -> None:
    assert "".join(found(index, Where(expression, parameters))) == expected


@pytest.mark.parametrize("name", ESCAPED)
def test_a_column_of_any_name_is_found(index: Index, name: str) -> None:
    quoted = name.replace('"', '""')
    where = Where(f'"{quoted}" = :value', {"value": ESCAPED.index(name)})
    assert "f" in found(index, where)
    assert "a" not in found(index, where)


def test_every_mode_keeps_to_the_condition(index: Index) -> None:
    for mode in MODES:
        assert set(found(index, "lang = 'en'", mode)) <= {"a", "c"}
    assert [hit.doc_id for hit in index.more_like("a", where="year > 2010")] in (["b", "c"], ["c", "b"])


@pytest.mark.parametrize(
    "attack",
    [
        "1); DROP TABLE documents; --",
        "1) UNION SELECT key FROM removed; --",
        "key IN (SELECT key FROM removed)",
        "EXISTS (SELECT 1 FROM sqlite_master)",
        "EXISTS (SELECT 1 FROM state)",
        "load_extension('x')",
        "length(zeroblob(1000000000)) > 0",
        "length(randomblob(1000000000)) > 0",
        "EXISTS (SELECT 1 FROM pragma_database_list)",
        "key IN (WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r)",
        "EXISTS (SELECT * FROM json_each('[1]'))",
        "vectors IS NOT NULL",
        "1) UNION SELECT 'abc' WHERE (1",
        "1) UNION SELECT NULL WHERE (1",
        "$price = 3",
        "case = 8",  # Case and case are one name to SQL
    ],
)
def test_what_does_more_than_read_a_document_is_refused(index: Index, attack: str) -> None:
    with pytest.raises(InputError, match=r"^where .*\(columns: doc_id, title, text, "):
        found(index, attack)
    assert len(index) == 9
    assert index.check() == []


@pytest.mark.parametrize(
    ("expression", "parameters", "reason"),
    [
        ("yeer > 1", {}, "no such column: yeer"),
        ("rowid > 0", {}, "no such column: rowid"),
        ("year > 0 OR OID = 1", {}, "no such column: oid"),
        ('"yeer" > 1', {}, "no such column: yeer"),
        ('lang = "en"', {}, "no such column: en .a text goes in single quotes: 'en'."),
        ("year >", {}, "syntax error"),
        ("year > (SELECT min(year) FROM documents)", {}, "misuse of aggregate"),
        ("", {}, "syntax error"),
        ("year > :y", {}, "binding"),
        ("year > ?", [], "binding"),
        ("year > ?", [10**30], "too large"),
        ("year > :y", {"y": float("nan")}, "parameter y is nan, a finite number was expected"),
        ("year < ?", [float("inf")], "parameter 1 is inf, a finite number was expected"),
        ("year > 1; SELECT 1", {}, ""),
        ("year > 2000", {"form": 2010}, "does not name parameter form .:form., for which a value is given"),
        ("year > :y AND lang != ':z'", {"y": 1, "z": 2}, "does not name parameter z"),
    ],
)
def test_mistakes_are_told(index: Index, expression: str, parameters: Any, reason: str) -> None:
    with pytest.raises(InputError, match=rf"where .*{reason}.*\(columns: doc_id, title, text, "):
        found(index, Where(expression, parameters))


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.float32, np.float64])
def test_numbers_of_numpy_are_numbers(index: Index, kind: Any) -> None:
    """SQLite took them for bytes, which are above all: a condition held for every document, or for none."""
    low, high = kind(200), kind(2015) if kind != np.uint8 else kind(255)
    for expression in ("year > :low AND year <= :high * :one", "year BETWEEN :low AND :high * :one"):
        plain = {"low": low.item(), "high": high.item(), "one": 1}
        numpy = {"low": low, "high": high, "one": np.int64(1)}
        assert found(index, Where(expression, numpy)) == found(index, Where(expression, plain))
    assert found(index, Where("year IN (?, ?)", list(np.array([2010, 2015])))) == ["a", "b"]
    assert found(index, Where("lang = ? AND open = ?", [np.str_("en"), np.bool_(True)])) == ["a"]


@pytest.mark.parametrize("value", [
    b"en", bytearray(b"en"), memoryview(b"en"), date(2010, 1, 1), np.datetime64("2010-01-01"),
    np.arange(2), [1], Decimal(2010), object(),
])  # fmt: skip
def test_a_value_that_no_metadata_has_is_refused(value: Any) -> None:
    with pytest.raises(
        InputError, match=r"where: parameter y is .*, a text, a number, true or false or None"
    ):
        Where("year = :y", {"y": value})
    with pytest.raises(InputError, match="where: parameter 2 is "):
        Where("year BETWEEN ? AND ?", [1, value])


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("shell", [True, False])
def test_a_condition_at_work_is_interrupted(
    index: Index, number: signal.Signals, shell: bool, tmp_path: Path
) -> None:
    """SQLite made of it that the condition took too long, and the exit code was 2."""
    slow = f"(SELECT count(*) FROM {', '.join(f'documents d{place}' for place in range(12))}) > 0"
    if shell:
        asked = ["-m", "textrip", "search", str(index.folder), "rose", "--mode", "bm25", "--where", slow]
    else:
        code = "import sys; from textrip.retrieval.index import Index; Index.open(sys.argv[1])"
        asked = ["-c", f"{code}.search('rose', mode='bm25', where=sys.argv[2])", str(index.folder), slow]
    with subprocess.Popen([sys.executable, *asked], stderr=subprocess.PIPE, text=True) as process:
        time.sleep(5)  # it has begun by now, and has 30 seconds
        process.send_signal(number)
        _, said = process.communicate(timeout=25)
    if shell:
        assert process.returncode in {128 + number, -number}
    elif number == signal.SIGINT:
        assert said.rstrip().endswith("KeyboardInterrupt")
    assert "took longer" not in said


def test_few_documents_that_take_too_long_are_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was looked at every few thousand documents: 150 long ones ran for a minute."""
    documents = [Document(f"d{n}", "", "a" * 20_000) for n in range(50)]
    with Index.build(Collection.of("long", documents), StubEncoder(), tmp_path / "long") as long:
        monkeypatch.setattr(where_module, "_SECONDS", 0.05)
        with pytest.raises(InputError, match="took longer than 0 seconds"):
            found(long, f"text LIKE '%{'a' * 900}b%'")
        monkeypatch.setattr(where_module, "_SECONDS", 30.0)
        with pytest.raises(InputError, match="pattern too complex"):
            found(long, f"text LIKE '%{'a' * 1001}b%'")


def test_what_takes_too_long_is_stopped(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where_module, "_SECONDS", 0.05)
    slow = " + ".join(["length(replace(hex(printf('%.900000c', 'x')), '78', 'yyy'))"] * 40)
    monkeypatch.setattr(where_module, "_INSTRUCTIONS_A_LOOK", 10)
    with pytest.raises(InputError, match=r"took longer than 0 seconds"):
        found(index, f"{slow} > 0")


@pytest.mark.parametrize("named", ["title = 'title a'", '"TITLE" IS NULL', "[Title] = 'T'", "year OR title"])
def test_a_column_named_like_a_documents_own_is_told(index: Index, named: str) -> None:
    reason = r"the data's column 'Title' and every document's own 'title' are one name to SQL; rename it in"
    with pytest.raises(InputError, match=reason):
        found(index, named)


def test_of_many_columns_the_first_are_named(tmp_path: Path) -> None:
    with Index.build(Collection.of("c", [Document("z", "", "rose")]), StubEncoder(), tmp_path / "i") as many:
        many.add([(Document("a", "", "rose"), {**{f"c{n:04d}": n for n in range(4095)}, "a" * 9999: 1})])
        with pytest.raises(InputError, match=r"aaa\.\.\., c0000, .*, c0018 and 4,076 more\)$") as told:
            found(many, "nope = 1")
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("name", ["$a", ":a", "@a", "$a::b", ":a::é", "@🌷$"])
@pytest.mark.parametrize("other", ["99999", "'abc'", "key FROM documents"])
def test_a_parameter_whose_name_has_brackets_hides_none(index: Index, name: str, other: str) -> None:
    where = Where(f"{name}(') ) UNION SELECT {other} WHERE (')' IS NOT NULL", {f"{name[1:]}(')": 0})
    with pytest.raises(InputError, match=r"^where .*a parameter is :name or \?"):
        found(index, where)
