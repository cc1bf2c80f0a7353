"""The index: what was put in is found, as plain loops find it; damage and other encoders are refused."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rank_bm25

from tests.conftest import build_tiny_encoder
from tests.oracles import naive
from tests.retrieval.whole import (
    FILES,
    PROMPTS,
    QUERIES,
    answers,
    close,
    files_of,
    opened,
    place_of,
)
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.export import export_onnx
from textrip.encoding.onnx import OnnxEncoder
from textrip.errors import InputError, MismatchError, StorageError, TextripError
from textrip.files import write_sealed_json
from textrip.lexical.analyzer import Analyzer
from textrip.ranking import id_order
from textrip.records import Document, Hit
from textrip.retrieval import build as build_module
from textrip.retrieval.answer import MODES, Mode
from textrip.retrieval.index import Index
from textrip.retrieval.store_writer import StoreWriter


@contextmanager
def building(collection: Collection, encoder: Encoder, folder: Path, **how: Any) -> Iterator[Index]:
    index = Index.build(collection, encoder, folder, **how)
    try:
        yield index
    finally:
        index.close()


def naive_dense(collection: Collection, encoder: Encoder, query: str) -> list[tuple[int, float]]:
    (asked,) = encoder.encode([query], kind="query").tolist()
    scores = [
        sum(a * b for a, b in zip(asked, document, strict=True))
        for document in encoder.encode(collection.texts).tolist()
    ]
    order = id_order(collection.doc_ids).tolist()
    return [(row, scores[row]) for row in naive.top_k(scores, len(scores), order)]


def naive_bm25(collection: Collection, query: str) -> list[tuple[int, float]]:
    analyzer = Analyzer()
    corpus = [analyzer(text) for text in collection.texts]
    scores = rank_bm25.BM25Okapi(corpus).get_scores(analyzer(query)).round(9).tolist()
    order = id_order(collection.doc_ids).tolist()
    return [(row, scores[row]) for row in naive.top_k(scores, len(scores), order) if scores[row] > 0]


def naive_hybrid(collection: Collection, encoder: Encoder, query: str) -> list[tuple[int, float]]:
    """The plain loop breaks ties by place, so that it is handed each document's place among the ids."""
    order = id_order(collection.doc_ids).tolist()
    rankings = [
        [order[row] for row, _ in ranking]
        for ranking in (naive_dense(collection, encoder, query), naive_bm25(collection, query))
    ]
    return [(order.index(place), score) for place, score in naive.rrf(rankings, len(order))]


def require_equal(hits: Sequence[Hit], collection: Collection, expected: list[tuple[int, float]]) -> None:
    assert [hit.rank for hit in hits] == list(range(1, len(expected) + 1))
    assert [hit.doc_id for hit in hits] == [collection.doc_ids[row] for row, _ in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-5)
    for hit, (row, _) in zip(hits, expected, strict=True):
        assert (hit.title, hit.text) == (collection.corpus[row]["title"], collection.corpus[row]["text"])


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_equals_plain_loops(
    mode: Mode, built: Path, shuffled: Collection, encoder: Encoder
) -> None:
    def expected(query: str) -> list[tuple[int, float]]:
        if mode == "bm25":
            return naive_bm25(shuffled, query)
        loops = {"dense": naive_dense, "hybrid": naive_hybrid}
        return loops[mode](shuffled, encoder, query)

    with opened(built, encoder=encoder) as index:
        for query in QUERIES:
            require_equal(index.search(query, k=60, mode=mode), shuffled, expected(query))
            require_equal(index.search(query, k=7, mode=mode), shuffled, expected(query)[:7])
            require_equal(index.search(query, mode=mode), shuffled, expected(query)[:10])


def test_what_was_built_opens_and_answers_with_its_own_encoder(
    shuffled: Collection, encoder: Encoder, tmp_path: Path
) -> None:
    with building(shuffled, encoder, tmp_path / "deep" / "index") as index:
        assert len(index) == 60
        assert index.doc_ids == shuffled.doc_ids
        np.testing.assert_array_equal(index.vectors, encoder.encode(shuffled.texts))
        assert [stored.document.full_text for stored in index.store] == list(shuffled.texts)
        assert repr(index).endswith(f"60 documents, encoder {encoder.name!r})")
        now = [index.search_many(QUERIES, k=60, mode=mode) for mode in MODES]
    assert close(answers(tmp_path / "deep" / "index"), now)


def test_search_many_is_search_in_the_order_of_the_questions(built: Path, encoder: Encoder) -> None:
    with opened(built, encoder=encoder) as index:
        for mode in MODES:
            together = index.search_many([*QUERIES, QUERIES[0]], k=5, mode=mode)
            alone = [index.search(query, k=5, mode=mode) for query in [*QUERIES, QUERIES[0]]]
            assert [[hit.doc_id for hit in hits] for hits in together] == [
                [hit.doc_id for hit in hits] for hits in alone
            ]
            for some, others in zip(together, alone, strict=True):
                assert [hit.score for hit in some] == pytest.approx([hit.score for hit in others], abs=1e-6)
            assert index.search_many([], mode=mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_ties_stand_in_order_of_doc_id(mode: Mode, encoder: Encoder, tmp_path: Path) -> None:
    ids = ["b", "10", "c", "9", "a"]
    documents = [*(Document(doc_id, "", "rose tulip") for doc_id in ids), Document("z", "", "boat")]
    documents += [Document(f"filler{n}", "", f"{n}") for n in range(5)]  # so that a rose is no common word
    same = np.eye(32, dtype=np.float32)[[0] * 5 + [1] * 6]
    with building(Collection.of("ties", documents), encoder, tmp_path / "index", vectors=same) as index:
        found = [hit.doc_id for hit in index.search("rose", k=11, mode=mode)]
        assert [doc_id for doc_id in found if doc_id in ids] == ["10", "9", "a", "b", "c"]
        tied = [hit for hit in index.search("rose", k=11, mode="bm25") if hit.doc_id in ids]
        assert len({hit.score for hit in tied}) == 1


def test_ties_of_the_fusion_stand_in_order_of_doc_id(encoder: Encoder, tmp_path: Path) -> None:
    documents = [Document("b", "", "rose boat"), Document("a", "", "rose")]
    documents += [Document(f"filler{number}", "", f"{number}") for number in range(8)]
    asked = encoder.encode(["rose"], kind="query")
    vectors = np.concatenate([asked, asked, np.zeros((8, 32), dtype=np.float32)])
    vectors[1, np.abs(asked[0]).argmax()] = 0
    vectors[1] /= np.linalg.norm(vectors[1])
    with building(Collection.of("ties", documents), encoder, tmp_path / "index", vectors=vectors) as index:
        found = {mode: [hit.doc_id for hit in index.search("rose", k=2, mode=mode)] for mode in MODES}
    assert found == {"dense": ["b", "a"], "bm25": ["a", "b"], "hybrid": ["a", "b"]}


def test_k_beyond_the_documents_gives_what_there_is(built: Path, encoder: Encoder) -> None:
    with opened(built, encoder=encoder) as index:
        assert len(index.search("rose", k=10**6)) == 60
        assert len(index.search("rose", k=10**6, mode="hybrid")) == 60
        assert 0 < len(index.search("rose", k=10**6, mode="bm25")) < 60
        assert index.search("nowhere to be found", k=5, mode="bm25") == []
        assert len(index.search("nowhere to be found", k=5, mode="hybrid")) == 5


@pytest.mark.parametrize("query", ["", "  ", "\n\t\u3000"])
def test_a_blank_query_is_refused(query: str, built: Path, encoder: Encoder) -> None:
    with opened(built, encoder=encoder) as index:
        for mode in MODES:
            with pytest.raises(InputError, match=r"the query is blank; ask something"):
                index.search_many(["rose", query], mode=mode)


def test_what_comes_one_by_one_is_asked_too(built: Path, encoder: Encoder) -> None:
    asked = ["rose", "wave"]
    with opened(built, encoder=encoder) as index:
        assert index.search_many(iter(asked)) == index.search_many(asked)
        np.testing.assert_array_equal(encoder.encode(iter(asked)), encoder.encode(asked))


def test_what_cannot_be_asked_is_refused(built: Path, encoder: Encoder) -> None:
    with opened(built, encoder=encoder) as index:
        for k in (0, -1):
            with pytest.raises(InputError, match=rf"k is {k}, at least 1 was expected"):
                index.search("rose", k=k)
        with pytest.raises(InputError, match=r"mode is 'fuzzy', one of dense, bm25, hybrid was expected"):
            index.search("rose", mode="fuzzy")  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"queries is a string, a list of questions was expected"):
            index.search_many("rose")


@pytest.mark.parametrize("query", ["\0", "rose " * 10_000, "🌹", "\x1b[31m", "' OR 1=1; --", "a\u0301\u202e"])
def test_an_odd_query_is_answered(query: str, built: Path, encoder: Encoder) -> None:
    with opened(built, encoder=encoder) as index:
        for mode in MODES:
            hits = index.search(query, k=3, mode=mode)
            assert len(hits) == 3 or mode == "bm25"
            assert np.isfinite([hit.score for hit in hits]).all()


def test_a_lone_surrogate_is_answered_or_refused(built: Path, encoder: Encoder) -> None:
    with opened(built, encoder=encoder) as index:
        for mode in MODES:
            try:
                index.search("rose \udcff", mode=mode)
            except InputError as error:
                assert "UTF-8" in str(error) or "surrogate" in str(error)


def other_weights(folder: Path) -> Encoder:
    return Encoder.load(build_tiny_encoder(folder, prompts=PROMPTS, seed=1), device="cpu")


def other_prompts(folder: Path) -> Encoder:
    return Encoder.load(build_tiny_encoder(folder, prompts={"query": "rose : "}), device="cpu")


def other_length(folder: Path) -> Encoder:
    return Encoder.load(build_tiny_encoder(folder, prompts=PROMPTS), device="cpu", max_length_tokens=16)


def other_tokenizer(folder: Path) -> Encoder:
    """Two words have changed places in the vocabulary."""
    made = build_tiny_encoder(folder, prompts=PROMPTS)
    (path,) = made.rglob("tokenizer.json")
    told = json.loads(path.read_text())
    words = told["model"]["vocab"]
    words["rose"], words["wave"] = words["wave"], words["rose"]
    path.write_text(json.dumps(told))
    return Encoder.load(made, device="cpu")


@pytest.mark.parametrize("other", [other_weights, other_prompts, other_length, other_tokenizer])
def test_another_encoder_is_refused(
    other: Callable[[Path], Encoder], copy: Path, encoder: Encoder, tmp_path: Path
) -> None:
    given_one = other(tmp_path / "other")
    assert given_one.fingerprint != encoder.fingerprint
    wanted, found = encoder.fingerprint[:12], given_one.fingerprint[:12]
    message = rf"was built by encoder .*\({wanted}\), .* is another \({found}\): .* build the index again"
    with pytest.raises(MismatchError, match=message), opened(copy, encoder=given_one):
        pass
    # The same where the encoder inside the index was replaced.
    shutil.rmtree(copy / "encoder")
    given_one.save(copy / "encoder")
    with pytest.raises(InputError, match=r"does not match its digest"), opened(copy) as index:
        index.torch_encoder()
    shutil.rmtree(copy / "onnx")
    export_onnx(given_one, copy / "onnx")
    for mode in ("dense", "hybrid"):
        with pytest.raises(MismatchError), opened(copy) as index:
            index.search("rose", mode=mode)


def test_what_is_added_by_onnx_is_what_a_build_by_torch_has(
    shuffled: Collection, encoder: Encoder, built: Path, tmp_path: Path
) -> None:
    """A real encoder in two runtimes and other batches: the same up to its rounding."""
    first = replace(shuffled, corpus=shuffled.corpus.select(range(40)))
    rest = replace(shuffled, corpus=shuffled.corpus.select(range(40, 60)))
    Index.build(first, encoder, tmp_path / "index").close()
    with opened(tmp_path / "index") as index, opened(built) as whole:
        assert isinstance(index.encoder, OnnxEncoder)
        assert index.add(rest).added == 20
        assert index.doc_ids == whole.doc_ids
        np.testing.assert_allclose(index.vectors, whole.vectors, atol=2e-6)
        for one, other in zip(
            index.search_many(QUERIES, k=60), whole.search_many(QUERIES, k=60), strict=True
        ):
            assert {hit.doc_id: hit.score for hit in one} == pytest.approx(
                {hit.doc_id: hit.score for hit in other}, abs=5e-6
            )


def test_the_files_of_an_index_and_no_pickle_among_them(built: Path) -> None:
    assert files_of(built) == FILES
    for name in FILES:
        content = place_of(built, name).read_bytes()
        assert not content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK")), name
        if name.endswith(".npy"):
            np.load(place_of(built, name), allow_pickle=False)
    about = json.loads((built / "index.json").read_text(encoding="utf-8"))
    assert (about["kind"], about["format"], about["built_documents"]) == ("textrip-index", 2, 60)


@pytest.mark.parametrize(("name", "newest"), [("index.json", 2), ("onnx/onnx.json", 1)])
def test_a_newer_format_is_refused(name: str, newest: int, copy: Path) -> None:
    content = (copy / name).read_text(encoding="utf-8")
    (copy / name).write_text(
        content.replace(f'"format": {newest}', f'"format": {newest + 1}'), encoding="utf-8"
    )
    message = rf"{name}: has format {newest + 1}, this textrip reads up to {newest}; open it with the textrip"
    with pytest.raises(InputError, match=message), opened(copy) as index:
        index.search("rose")


def test_the_format_before_the_first_release_is_refused(tmp_path: Path) -> None:
    write_sealed_json(tmp_path / "index.json", {"kind": "textrip-index", "format": 1})
    with pytest.raises(InputError, match=r"has format 1, .*build it again with textrip index"):
        Index.open(tmp_path)


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such index; build one with textrip index"):
        Index.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"file: no such index"):
        Index.open(tmp_path / "file")
    for made, instead in (
        (None, f"textrip index {tmp_path} -o INDEX builds one where it holds data"),
        ("modules.json", f"it holds a model: textrip index DATA --model {tmp_path} -o INDEX builds one"),
        ("index/index.json", f"there is one in {tmp_path / 'index'}"),
    ):
        if made is not None:
            (tmp_path / made).parent.mkdir(exist_ok=True)
            (tmp_path / made).write_text("{}", encoding="utf-8")
        with pytest.raises(InputError) as refused:
            Index.open(tmp_path)
        assert str(refused.value) == f"{tmp_path}: is no index (it has no index.json); {instead}"
    (tmp_path / "index.json").write_text('{"kind": "textrip-report", "format": 1}', encoding="utf-8")
    with pytest.raises(InputError, match=r"index\.json: is not a textrip-index of textrip"):
        Index.open(tmp_path)


@pytest.mark.parametrize("reason", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_a_build_that_dies_goes_on_where_it_was(
    reason: type[BaseException],
    shuffled: Collection,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    remarks: list[str],
) -> None:
    real, windows = encoder._encode_window, []

    def dies_at_the_third(texts: list[str], *rest: Any) -> Any:
        windows.append(len(texts))
        if len(windows) == 3:
            raise reason
        return real(texts, *rest)

    monkeypatch.setattr(build_module, "_PASSAGES_A_CHUNK", 16)
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "_encode_window", dies_at_the_third)
        with pytest.raises(reason):
            Index.build(shuffled, encoder, tmp_path / "index")
    assert windows == [16, 16, 16]
    assert [path.name for path in tmp_path.iterdir()] == [".index.building"]
    assert remarks == [
        f"32 documents are kept in {tmp_path / '.index.building'}; the same command goes on from there"
    ]
    del windows[:]

    def counting(texts: list[str], *rest: Any) -> Any:
        windows.append(len(texts))
        return real(texts, *rest)

    monkeypatch.setattr(encoder, "_encode_window", counting)
    with building(shuffled, encoder, tmp_path / "index", onnx=False) as index:
        assert windows == [16, 12]  # no more than what was missing
        assert index.check() == []
        assert index.doc_ids == shuffled.doc_ids
        np.testing.assert_array_equal(index.vectors, encoder.encode(shuffled.texts))
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_an_index_that_is_there_stays_until_the_new_one_is_complete(
    shuffled: Collection, copy: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: place_of(copy, name).read_bytes() for name in files_of(copy)}

    def dies(folder: object) -> None:
        raise OSError(28, "No space left on device", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(encoder, "save", dies)
        with pytest.raises(TextripError, match=r"no space left on device"):
            Index.build(shuffled, encoder, copy, force=True)
    assert {name: place_of(copy, name).read_bytes() for name in files_of(copy)} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".copy.building", "copy"]


def test_a_full_disk_under_the_documents_is_told(
    shuffled: Collection, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = StoreWriter._connect

    def small(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 12")  # SQLite's own word for a disk that is full
        return connection

    monkeypatch.setattr(StoreWriter, "_connect", staticmethod(small))
    with pytest.raises(StorageError, match=r"documents\.sqlite: database or disk is full"):
        Index.build(shuffled, encoder, tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_without_force_and_replaced_with_it(
    copy: Path, encoder: Encoder, tmp_path: Path
) -> None:
    one = Collection.of("one", [Document("x", "", "rose")])
    (copy / "mine.txt").write_text("mine", encoding="utf-8")
    before = files_of(copy)
    with pytest.raises(InputError, match=r"copy exists; name another place or overwrite it with --force"):
        Index.build(one, encoder, copy)
    assert files_of(copy) == before
    with building(one, encoder, copy, force=True) as index:
        assert len(index) == 1
        assert [hit.doc_id for hit in index.search("rose")] == ["x"]
    assert files_of(copy) == FILES
    assert list(tmp_path.iterdir()) == [copy]


def test_a_moved_index_answers_the_same(copy: Path, tmp_path: Path, undamaged: list[list[list[Hit]]]) -> None:
    place = tmp_path / "else where" / "a?b#c%20 é"
    place.parent.mkdir()
    copy.rename(place)
    assert answers(place) == undamaged
    assert files_of(place) == FILES


def test_reading_writes_nothing(copy: Path, undamaged: list[list[list[Hit]]]) -> None:
    before = {name: place_of(copy, name).read_bytes() for name in files_of(copy)}
    assert answers(copy) == undamaged
    assert {name: place_of(copy, name).read_bytes() for name in files_of(copy)} == before


ODD_IDS = [
    "../x", "../../x", "/abs/olute", "C:\\x", "..", ".", " x ", "a\nb", "\x1b[31m", "\x01\x7f\u202e",
    "🌹👩‍👩‍👧", "é", "e\u0301", "x" * 1000, "%s'; DROP TABLE documents; --", "10", "9",
]  # fmt: skip


def test_odd_ids_come_back_equal_and_nothing_is_written_elsewhere(encoder: Encoder, tmp_path: Path) -> None:
    documents = [Document(doc_id, doc_id[:50], f"rose {doc_id}") for doc_id in ODD_IDS]
    place = tmp_path / "a" / "b" / "index"
    with building(Collection.of("../odd", documents), encoder, place) as index:
        assert index.doc_ids == ODD_IDS
        hits = index.search("rose", k=100)
        assert sorted(hit.doc_id for hit in hits) == sorted(ODD_IDS)
        for hit in hits:
            assert (hit.title, hit.text) == (hit.doc_id[:50], f"rose {hit.doc_id}")
        assert [stored.document for stored in index.store] == documents
    assert files_of(tmp_path) == [f"a/b/index/{name}" for name in FILES]


def test_an_empty_corpus_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the corpus is empty"):
        Index.build(Collection.of("none", []), encoder, tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_ids_twice_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    twice = Collection.of("twice", [Document("a", "", "rose"), Document("a", "", "tulip")])
    with pytest.raises(InputError, match=r"'a'"):
        Index.build(twice, encoder, tmp_path / "index")


@pytest.mark.parametrize("shape", [(59, 32), (61, 32), (60, 31)])
def test_vectors_that_do_not_fit_are_refused(
    shape: tuple[int, int], shuffled: Collection, encoder: Encoder, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"vectors"):
        Index.build(shuffled, encoder, tmp_path / "index", vectors=np.ones(shape, dtype=np.float32))


def test_one_document_and_the_analyzer_that_was_given(encoder: Encoder, tmp_path: Path) -> None:
    documents = [Document("a", "Roses", ""), Document("b", "", "boat"), Document("c", "", "wave")]
    collection = Collection.of("c", documents)
    with building(collection, encoder, tmp_path / "stemmed") as index:
        assert [hit.doc_id for hit in index.search("rose", mode="bm25")] == ["a"]
    exact = Analyzer(stemmer=None)
    with building(collection, encoder, tmp_path / "exact", analyzer=exact) as index:
        assert index.search("rose", mode="bm25") == []
        assert index.analyzer == exact
        assert [hit.doc_id for hit in index.search("ROSES", mode="bm25")] == ["a"]


def test_an_index_closes_its_file(built: Path) -> None:
    with Index.open(built, device="cpu") as index:
        assert len(index) == 60
    with pytest.raises(TextripError):
        list(index.store)


def test_a_search_reads_no_document_that_it_does_not_show(built: Path, encoder: Encoder) -> None:
    """A first search took all documents in the order of their keys, to see which are new."""
    with Index.open(built, encoder=encoder) as index:
        index.add([Document("new", "", "rose of another kind")])
        index.delete(["new"])
    asked: set[str] = set()
    with Index.open(built, encoder=encoder) as index, index.store._connections.use() as database:
        database.set_trace_callback(asked.add)
        for mode in MODES:
            index.search("rose", mode=mode, k=3)
        index.more_like(index.doc_ids[0])
        database.set_trace_callback(None)
        plans = {
            statement: [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for statement in asked
            if statement.startswith("SELECT")
        }
    assert any("documents_by_generation" in step for plan in plans.values() for step in plan)
    assert not [statement for statement, plan in plans.items() if "SCAN documents" in plan]
