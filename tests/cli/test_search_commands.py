"""`textrip search`, `add`, `delete` and `index` as they are typed, and what a search loads."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from tests.conftest import build_cross_encoder, build_tiny_encoder
from tests.running import Run
from textrip.cli.report import print_hits
from textrip.data.formats import read
from textrip.encoding.encoder import Encoder
from textrip.lexical.analyzer import Analyzer
from textrip.mining import scoring
from textrip.records import Hit
from textrip.retrieval.index import Index

ROWS = [
    {"id": "a", "title": "Garden", "text": "rose tulip soil", "year": 2010},
    {"id": "b", "title": "Sea", "text": "boat harbour tide", "year": 2015},
    {"id": "c", "title": "Music", "text": "violin chord rose", "year": 2020},
]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def index(tiny_encoder_folder: Path, tmp_path: Path, textrip: Run) -> Path:
    data = jsonl(tmp_path / "d.jsonl", ROWS)
    done = textrip("index", data, "-o", tmp_path / "index", "--model", tiny_encoder_folder)
    assert done.code == 0, done.err
    return tmp_path / "index"


def ids(done: Any) -> list[str]:
    return [line["doc_id"] for line in done.json_lines()]


def test_conditions_and_parameters(index: Path, textrip: Run) -> None:
    assert sorted(ids(textrip("search", index, "rose", "--where", "year > 2012", "--json"))) == ["b", "c"]
    found = textrip(
        "search", index, "rose", "--where", "year > :y", "--param", "y=2015", "--json"
    ).json_lines()
    assert [(line["doc_id"], line["metadata"]) for line in found] == [("c", {"year": 2020})]
    named = ("--where", "title = :t", "--param", "t=Sea")
    assert ids(textrip("search", index, "rose", *named, "--mode", "hybrid", "--json")) == ["b"]
    bad = textrip("search", index, "rose", "--where", "nope = 1")
    assert (bad.code, bad.out) == (2, "")
    assert "no such column: nope (columns: doc_id, title, text, year)" in bad.err
    assert textrip("search", index, "rose", "--param", "y=1").code == 2
    assert textrip("search", index, "rose", "--where", "1", "--param", "y").code == 2
    for value in ("NaN", "-Infinity", "1e999"):
        refused = textrip("search", index, "rose", "--where", "year > :y", "--param", f"y={value}")
        assert (refused.code, refused.out) == (2, "")
        assert "parameter y is " in refused.err


def test_like_a_document(index: Path, textrip: Run) -> None:
    alike = textrip("search", index, "--like", "a", "--json")
    assert sorted(ids(alike)) == ["b", "c"]
    assert [(line["like"], "query" in line) for line in alike.json_lines()] == [("a", False)] * 2
    assert textrip("search", index, "--like", "a").out.count("[") == 2
    for wrong in (["--like", "nope"], ["q", "--like", "a"], [], ["--like", "a", "--mode", "bm25"]):
        done = textrip("search", index, *wrong)
        assert (done.code, done.out) == (2, ""), wrong


def test_rerank_by_a_cross_encoder(
    index: Path, tiny_encoder_folder: Path, tmp_path: Path, textrip: Run
) -> None:
    """Its scores, worked out by the library itself, are the order and are shown."""
    folder = build_cross_encoder(tiny_encoder_folder, tmp_path / "cross")
    pairs = [("rose", f"{row['title']}\n{row['text']}") for row in ROWS]
    scores = CrossEncoder(str(folder), device="cpu").predict(pairs)
    by_id = dict(zip("abc", scores.tolist(), strict=True))
    found = textrip("search", index, "rose", "--rerank", folder, "--json").json_lines()
    assert [line["doc_id"] for line in found] == sorted(by_id, key=by_id.__getitem__, reverse=True)
    assert [line["score"] for line in found] == pytest.approx(
        [by_id[line["doc_id"]] for line in found], abs=1e-5
    )
    assert [line["rank"] for line in found] == [1, 2, 3]


class Counting:
    """A scorer that keeps how many texts it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def fresh(self) -> "Counting":
        return self

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        self.given.append(len(texts))
        return np.zeros(len(pairs), dtype=np.float32)


def test_so_many_as_asked_are_scored_again(
    index: Path, textrip: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Counting()
    monkeypatch.setattr(scoring, "load_scorer", lambda *_, **__: scorer)
    search = ("search", index, "rose", "--rerank", "any", "--json", "-k")
    for k, depth in ((1, ["--rerank-depth", "1"]), (1, ["--rerank-depth", "2"]), (1, []), (60, [])):
        assert textrip(*search, k, *depth).code == 0  # a depth that was not typed is -k's, where that is more
    assert scorer.given == [1, 2, 3, 3]


def test_rerank_by_another_encoder(index: Path, tiny_encoder_folder: Path, textrip: Run) -> None:
    done = textrip("search", index, "rose", "--rerank", tiny_encoder_folder, "-k", "2", "--json")
    assert [line["rank"] for line in done.json_lines()] == [1, 2]
    assert textrip("search", index, "rose", "--rerank", "no/such/model").code == 2


def test_add_and_delete(index: Path, tmp_path: Path, textrip: Run) -> None:
    more = jsonl(
        tmp_path / "more.jsonl", [ROWS[0], {**ROWS[1], "text": "zeppelin"}, {"id": "d", "text": "oven"}]
    )
    assert textrip("add", index, more, "--json").json_lines() == [
        {"added": 1, "replaced": 1, "unchanged": 1, "documents": 4}
    ]
    assert ids(textrip("search", index, "zeppelin", "--mode", "bm25", "--json")) == ["b"]
    refused = textrip("delete", index, "b", "nope")
    assert refused.code == 2
    assert "has no document 'nope' (1 of 2 ids are missing); nothing was deleted" in refused.err
    assert textrip("delete", index, "b", "nope", "--missing-ok", "--json").json_lines() == [
        {"removed": 1, "missing": 1, "documents": 3}
    ]
    assert textrip("delete", index, "-", stdin="a\nd\n").out == "removed: 2\nmissing: 0\ndocuments: 1\n"
    last = textrip("delete", index, "c")
    assert last.code == 2
    assert "nothing would be left" in last.err
    assert ids(textrip("search", index, "rose", "--json")) == ["c"]
    assert textrip("index", index, "--check").out == f"{index}: whole, 1 documents\n"


def test_bad_additions_change_nothing(index: Path, tmp_path: Path, textrip: Run) -> None:
    for content in ("", "{", '{"id": "x"}\n'):
        (tmp_path / "bad.jsonl").write_text(content, encoding="utf-8")
        assert textrip("add", index, tmp_path / "bad.jsonl").code == 2
    assert textrip("add", index, tmp_path / "none.jsonl").code == 2
    assert textrip("add", tmp_path / "none", tmp_path / "d.jsonl").code == 2
    assert len(ids(textrip("search", index, "rose", "--json"))) == 3


def test_check_and_rebuild(index: Path, textrip: Run) -> None:
    assert textrip("index", index, "--check", "--json").json_lines() == [{"documents": 3, "problems": 0}]
    (vectors,) = index.glob("derived/*/vectors.npy")
    content = vectors.read_bytes()
    vectors.write_bytes(content[:-1] + b"x")
    broken = textrip("index", index, "--check")
    assert broken.code == 2
    assert "vectors.npy: does not match its digest" in broken.err
    assert "--rebuild makes it again" in broken.err
    assert textrip("index", index, "--rebuild").code == 0
    assert textrip("index", index, "--check").code == 0
    assert textrip("index", index).code == 2  # where to?


def test_options_of_index(tiny_encoder_folder: Path, tmp_path: Path, beir_folder: Path, textrip: Run) -> None:
    common = ["index", beir_folder, "--model", tiny_encoder_folder, "--json", "-o"]
    made = textrip(*common, tmp_path / "a", "--nearest", "hnsw", "--recall", "--tune-hybrid").json_lines()
    assert made[0]["recall@10"] >= 0.99
    assert "tuned on tiny, split dev, 8 queries" in made[0]["hybrid"]
    about = json.loads((tmp_path / "a" / "index.json").read_text(encoding="utf-8"))
    assert about["recall"]["recall@10"] == made[0]["recall@10"]
    assert about["fusion"]["queries"] == 8
    done = textrip(*common, tmp_path / "b", "--passages", "8", "--overlap", "2", "--backend", "onnx-int8")
    assert done.code == 0, done.err
    found = textrip("search", tmp_path / "b", "rose tulip", "--json").json_lines()
    assert any("passage" in line for line in found)
    for wrong in (["--nearest", "magic"], ["--passages", "3"], ["--backend", "jax"], ["--passages", "500"]):
        done = textrip(*common, tmp_path / "c", *wrong)
        assert (done.code, done.out) == (2, ""), wrong
        assert not (tmp_path / "c").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_search_loads_neither_torch_nor_what_comes_with_it_and_asks_no_network(index: Path) -> None:
    program = """
import socket, sys
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
for name in ("torch", "transformers", "sentence_transformers", "datasets", "pyarrow", "scipy", "sklearn",
             "pandas", "faiss", "onnx", "numba", "rank_bm25", "rich"):
    sys.modules[name] = None  # an import of it fails
from textrip.cli.main import app
sys.argv = ["textrip", *sys.argv[1:]]
app()
"""
    for options in ([], ["--mode", "hybrid"], ["--mode", "bm25"], ["--where", "year > 2012"]):
        done = subprocess.run(
            [sys.executable, "-c", program, "search", str(index), "rose", *options],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "rose" in done.stdout
        assert done.stderr == ""


def test_an_index_without_onnx_searches_by_torch(
    index: Path, tiny_encoder: Encoder, tmp_path: Path, textrip: Run
) -> None:
    expected = ids(textrip("search", index, "rose", "--json"))
    assert ids(textrip("search", index, "rose", "--device", "cpu", "--json")) == expected
    by_torch = tmp_path / "by torch"
    Index.build(read(tmp_path / "d.jsonl"), tiny_encoder, by_torch, onnx=False).close()
    assert not (by_torch / "onnx").exists()
    assert ids(textrip("search", by_torch, "rose", "--json")) == expected
    shutil.rmtree(by_torch / "encoder")
    lost = textrip("search", by_torch, "rose")
    assert lost.code == 2
    assert f"{by_torch / 'encoder'}" in lost.err


def test_an_index_that_lost_its_onnx_is_refused(index: Path, textrip: Run) -> None:
    shutil.rmtree(index / "onnx")
    gone = textrip("search", index, "rose")
    assert gone.code == 2
    assert "onnx.json: no such file or directory" in gone.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_index_is_searched(index: Path, textrip: Run) -> None:
    for path in [index, *index.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(ids(textrip("search", index, "rose", "--json"))) == 3
        refused = textrip("delete", index, "a")
        assert refused.code == 2
        assert "documents.sqlite: " in refused.err
    finally:
        for path in [index, *index.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_title_is_not_shown_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """The first passage of a long document begins with its title, which stands above."""
    for title, text, passage, shown in (
        ("On roses", "They grow. More.", "On roses They grow.", "They grow."),
        ("Go", "It is small. Good programmers test.", "Good programmers test.", "Good programmers test."),
        ("Algae", "They live. Algae also die.", "Algae also die.", "Algae also die."),
        ("Algae", "Algae also die. They live.", None, "Algae also die. They live."),
    ):
        print_hits([Hit(1, "d1", 0.5, title, text, metadata={}, passage=passage)], "grow", Analyzer())
        assert capsys.readouterr().out.splitlines() == [f"  1  0.500  {title}  [d1]", f"            {shown}"]


def test_an_index_is_data_for_one_of_another_encoder(
    textrip: Run, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """What was added to it was in no file any more, and a new model took it away."""
    rows = [{"id": f"d{n}", "title": f"t{n}", "text": f"rose {n}", "year": 2000 + n} for n in range(6)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:4]))
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[4:]))
    old, new, model = tmp_path / "old", tmp_path / "new", build_tiny_encoder(tmp_path / "other", seed=5)
    common = ["--model", tiny_encoder_folder, "--stemmer", "german", "--passages", 8]
    done = textrip("index", tmp_path / "data.jsonl", "-o", old, *common)
    assert done.code == 0, done.err
    assert textrip("add", old, tmp_path / "more.jsonl").code == 0
    assert textrip("delete", old, "d1").code == 0
    done = textrip("index", old, "-o", new, "--model", model)
    assert done.code == 0, done.err
    for what in ("--passages 8 --overlap 2", "--stemmer german"):
        assert f"{old} has {what}, and this one has not\n" in done.err
    assert done.err.count("this one has not") == 2
    with Index.open(old) as before, Index.open(new) as after:
        assert after.doc_ids == before.doc_ids == ["d0", "d2", "d3", "d4", "d5"]
        assert after.encoder.fingerprint != before.encoder.fingerprint
        for index in (before, after):
            hits = {hit.doc_id: (hit.title, hit.text, hit.metadata) for hit in index.search("rose", k=9)}
            assert hits == {
                row["id"]: (row["title"], row["text"], {"year": row["year"]})
                for row in rows
                if row["id"] != "d1"
            }
        assert [hit.doc_id for hit in after.search("rose", where="year > 2004")] == ["d5"]
    over = textrip("index", old, "-o", old, "--model", model, "--force")
    assert (over.code, over.err) == (
        2,
        f"Error: {old} would be replaced, and {old} is read; name another place\n",
    )
    tuned = textrip("index", old, "-o", tmp_path / "x", "--tune-hybrid")
    assert "is an index, which has no questions: --tune-hybrid has nothing to do" in tuned.err
    tuned = textrip("index", old, "-o", tmp_path / "x", "--tune-hybrid")
    assert "is an index, which has no questions: --tune-hybrid has nothing to do" in tuned.err
    named = textrip("index", old, "-o", tmp_path / "x", "--text-column", "text")
    assert "is an index, which has its columns: --text-column has nothing to do" in named.err
