"""Approximate searches find nearly all, with exact scores; a damaged file of FAISS is never read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.retrieval.stub import StubEncoder
from textrip.data.collection import Collection
from textrip.encoding import approximate as nearest_module
from textrip.encoding.approximate import KINDS, Kind, chosen
from textrip.errors import InputError
from textrip.records import Document
from textrip.retrieval.index import Index

N = 3000
APPROXIMATE: list[Kind] = ["hnsw", "int8", "binary"]


def clustered(n: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors around 100 centres, as texts are."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((100, 64))
    found = centres[draw.integers(0, 100, n)] + 0.7 * draw.standard_normal((n, 64))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


class Wide(StubEncoder):
    dimension = 64

    def encode(self, texts: Iterable[str], **_: Any) -> NDArray[np.float32]:
        return clustered(len(list(texts)), 99)


@pytest.fixture(scope="module")
def collection() -> Collection:
    return Collection.of("c", [Document(f"{n:04d}", "", f"word{n % 50}") for n in range(N)])


def build(collection: Collection, folder: Path, kind: Kind) -> Index:
    return Index.build(collection, Wide(), folder, vectors=clustered(N, 1), nearest=kind)


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_recall_and_exact_scores(kind: Kind, collection: Collection, tmp_path: Path) -> None:
    with build(collection, tmp_path / "index", kind) as index:
        assert index.recall(k=10, sample=100) >= 0.97
        queries = [f"q{n}" for n in range(30)]
        exact = index.search_many(queries, exact=True)
        found = index.search_many(queries)
        for one, other in zip(exact, found, strict=True):
            scores = {hit.doc_id: hit.score for hit in one}
            assert all(hit.score == scores[hit.doc_id] for hit in other if hit.doc_id in scores)
            assert [hit.score for hit in other] == sorted((hit.score for hit in other), reverse=True)
    with Index.open(tmp_path / "index", encoder=Wide()) as index:
        assert index.search_many(queries) == found
        assert index.check() == []


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_deleted_and_new_documents(kind: Kind, collection: Collection, tmp_path: Path) -> None:
    with build(collection, tmp_path / "index", kind) as index:
        best = index.search("q", k=5)
        before = index.store.generation
        with pytest.MonkeyPatch.context() as patch:  # nothing is derived anew
            patch.setattr(index, "_maintain", lambda changed: None)
            index.delete([hit.doc_id for hit in best[:3]])
            index.add([Document("new", "", "other")])
        assert index.store.generation == before + 2
        hits = index.search("q", k=N)
        assert len(hits) == N - 2
        ids = {hit.doc_id for hit in hits}
        assert "new" in ids
        assert not ids & {hit.doc_id for hit in best[:3]}
        assert index.search("q", k=1)[0].doc_id in {best[3].doc_id, "new"}
        (only,) = index.search("q", where="doc_id = '0007'")
        assert only.doc_id == "0007"


class ByText(Wide):
    """A text is a number: that row of some vectors."""

    def encode(self, texts: Iterable[str], **_: Any) -> NDArray[np.float32]:
        return clustered(6 * N, 1)[[int(text) for text in texts]]


def numbered(numbers: Sequence[int]) -> list[Document]:
    return [Document(f"{number:05d}", "", str(number)) for number in numbers]


def test_a_graph_is_extended(tmp_path: Path, remarks: list[str]) -> None:
    begun = Collection.of("c", numbered(range(N)))
    with Index.build(begun, ByText(), tmp_path / "index", nearest="hnsw") as index:
        assert remarks == ["building the graph of 3,000 vectors"]
        index.delete([f"{number:05d}" for number in range(200)])
        assert remarks[1:] == ["extending the graph, new vectors: 0"]
        index.add(numbered([*range(100), *range(N, N + 700)]))
        index.add([Document("02000", "", "9000")])  # in the place of another
        assert remarks[2:] == ["extending the graph, new vectors: 800", "extending the graph, new vectors: 1"]
        assert index.recall(k=10, sample=200) >= 0.98
        # Every document is found by its own vector, and none that is gone.
        there = sorted([*range(100), *range(200, 2000), *range(2001, N + 700)])
        hits = index.search_many([str(number) for number in there], k=1)
        assert [hit.doc_id for (hit,) in hits] == [f"{number:05d}" for number in there]
        assert [hit.doc_id for hit in index.search("9000", k=1)] == ["02000"]
        exact = index.search_many([str(number) for number in range(100, 300)], k=5, exact=True)
        found = index.search_many([str(number) for number in range(100, 300)], k=5)
        assert sum(one == other for one, other in zip(exact, found, strict=True)) >= 190
        assert index.check() == []
    with Index.open(tmp_path / "index", encoder=ByText()) as index:  # and by who opens it
        assert [hit.doc_id for hit in index.search("9000", k=1)] == ["02000"]
        index.rebuild()
        assert remarks[4:] == ["building the graph of 3,600 vectors"]


@pytest.mark.parametrize("reason", ["much is gone", "it has grown", "it is damaged", "it was none"])
def test_a_graph_is_built_anew(reason: str, tmp_path: Path, remarks: list[str]) -> None:
    kind: Kind = "int8" if reason == "it was none" else "hnsw"
    with Index.build(
        Collection.of("c", numbered(range(500))), ByText(), tmp_path / "index", nearest=kind
    ) as index:
        if reason == "much is gone":
            index.delete([f"{number:05d}" for number in range(101)])
        elif reason == "it has grown":
            index.add(numbered(range(500, 1000)))
            assert remarks.pop() == "extending the graph, new vectors: 500"
            index.add(numbered([1000]))
        else:
            if reason == "it is damaged":
                (path,) = (tmp_path / "index").glob("derived/*/nearest.faiss")
                content = bytearray(path.read_bytes())
                content[len(content) // 2] ^= 1
                path.write_bytes(content)
            index.add(numbered([500]))
        assert not [line for line in remarks if line.startswith("extending")]
        assert len([line for line in remarks if line.startswith("building the graph")]) == 2 * (
            kind == "hnsw"
        )
        assert index.recall(k=10, sample=100) >= 0.98


def graph_of_three(path: Path, places: list[int], rows: int) -> nearest_module.Approximate:
    import faiss  # after torch, where both are loaded

    index = faiss.IndexHNSWFlat(4, 4)
    index.add(np.eye(3, 4, dtype=np.float32))
    faiss.write_index(index, str(path))
    return nearest_module.Approximate(path, "hnsw", (rows, 4), places=np.asarray(places))


def test_what_is_gone_is_not_found(tmp_path: Path) -> None:
    graph = graph_of_three(tmp_path / "index.faiss", [0, -1, -1], 1)
    assert sorted(graph.candidates(np.ones((1, 4), np.float32), 1)[0]) == [-1, -1, 0]


@pytest.mark.parametrize("places", [[0, 1, 5], [0, 0, 1]])
def test_places_of_a_stranger(places: list[int], tmp_path: Path) -> None:
    graph = graph_of_three(tmp_path / "index.faiss", places, 2)
    with pytest.raises(InputError, match="its nodes are no places of vectors"):
        graph.candidates(np.ones((1, 4), np.float32), 1)


def test_a_share_of_the_memory(collection: Collection, tmp_path: Path) -> None:
    sizes = {}
    for kind in KINDS[1:]:
        with build(collection, tmp_path / kind, kind) as index:
            held = index.folder.glob("derived/*/nearest.faiss")
            sizes[kind] = sum(path.stat().st_size for path in held)
    floats = N * 64 * 4
    assert sizes["exact"] == 0
    assert sizes["int8"] < floats / 3.5
    assert sizes["binary"] < floats / 25


def test_auto_goes_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen("auto", nearest_module.EXACT_UP_TO) == "exact"
    assert chosen("auto", nearest_module.EXACT_UP_TO + 1) == "hnsw"
    assert chosen("binary", 1) == "binary"
    with pytest.raises(InputError, match=r"nearest is 'fuzzy', one of auto, exact, hnsw, int8, binary"):
        chosen("fuzzy", 1)  # type: ignore[arg-type]


def test_a_damaged_file_is_never_read(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with build(collection, tmp_path / "index", "hnsw") as index:
        expected = index.search("q")
    (path,) = (tmp_path / "index").glob("derived/*/nearest.faiss")
    content = bytearray(path.read_bytes())
    draw = np.random.default_rng(0)
    opened: list[str] = []
    real = nearest_module.Approximate._read

    def watching(self: nearest_module.Approximate, **how: bool) -> object:
        opened.append(str(self._path))
        return real(self, **how)

    monkeypatch.setattr(nearest_module.Approximate, "_read", watching)
    for _ in range(10):
        damaged = bytearray(content)
        damaged[draw.integers(0, len(content))] ^= 1 << int(draw.integers(0, 8))
        path.write_bytes(damaged)
        with Index.open(tmp_path / "index", encoder=Wide()) as index:
            assert index.search("q")[0] == expected[0]
            assert str(path) not in opened
    path.write_bytes(content)
    with Index.open(tmp_path / "index", encoder=Wide()) as index:
        assert index.search("q") == expected
        assert str(path) in opened  # so that it would have been seen


def test_no_part_of_a_file_may_be_larger_than_the_file(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAISS takes memory for as much as a forged length says, before it reads."""
    with build(collection, tmp_path / "index", "int8"):
        pass
    (path,) = (tmp_path / "index").glob("derived/*/nearest.faiss")
    limits: list[int] = []
    monkeypatch.setattr(faiss, "set_deserialization_vector_byte_limit", limits.append)
    nearest_module.Approximate(path, "int8", (N, 64)).candidates(np.ones((1, 64), np.float32), 1)
    assert limits
    assert max(limits) <= path.stat().st_size + 4096


def test_a_file_of_another_shape_is_refused(collection: Collection, tmp_path: Path) -> None:
    with build(collection, tmp_path / "index", "int8"):
        pass
    (path,) = (tmp_path / "index").glob("derived/*/nearest.faiss")
    for shape in ((N + 1, 64), (N, 65)):
        with pytest.raises(InputError, match=r"holds .*was expected; build the index again"):
            nearest_module.Approximate(path, "int8", shape).candidates(np.ones((1, 64), np.float32), 1)
    path.write_bytes(b"nothing of FAISS")
    with pytest.raises(InputError, match=r"nearest\.faiss: .*; build the index again"):
        nearest_module.Approximate(path, "int8", (N, 64)).candidates(np.ones((1, 64), np.float32), 1)
