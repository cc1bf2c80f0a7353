"""A corpus that goes to a file is the corpus that stays in memory, and leaves no file behind."""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from textrip.data import spill
from textrip.data.formats import read
from textrip.errors import InputError


def test_a_large_corpus_is_memory_mapped_and_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"_id": f"{n}", "title": "t", "text": f"text {n} " * 40, "year": n} for n in range(500)]
    rows += [rows[3]]  # the same row again is kept once
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    in_memory = read(path)
    places = tmp_path / "temporary"
    places.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(places))
    monkeypatch.setattr(spill, "ROWS_A_BATCH", 16)
    monkeypatch.setattr(spill, "MOST_BYTES", 10_000)
    before = pa.total_allocated_bytes()
    opened: list[str] = []
    real = pa.memory_map

    def watching(name: str) -> pa.NativeFile:
        opened.append(name)
        return real(name)

    monkeypatch.setattr(pa, "memory_map", watching)
    mapped = read(path)
    assert len(opened) == 1
    assert list(places.iterdir()) == []
    assert pa.total_allocated_bytes() - before < 3 * 500 * 360
    assert mapped.corpus[:] == in_memory.corpus[:]
    assert mapped.fingerprint == in_memory.fingerprint
    assert list(mapped.texts) == list(in_memory.texts)


def test_a_mistake_in_a_large_corpus_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(spill, "ROWS_A_BATCH", 2)
    monkeypatch.setattr(spill, "MOST_BYTES", 10)
    path = tmp_path / "c.jsonl"
    path.write_text('{"_id": "1", "text": "a"}\n' * 9 + "oops\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.jsonl:10: not JSON"):
        read(path)
    assert list((tmp_path / "t").iterdir()) == []
