"""Long documents are found by their best passage, wherever it stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace

from tests.conftest import build_tiny_encoder
from tests.retrieval.stub import StubEncoder, text_of
from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.records import Document
from textrip.retrieval import answer, build
from textrip.retrieval.answer import MODES, Mode
from textrip.retrieval.index import Index
from textrip.retrieval.passages import Cutting

FILLER = " ".join(f"filler{n}" for n in range(60))
LONG = Document("long", "Title", f"{FILLER} zeppelin airship zeppelin airship {FILLER} oven flour {FILLER}")


def collection() -> Collection:
    others = [Document(f"d{n}", "", text_of(n)) for n in range(20)]
    return Collection.of("c", [*others, LONG, Document("empty", "", "")])


@given(
    text=st.text(st.sampled_from("ab .\n\té"), max_size=200),
    tokens=st.integers(8, 30),
    share=st.floats(0, 0.9),
)
def test_passages_cover_the_text_and_overlap(text: str, tokens: int, share: float) -> None:
    cutting = Cutting(tokens=tokens, overlap=int(tokens * share))
    encoder = StubEncoder()
    (spans,) = cutting.spans(encoder, [text])
    assert spans[0, 0] == 0
    assert spans[-1, 1] == len(text)
    for (_, end), (begin, after) in zip(spans[:-1].tolist(), spans[1:].tolist(), strict=True):
        assert begin <= end < after
    words = [len(encoder.tokenizer.encode(text[begin:end]).ids) for begin, end in spans.tolist()]
    assert all(count <= tokens for count in words)
    if cutting.overlap and len(words) > 1:
        assert all(spans[1:, 0] < spans[:-1, 1])


class Letters(StubEncoder):
    """Its tokens are the letters of words."""

    @property
    def tokenizer(self) -> Any:
        pieces = [piece for code in range(0x20, 0xA00) for piece in (chr(code), f"##{chr(code)}")]
        vocabulary = {piece: place for place, piece in enumerate(["[UNK]", *pieces])}
        found = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=1000))
        found.pre_tokenizer = Whitespace()
        return found


@pytest.mark.parametrize("overlap", [0, 3, 8])
def test_passages_begin_and_end_between_words(overlap: int) -> None:
    """A real tokenizer has pieces of words: no snippet is to begin with one."""
    encoder = Letters()
    text = " ".join(f"naïve {n:03} wants, हिन्दी" for n in range(30))
    (spans,) = Cutting(tokens=32, overlap=overlap).spans(encoder, [text])
    (tokens,) = encoder.tokenizer.encode_batch([text], add_special_tokens=False)
    assert len(tokens.ids) > 3 * len(text.split())  # in pieces
    assert len(spans) > 3
    for begin, end in spans.tolist():
        for place in {begin, end} - {0, len(text)}:
            assert set(text[place - 1 : place + 1]) & {" ", ","}
        assert sum(begin <= at < end for at, _ in tokens.offsets) <= 32


def test_a_writing_without_blanks_is_cut_all_the_same() -> None:
    encoder = Letters()
    (spans,) = Cutting(tokens=16, overlap=4).spans(encoder, ["a" * 400])
    assert len(spans) > 3
    assert spans[0, 0] == 0
    assert spans[-1, 1] == 400


def test_a_document_is_found_by_its_best_passage(tmp_path: Path) -> None:
    encoder = StubEncoder()
    whole = Index.build(collection(), encoder, tmp_path / "whole")
    cut = Index.build(collection(), encoder, tmp_path / "cut", cutting=Cutting(tokens=16, overlap=8))
    with whole, cut:
        assert len(whole) == len(cut) == 22
        (hit,) = cut.search("zeppelin airship", k=1)
        assert hit.doc_id == "long"
        assert hit.score > whole.search("zeppelin airship", k=1)[0].score + 0.2
        assert hit.passage is not None
        assert "zeppelin airship" in hit.passage
        assert hit.passage in LONG.full_text
        assert whole.search("zeppelin airship", k=1)[0].passage is None
        # The document's score is its best passage's, by a plain loop.
        (asked,) = encoder.encode(["zeppelin airship"], kind="query")
        (stored,) = cut.store.by_id(["long"]).values()
        pieces = [LONG.full_text[begin:end] for begin, end in stored.spans.tolist()]
        assert hit.score == pytest.approx(float((encoder.encode(pieces) @ asked).max()), abs=1e-6)
        for mode in MODES:
            hits = cut.search("zeppelin airship", k=22, mode=mode)
            assert len({hit.doc_id for hit in hits}) == len(hits)
        assert cut.vectors.shape == (22, 16)
        np.testing.assert_allclose(np.linalg.norm(cut.vectors, axis=1), 1, atol=1e-6)
        assert cut.check() == []


class Reading:
    """A reranker that likes the passage with both words, in their other form."""

    name = "reading"

    def fresh(self) -> "Reading":
        return self

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray([float("Zéppelins gulls" in texts[place]) for _, place in pairs], np.float32)


@pytest.mark.parametrize("mode", ["bm25", "hybrid"])
def test_a_document_that_words_found_shows_the_passage_with_the_most_of_them(
    mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In hybrid too, where the vectors did not find it; stemmed and folded, as the words are compared."""
    monkeypatch.setattr(answer, "DEPTH", 2)  # dense's best are the other documents
    text = f"{FILLER} gull {FILLER} zeppelin {FILLER} Zéppelins gulls {FILLER} gull zeppelin {FILLER}"
    documents = [Document("g", "", "gull"), Document("z", "", "zeppelin"), Document("cut", "Title", text)]
    cutting = Cutting(tokens=16, overlap=8)
    with Index.build(Collection.of("c", documents), StubEncoder(), tmp_path / "i", cutting=cutting) as index:
        hits = {hit.doc_id: hit for hit in index.search("gull zeppelin", k=2, mode=mode)}
        assert "Zéppelins gulls" in (hits["cut"].passage or "")
        assert "gull zeppelin" not in (hits["cut"].passage or "")  # the first of equals
        (best,) = index.search("gull zeppelin", k=1, mode=mode, rerank=Reading(), rerank_depth=2)
        assert (best.doc_id, best.score) == ("cut", 1.0)


def test_passages_come_and_go_with_their_document(tmp_path: Path) -> None:
    cutting = Cutting(tokens=16, overlap=8)
    with Index.build(collection(), StubEncoder(), tmp_path / "index", cutting=cutting) as index:
        index.delete(["long"])
        assert index.search("zeppelin airship", k=1)[0].doc_id != "long"
        index.add([LONG])
        assert index.search("zeppelin airship", k=1)[0].doc_id == "long"
        with Index.build(collection(), StubEncoder(), tmp_path / "fresh", cutting=cutting) as fresh:
            for query in ("zeppelin airship", "oven flour", "rose"):
                assert [(h.doc_id, h.score) for h in index.search(query, k=22)] == [
                    (h.doc_id, h.score) for h in fresh.search(query, k=22)
                ]


def test_one_of_many_is_not_none_of_them(tmp_path: Path) -> None:
    """It said 0%."""
    documents = [Document(f"d{n}", "", "word") for n in range(249)] + [Document("long", "", "word " * 100)]
    encoder = StubEncoder()
    encoder.max_length_tokens = 60
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        Index.build(Collection.of("c", documents), encoder, tmp_path / "i").close()
    assert [remark for remark in said if remark.startswith("under 1% of 250 documents looked at are longer")]


def test_no_text_is_cut_in_silence(tmp_path: Path) -> None:
    encoder = StubEncoder()
    encoder.max_length_tokens = 60
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        Index.build(collection(), encoder, tmp_path / "whole").close()
        assert [remark for remark in said if "longer than" in remark] == [
            "5% of 22 documents looked at are longer than the 60 tokens that the encoder reads: what stands "
            "further down is found by words alone; textrip index --passages 30 finds it by meaning too"
        ]
        del said[:]
        with Index.open(tmp_path / "whole", encoder=encoder) as index:
            index.add([Document("long", "", "word " * 100), Document("short", "", "word")])
        assert [remark for remark in said if "longer than" in remark] == [
            "50% of 2 documents looked at are longer than the 60 tokens that the encoder reads: what stands "
            "further down is found by words alone"
        ]
        del said[:]
        Index.build(collection(), encoder, tmp_path / "cut", cutting=Cutting(tokens=30)).close()
    assert said == []


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"passages of 4 tokens; at least 8"):
        Cutting(tokens=4)
    with pytest.raises(InputError, match=r"overlap by 16 of their 16 tokens"):
        Cutting(tokens=16, overlap=16)
    encoder = StubEncoder()
    encoder.max_length_tokens = 16
    with pytest.raises(InputError, match=r"passages of 16 tokens; stub reads 14 at most"):
        Index.build(collection(), encoder, tmp_path / "index", cutting=Cutting(tokens=16))
    with pytest.raises(InputError, match=r"vectors were given for documents that are to be cut"):
        Index.build(
            collection(), StubEncoder(), tmp_path / "index", cutting=Cutting(tokens=16),
            vectors=np.ones((22, 16), np.float32),
        )  # fmt: skip


def test_a_prompt_takes_its_part_of_what_is_read(tmp_path: Path) -> None:
    """Of 32 tokens two are special and six the prompt's."""
    prompt = "query : query : query : "
    encoder = Encoder.load(build_tiny_encoder(tmp_path, prompts={"document": prompt}), device="cpu")
    documents = Collection.of("c", [Document("a", "", "rose " * 26), Document("b", "", "rose " * 24)])
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        Index.build(documents, encoder, tmp_path / "whole", onnx=False).close()
    assert [
        remark for remark in said if "50% of 2 documents looked at are longer than the 32 tokens" in remark
    ]
    with pytest.raises(InputError, match=r"passages of 25 tokens; .* reads 24 at most \(32 with its special"):
        Index.build(documents, encoder, tmp_path / "cut", cutting=Cutting(tokens=25))
    with Index.build(documents, encoder, tmp_path / "cut", cutting=Cutting(tokens=24), onnx=False) as index:
        pieces = [hit.passage or hit.text for hit in index.search("rose", k=2)]
    assert max(encoder.count_tokens([prompt + piece for piece in pieces], cut=False)) == 32


def test_a_build_of_long_documents_keeps_them_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is passages that are encoded: 256 documents of a hundred each would be kept after minutes."""
    corpus = Collection.of("long", [Document(f"d{n}", "", f"{n} " + "word " * 80) for n in range(6)])
    real, pieces = StubEncoder.encode, []

    def dies_at_the_third(self: StubEncoder, texts: Sequence[str], **options: Any) -> Any:
        pieces.append(len(texts))
        if len(pieces) == 3:
            raise KeyboardInterrupt
        return real(self, texts, **options)

    monkeypatch.setattr(build, "_PASSAGES_A_CHUNK", 32)
    monkeypatch.setattr(StubEncoder, "encode", dies_at_the_third)
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append), pytest.raises(KeyboardInterrupt):
        Index.build(corpus, StubEncoder(), tmp_path / "index", cutting=Cutting(tokens=8))
    assert all(10 < count <= 32 for count in pieces), pieces
    assert "4 documents are kept" in said[-1]
