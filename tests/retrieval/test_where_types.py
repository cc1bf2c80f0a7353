"""A text that is compared with a number is said."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.retrieval.stub import StubEncoder
from textrip import progress
from textrip.data.collection import Collection
from textrip.records import Document
from textrip.retrieval.index import Index
from textrip.retrieval.where import Where

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("a", {"year": "1999", "zip": 12345, "lang": "en", "n": 1, "odd name": "1e3", "done": True}),
    (
        "b",
        {
            "year": "2001",
            "zip": "01234",
            "lang": "de",
            "n": 2,
            "day": "2027-01-31",
            "done": False,
            "mixed": 7,
        },
    ),
    ("c", {"zip": 99999, "lang": "nan", "n": 3, "day": "2026-11-30", "mixed": "none"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("types") / "index"
    first = Collection.of("c", [Document("z", "", "rose filler")])
    with Index.build(first, StubEncoder(), folder) as built:
        built.add([(Document(doc_id, "", f"rose word{doc_id}"), row) for doc_id, row in ROWS])
        yield built


def answer(index: Index, where: str | Where) -> tuple[list[str], list[str]]:
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        hits = index.search_many(["rose", "worda"], k=9, where=where)
    assert len(hits) == 2
    return sorted(hit.doc_id for hit in hits[0]), said


ABOVE = "and to SQL every text is above every number: compare CAST"
YEAR = f"where: year has texts that are written as numbers ('1999'), {ABOVE}(year AS REAL)"
ODD = f"where: odd name has texts that are written as numbers ('1e3'), {ABOVE}(\"odd name\" AS REAL)"
QUOTED = "and to SQL every text is above every number: compare with a text, in quotes"
DAY = f"where: day has texts ('2027-01-31'), {QUOTED}"
DONE = "where: done has 1; true and false are 1 and 0 to SQL: compare with these"
UNEQUAL = "and to SQL no number equals a text: compare with a number, or CAST"
ZIP = f"where: zip has numbers (12345), {UNEQUAL}(zip AS TEXT)"


@pytest.mark.parametrize(("where", "ids", "remark"), [
    ("year > 2000", "ab", YEAR), ("year < 2000", "", YEAR), ("2000 <= YEAR", "ab", YEAR),
    ("year BETWEEN 1990 AND 2000", "", YEAR), ("year in (1999, 2001)", "", YEAR),
    (Where("year > :y", {"y": 2000}), "ab", YEAR), ("year > 2000 OR year < 1990", "ab", YEAR),
    ('"odd name" = 1000', "", ODD), ("zip = '12345'", "", ZIP),
    (Where("zip = :z AND lang = 'en'", {"z": "12345"}), "", ZIP),
    ("[year] > 2000", "ab", YEAR), ("`year` > 2000", "ab", YEAR), ("year NOT IN (1999)", "ab", YEAR),
    ("year NOT BETWEEN 1 AND 5", "ab", YEAR), ("year IS 1999", "", YEAR), ("year = - 5", "", YEAR),
    (Where("n > ? AND year > ?", [0, 2000]), "ab", YEAR), ("(year) IS NULL OR year>2000", "abcz", YEAR),
    ("year > 2000 + 0 * 1", "ab", YEAR), ("lang > 1", "abc", f"where: lang has texts ('en'), {QUOTED}"),
    ("day > 2027-01-01", "bc", DAY), (Where("day > :d", {"d": 2027}), "bc", DAY),
    ("day BETWEEN 2026-12-01 AND 2027-12-31", "", DAY), ("done = 'true'", "", DONE),
    ("done != 'FALSE'", "ab", DONE),
])  # fmt: skip
def test_a_text_against_a_number_is_said_once(
    where: str | Where, ids: str, remark: str, index: Index
) -> None:
    assert answer(index, where) == (list(ids), [remark])


@pytest.mark.parametrize(("where", "ids"), [
    ("CAST(year AS REAL) > 2000", "b"), ("CAST(\"odd name\" AS REAL) = 1000", "a"),
    ("CAST(zip AS TEXT) = '12345'", "a"), ("n > 1", "bc"), ("lang = 'en'", "a"),
    ("year = '1999'", "a"), ("n = 1 AND year = '1999'", "a"), ("lang = 'year > 1'", ""),
    (Where("n = :n AND lang = :l", {"n": 1, "l": "en"}), "a"), ("text LIKE '%year > 1999%'", ""),
    ("instr(text, 'year > 1999')", ""), ("/* year > 5 */ n = 1", "a"), ("n = 1 -- AND year > 1", "a"),
    ("1999 < year + 0", "b"), ("0 + year > 2000", "b"), ("-year > 5", ""), ("'x' || year > 5", "ab"),
    ("typeof(year) = 'integer' AND year > 5", ""), ("zip IN ('12345', 12345)", "a"),
    ("zip = '12344' + 1", "a"),
    ("n > 2027-2025", "c"), ("day > '2026-12'", "b"), ("day > 2026 || '-12'", "b"), ("done = 1", "a"),
    ("NOT done", "b"), ("n = 'true'", ""), ("mixed > 5", "bc"), (f"instr(text, '{'0' * 100_000}')", ""),
    (Where("year = :y", {"y": None}), ""), ("doc_id = '1'", ""),
])  # fmt: skip
def test_what_is_as_it_was_meant_is_not_remarked(where: str | Where, ids: str, index: Index) -> None:
    assert answer(index, where) == (list(ids), [])
