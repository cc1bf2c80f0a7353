"""Files that were good and then went wrong somewhere: read, or refused in one line that names the file."""

import gzip
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.errors import TextripError
from textrip.mining.mine import mine
from textrip.mining.triples import Triples
from textrip.mining.verdicts import Verdicts

Rows = list[dict[str, object]]
ROWS: Rows = [
    {"_id": "1", "title": "Rösen 🌹", "text": 'How to prune, "and" when,\nin two lines', "year": 2010},
    {"_id": "2", "title": "", "text": "Boats\tand tides", "year": None},
    {"_id": "3", "title": "x", "text": "An oven, flour and butter", "year": 2020.5},
]
PAIRS: Rows = [
    {"query": "roses", "positive": "How to prune", "negative": "Boats", "score": 1},
    {"query": "boats", "positive": "Boats and tides", "negative": "An oven", "score": 2},
]


def jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv(rows: Rows, comma: str) -> bytes:
    def cell(value: object) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"'

    lines = [comma.join(rows[0]), *(comma.join(map(cell, row.values())) for row in rows)]
    return ("\r\n".join(lines) + "\r\n").encode()


def parquet(rows: Rows) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: [str(row[name]) for row in rows] for name in rows[0]}), sink)
    found: bytes = sink.getvalue().to_pybytes()
    return found


FILES = {
    "documents.jsonl": jsonl(ROWS),
    "documents.csv": csv(ROWS, ","),
    "documents.tsv": csv(ROWS, "\t"),
    "documents.parquet": parquet(ROWS),
    "documents.jsonl.gz": gzip.compress(jsonl(ROWS), mtime=0),
    "documents.jsonl.zst": zstandard.compress(jsonl(ROWS)),
    "pairs.jsonl": jsonl(PAIRS),
    "pairs.csv": csv(PAIRS, ","),
}
BEIR = {
    "corpus.jsonl": jsonl(ROWS),
    "queries.jsonl": jsonl([{"_id": "q1", "text": "roses"}, {"_id": "q2", "text": "boats"}]),
    "qrels/train.tsv": b"query-id\tcorpus-id\tscore\nq1\t1\t1\nq2\t2\t2\n",
    "qrels/test.tsv": b"query-id\tcorpus-id\tscore\nq2\t3\t1\n",
}


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to three changes: a byte, a cut, bytes put in, a part twice or left out, two lines swapped."""
    for _ in range(draw.randrange(1, 4)):
        place, length = draw.randrange(len(content) + 1), draw.randrange(1, 40)
        change = draw.choice(["byte", "cut", "noise", "odd", "twice", "gone", "swap"])
        if change == "byte" and place < len(content):
            content = content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
        elif change == "cut":
            content = content[:place]
        elif change == "noise":
            content = content[:place] + draw.randbytes(length) + content[place:]
        elif change == "odd":
            odd = draw.choice(
                [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"\\ud800", b"NaN", b"[" * 500]
            )
            content = content[:place] + odd + content[place:]
        elif change == "twice":
            content = content[:place] + content[max(0, place - length) :]
        elif change == "gone":
            content = content[:place] + content[place + length :]
        else:
            lines = content.split(b"\n")
            draw.shuffle(lines)
            content = b"\n".join(lines)
    return content


def require_read_or_refused(path: Path, reading: Callable[[Path], object]) -> bool:
    """Whether it was read; refused is one line that names a file below `path`, and neither takes long."""
    began = time.monotonic()
    try:
        reading(path)
    except TextripError as error:
        assert str(path) in str(error), str(error)
        assert "\n" not in str(error), str(error)
        return False
    finally:
        assert time.monotonic() - began < 20
    return True


def run(count: int, seed: int, folder: Path, triples: dict[str, bytes]) -> tuple[int, int]:
    """How many were read and how many refused."""
    draw, refused = random.Random(seed), 0
    kinds: dict[str, tuple[dict[str, bytes], Callable[[Path], object]]] = {
        "file": (FILES, read),
        "triples": (triples, Triples.read),
        "verdicts": ({"v.jsonl": VERDICTS}, Verdicts.read),
    }
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        kind = draw.choice(["file", "file", "beir", "triples", "verdicts"])
        try:
            if kind == "beir":
                name = draw.choice(list(BEIR))
                for part, content in BEIR.items():
                    (place / part).parent.mkdir(exist_ok=True)
                    (place / part).write_bytes(mutated(content, draw) if part == name else content)
                well = require_read_or_refused(place, read)
            else:
                source, reading = kinds[kind]
                name = draw.choice(list(source))
                (place / name).write_bytes(mutated(source[name], draw))
                well = require_read_or_refused(place / name, reading)
        except Exception as error:
            raise AssertionError(f"input {number} of seed {seed}, {kind} {name}: {error!r}") from error
        refused += not well
    return count - refused, refused


VERDICTS = jsonl(
    [
        {"query_id": "q1", "doc_id": "2", "verdict": "reject"},
        {"query_id": "q2", "doc_id": "1", "verdict": "accept"},
    ]
)


@pytest.fixture
def triples(tiny_collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("triples") / "t.parquet"
    mine(tiny_collection).write(path)
    return {"t.parquet": path.read_bytes()}


@pytest.mark.parametrize(
    "count", [3000, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_mutated_files(count: int, tmp_path: Path, triples: dict[str, bytes]) -> None:
    well, refused = run(count, count, tmp_path, triples)
    assert well > count / 20
    assert refused > count / 5
