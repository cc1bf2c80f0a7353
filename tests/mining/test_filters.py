"""What is left out of the negatives, by which filter, and that it is counted."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from tests.conftest import build_cross_encoder
from tests.mining.test_mine import FILLER, collection_of
from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, NotFiniteError, OfflineError
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.audit import audit
from textrip.mining.filters import DENOISED, JUDGED, NEAR_DUPLICATE, SAME_TEXT, Denoiser
from textrip.mining.mine import describe, mine
from textrip.mining.scoring import CrossEncoderScorer, EncoderScorer, load_scorer
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Group, Negative, Triples
from textrip.records import Document

LONG = " ".join(f"sentence{number} about rose" for number in range(12))


class Given:
    """A scorer whose scores are written down."""

    name = "given"

    def __init__(self, scores: dict[tuple[str, str], float]) -> None:
        self.given, self.asked = scores, 0

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(pairs)
        return np.array([self.given.get((query, texts[row]), -9.0) for query, row in pairs], dtype=np.float32)


def test_near_duplicates_of_a_relevant_document_are_no_negatives() -> None:
    documents = {"p": LONG, "near": LONG.replace("sentence0", "word"), "n": "rose tulip"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    (group,) = mine(collection, settings=MineSettings(negatives=5)).groups
    assert [negative.doc_id for negative in group.negatives] == ["n"]
    for off in (None, 0):  # in a shell there is no None
        triples = mine(collection, settings=MineSettings(negatives=5, near_duplicates=off))
        assert {negative.doc_id for negative in triples.groups[0].negatives} == {"near", "n"}


def test_what_is_left_out_is_counted_by_its_reason_once_a_query() -> None:
    documents = {
        "p1": LONG, "p2": "rose of another kind", "near": LONG.replace("sentence0", "word"),
        "copy": "Rose of  another kind", "n": "rose tulip",
    } | FILLER  # fmt: skip
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p1": 1, "p2": 1}})
    triples = mine(collection, settings=MineSettings(negatives=5))
    assert len(triples) == 2
    assert triples.provenance["left out"] == {JUDGED: 2, SAME_TEXT: 1, NEAR_DUPLICATE: 1}
    assert describe(triples)[f"left out: {NEAR_DUPLICATE}"] == 1


@pytest.mark.parametrize(("positive", "negative", "kept"), [
    (0.8, 0.75, True),
    (0.8, 0.77, False),
    (-2.0, -2.2, True),  # a logit below 0: the threshold lies below it and not above
    (-2.0, -2.05, False),
    (-2.0, -1.95, False),
    (0.0, 0.0, True),
])  # fmt: skip
def test_the_margin_is_a_share_of_the_positives_size(positive: float, negative: float, kept: bool) -> None:
    scorer = Given({("q", "p"): positive, ("q", "n"): negative})
    denoiser = Denoiser(scorer, ["p", "n"], 0.05)
    denoiser.learn([("q", [0])])
    assert denoiser.keeps([("q", 1)]) == [kept]


def test_the_lowest_positive_counts_and_every_pair_is_scored_once() -> None:
    scorer = Given({("q", "high"): 0.9, ("q", "low"): 0.5, ("q", "n"): 0.6})
    denoiser = Denoiser(scorer, ["high", "low", "n"], 0.0)
    denoiser.learn([("q", [0, 1])])
    assert denoiser.keeps([("q", 2), ("q", 2)]) == [False, False]
    assert scorer.asked == 3
    denoiser.learn([("q", [0, 1])])
    assert scorer.asked == 3


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("first", ["high", "low"])
def test_the_lowest_positive_of_a_text_counts_whichever_query_of_it_comes_first(
    batch: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textrip.mining.mine._QUERIES_A_BATCH", batch)
    documents = {"high": "rose one", "low": "rose two", "n": "rose three", "easy": "rose four"} | FILLER
    other = "low" if first == "high" else "high"
    collection = collection_of(
        documents, {"a": "rose", "b": "rose"}, train={"a": {first: 1}, "b": {other: 1}}
    )
    scores = {"rose one": 0.9, "rose two": 0.3, "rose three": 0.6, "rose four": 0.1}
    scorer = Given({("rose", text): score for text, score in scores.items()})
    groups = mine(collection, settings=MineSettings(negatives=3), scorer=scorer).groups
    assert [[negative.doc_id for negative in group.negatives] for group in groups] == [["easy"], ["easy"]]


def test_a_dropped_negative_is_replaced_by_the_next_in_the_ranking() -> None:
    documents = {f"n{n}": "rose " + "padding " * n for n in range(1, 7)} | {"p": "rose"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    scorer = Given({("rose", "rose"): 0.5, ("rose", ("rose " + "padding ").strip()): 0.6})
    scorer.given |= {("rose", collection.texts[row]): 0.6 for row in range(2)}
    triples = mine(collection, settings=MineSettings(negatives=3), scorer=scorer)
    (group,) = triples.groups
    assert [(negative.doc_id, negative.rank) for negative in group.negatives] == [
        ("n3", 4), ("n4", 5), ("n5", 6),
    ]  # fmt: skip
    assert triples.provenance["left out"][DENOISED] == 2
    assert triples.provenance["denoise"] == "given"


def test_a_group_without_a_negative_left_is_kept_and_counted() -> None:
    documents = {"p": "rose one", "n": "rose two", "p2": "tulip one", "n2": "tulip two"} | FILLER
    collection = collection_of(documents, {"q": "rose", "r": "tulip"}, train={"q": {"p": 1}, "r": {"p2": 1}})
    scorer = Given({("rose", "rose one"): 0.5, ("rose", "rose two"): 0.6, ("tulip", "tulip one"): 0.5})
    triples = mine(collection, settings=MineSettings(), scorer=scorer)
    assert [(group.query_id, len(group.negatives)) for group in triples.groups] == [("q", 0), ("r", 1)]
    assert triples.provenance["counts"]["groups without a negative"] == 1
    scorer.given |= {("tulip", "tulip two"): 0.9}
    with pytest.raises(InputError, match=r"no triple came out.*; left out: 2 .*denoise\)"):
        mine(collection, settings=MineSettings(denoise="given"), scorer=scorer)
    assert mine(collection, settings=MineSettings(), scorer=scorer).count == 0  # they compare with each other
    assert mine(collection, settings=MineSettings(denoise="none"), scorer=scorer).count == 2


def test_triples_that_were_written_are_the_same_ones(tiny_collection: Collection, tmp_path: Path) -> None:
    triples = mine(tiny_collection, settings=MineSettings(negatives=3, random=1))
    triples.write(tmp_path / "t.parquet")
    assert Triples.read(tmp_path / "t.parquet").fingerprint == triples.fingerprint


@pytest.mark.parametrize("settings", [
    {"sample": True}, {"negatives": 4, "random": 2}, {"negatives": 3, "dense": 1, "dense_model": "given"},
])  # fmt: skip
def test_the_same_triples_whatever_the_order_of_the_data_with_every_source(
    settings: dict[str, object], tiny_collection: Collection, tiny_encoder_folder: Path
) -> None:
    if "dense_model" in settings:
        settings = settings | {"dense_model": str(tiny_encoder_folder)}
    record = MineSettings(denoise=str(tiny_encoder_folder), denoise_margin=0, **settings)  # type: ignore[arg-type]
    turned = Collection(
        tiny_collection.name,
        tiny_collection.corpus.select(range(len(tiny_collection.corpus) - 1, -1, -1)),
        tiny_collection.queries,
        {split: dict(reversed(list(qrels.items()))) for split, qrels in tiny_collection.qrels.items()},
    )
    one, other = mine(tiny_collection, settings=record), mine(turned, settings=record)
    assert [
        (group.query_id, group.positive_id, [negative.doc_id for negative in group.negatives])
        for group in one.groups
    ] == [
        (group.query_id, group.positive_id, [negative.doc_id for negative in group.negatives])
        for group in other.groups
    ]
    assert one.count > 20


def test_random_negatives_come_from_the_whole_corpus_and_are_not_relevant() -> None:
    documents = {"p": "rose one", "n1": "rose two", "n2": "rose three"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    drawn = set()
    for seed in range(40):
        (group,) = mine(collection, settings=MineSettings(negatives=3, random=2, seed=seed)).groups
        sources = [negative.source for negative in group.negatives]
        assert sources == ["bm25", "random", "random"]
        ids = [negative.doc_id for negative in group.negatives]
        assert len(set(ids)) == 3
        drawn |= set(ids[1:])
    assert "p" not in drawn
    assert len(drawn) > 20


def test_the_encoders_own_ranking_gives_negatives_too(
    tiny_collection: Collection, tiny_encoder: Encoder, tiny_encoder_folder: Path
) -> None:
    settings = MineSettings(negatives=3, dense=2, dense_model=str(tiny_encoder_folder))
    triples = mine(tiny_collection, settings=settings)
    vectors = tiny_encoder.encode(tiny_collection.texts)
    group = triples.groups[0]
    assert [negative.source for negative in group.negatives] == ["bm25", "dense", "dense"]
    scores = vectors @ tiny_encoder.encode([tiny_collection.query_texts[group.query_id]], kind="query")[0]
    for negative in group.negatives[1:]:
        assert negative.score == pytest.approx(scores[tiny_collection.doc_row[negative.doc_id]], abs=1e-5)
    # By a graph, on one thread: the same triples every time, and with 60 documents the exact ones.
    by_graph = [
        mine(tiny_collection, settings=replace(settings, dense_nearest="hnsw")).groups for _ in range(2)
    ]
    assert by_graph == [triples.groups, triples.groups]
    above = np.sort(scores)[::-1]
    assert group.negatives[1].rank <= 4
    assert group.negatives[1].score == pytest.approx(above[group.negatives[1].rank - 1], abs=1e-5)


def test_windows_of_scores() -> None:
    documents = {f"n{n}": "rose " + "padding " * n for n in range(1, 9)} | {"p": "rose"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    (group,) = mine(collection, settings=MineSettings(negatives=9, most_score=0.8, least_score=0.5)).groups
    (whole,) = mine(collection, settings=MineSettings(negatives=9)).groups
    searcher = LexicalSearcher.build(collection.texts, order=collection.doc_order)
    ((places, scores),) = searcher.search(["rose"], 9)
    found = {collection.doc_ids[place]: score for place, score in zip(places, scores, strict=True)}
    best = max(found.values())  # the positive's
    expected = [doc_id for doc_id, score in found.items() if 0.5 * best <= score <= 0.8 * best]
    assert [negative.doc_id for negative in group.negatives] == expected
    assert 0 < len(expected) < len(whole.negatives) - 1
    assert whole.negatives[0].doc_id not in expected
    assert whole.negatives[-1].doc_id not in expected


class Ranked:
    """A ranking that is written down."""

    def __init__(self, places: list[int], scores: list[float]) -> None:
        self.found = np.array(places), np.array(scores)

    def search(self, queries: Sequence[str], k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        return [self.found] * len(queries)


@pytest.mark.parametrize("window", [{}, {"most_score": 0.9, "least_score": 0.5}])
def test_windows_of_scores_are_bm25s_and_not_the_encoders(window: dict[str, float]) -> None:
    documents = {f"n{n}": f"tulip {n}" for n in range(4)} | {"p": "rose"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    settings = MineSettings(negatives=5, dense=4, dense_model="given", **window)  # type: ignore[arg-type]
    ranked = Ranked([0, 1, 2, 3], [0.8, 0.79, 0.1, -0.2])
    (group,) = mine(collection, settings=settings, dense=ranked).groups
    assert [negative.doc_id for negative in group.negatives] == ["n0", "n1", "n2", "n3"]
    skipping = replace(settings, skip=3)
    (group,) = mine(collection, settings=skipping, dense=ranked).groups
    assert [negative.doc_id for negative in group.negatives] == ["n3"]


def test_judged_negatives_leave_the_rest_to_an_encoder() -> None:
    documents = {f"n{n}": f"tulip {n}" for n in range(4)} | {"p": "rose"} | FILLER
    judged = {"p": 1, "f0": 0, "f1": 0}
    collection = collection_of(documents, {"q": "rose"}, train={"q": judged})
    ranked = Ranked([0, 1, 2, 3], [0.8, 0.79, 0.1, -0.2])
    for negatives, dense, wanted in ((3, 3, ["f0", "f1", "n0"]), (2, 2, ["f0", "f1"]), (1, 1, ["f0"])):
        settings = MineSettings(negatives=negatives, dense=dense, dense_model="given")
        (group,) = mine(collection, settings=settings, dense=ranked).groups
        assert [negative.doc_id for negative in group.negatives] == wanted


def test_an_encoder_scores_by_the_cosine_and_encodes_once(
    tiny_collection: Collection, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = EncoderScorer(tiny_encoder)
    texts = tiny_collection.texts
    found = scorer.scores([("plants rose", 3), ("plants rose", 7)], texts)
    query = tiny_encoder.encode(["plants rose"], kind="query")[0]
    np.testing.assert_allclose(found, tiny_encoder.encode([texts[3], texts[7]]) @ query, atol=1e-6)
    monkeypatch.setattr(tiny_encoder, "encode", None)
    np.testing.assert_array_equal(scorer.scores([("plants rose", 7)], texts), found[1:])
    assert scorer.scores([], texts).shape == (0,)


def test_a_cross_encoder_scores_pairs(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    folder = build_cross_encoder(tiny_encoder_folder, tmp_path / "cross")
    scorer = load_scorer(str(folder), device="cpu")
    assert isinstance(scorer, CrossEncoderScorer)
    texts = tiny_collection.texts
    found = scorer.scores([("plants rose", 3), ("plants rose", 7)], texts)
    expected = scorer.model.predict([("plants rose", texts[3]), ("plants rose", texts[7])])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert scorer.scores([], texts).shape == (0,)
    triples = mine(tiny_collection, settings=MineSettings(denoise=str(folder), denoise_margin=0, negatives=3))
    assert triples.provenance["left out"][DENOISED] > 0
    assert isinstance(load_scorer(str(tiny_encoder_folder), device="cpu"), EncoderScorer)


def test_a_model_that_is_no_scorer_is_one_line(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    folder = build_cross_encoder(tiny_encoder_folder, tmp_path / "cross", labels=3)
    with pytest.raises(InputError, match="gives 3 scores for a pair, one was expected"):
        load_scorer(str(folder), device="cpu").scores([("a", 0)], ["b"])
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be loaded as a cross-encoder"):
        load_scorer(str(folder), device="cpu")
    with pytest.raises(InputError, match="holds no encoder"):
        load_scorer(str(tmp_path), device="cpu")
    with pytest.raises(OfflineError):
        load_scorer("nobody/nothing", device="cpu")


def test_scores_that_are_no_numbers_are_told_and_not_compared(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """All negatives were left out as relevant, or `NaN` was printed for a score."""
    folder = build_cross_encoder(tiny_encoder_folder, tmp_path / "cross")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] = torch.full_like(weights["classifier.weight"], math.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NotFiniteError, match=r"cross: gives scores that are not finite; its weights"):
        mine(tiny_collection, settings=MineSettings(denoise=str(folder)))


def test_a_cross_encoder_that_cannot_read_a_pair_is_one_line(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """A vocabulary of another model: torch's error was called a mistake in textrip."""
    folder = build_cross_encoder(tiny_encoder_folder, tmp_path / "cross")
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    weights[name] = weights[name][:3].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 3, "pad_token_id": 0}))
    with pytest.raises(InputError, match=r"cross: cannot score a pair: index out of range.*; name another"):
        load_scorer(str(folder), device="cpu").scores([("rose soil", 0)], ["rose"])


def test_settings_that_contradict_each_other_are_told_at_once() -> None:
    with pytest.raises(InputError, match=(
        r"random is 2 and dense 1, together at most negatives \(2\).*dense_model is not given.*"
        r"least_score is 0.9 and most_score 0.5.*near_duplicates is 3.*denoise_margin is 1"
    )):  # fmt: skip
        MineSettings(
            negatives=2, random=2, dense=1, least_score=0.9, most_score=0.5, near_duplicates=3,
            denoise_margin=1,
        )  # fmt: skip


def test_settings_that_nothing_would_read_are_refused() -> None:
    with pytest.raises(InputError, match=r"dense_model is 'm' and dense 0.*margin is 0.5 and denoise none"):
        MineSettings(dense_model="m", denoise="none", denoise_margin=0.5)
    assert MineSettings(dense_nearest="hnsw", denoise_margin=0.5).denoise == "auto"  # train and fit read both


@pytest.mark.slow
def test_nfcorpus_without_what_the_untuned_encoder_finds_relevant(real_data: Path) -> None:
    collection = read(real_data / "nfcorpus")
    triples = mine(collection, settings=MineSettings(queries=50, denoise="all-MiniLM-L6-v2", seed=1))
    assert triples.provenance["left out"][DENOISED] > triples.count


def test_a_query_that_is_a_document_is_no_random_negative_of_its_own() -> None:
    """The only other documents of the corpus are the query's own and its positive."""
    documents = {"q": "a question about roses", "p": "roses bloom", "n": "boats sail"}
    collection = collection_of(documents, {"q": "a question about roses?"}, train={"q": {"p": 1}})
    for seed in range(20):
        (group,) = mine(collection, settings=MineSettings(negatives=1, random=1, seed=seed)).groups
        assert [negative.doc_id for negative in group.negatives] == ["n"]


def test_a_document_with_the_number_of_a_query_is_another_document() -> None:
    """Queries and documents are both counted from 1: a judged negative of the query's number was left out."""
    documents = {str(number): f"roses bloom in garden {number}" for number in range(1, 8)}
    judged = {str(number): {str(number % 7 + 1): 1, str(number): 0} for number in range(1, 8)}
    queries = {str(number): f"which roses bloom best {number * 11}" for number in range(1, 8)}
    collection = collection_of(documents, queries, train=judged)
    for settings in (MineSettings(negatives=1), MineSettings(negatives=2, random=1, near_duplicates=0.95)):
        for group in mine(collection, settings=settings).groups:
            assert group.negatives[0] == Negative(group.query_id, 0, 0.0, "judged")


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Another one", "the reset link on the sign-in page sends a mail"),  # the relevant text, cross-posted
        ("Frequently asked", "how do I reset my password"),  # the query, in the text
        ("How do I reset my password?", "see the manual"),  # and in the title
    ],
)
def test_a_title_does_not_hide_a_copy(title: str, text: str) -> None:
    documents = [
        Document("p", "Reset", "the reset link on the sign-in page sends a mail"),
        Document("copy", title, text),
        Document("n", "Passwords", "a password has eight letters and more"),
    ]
    query = "How do I reset my password?" if "?" in title else "how do I reset my password"
    collection = Collection.of("faq", documents, {"q": query}, {"train": {"q": {"p": 1}}})
    for settings in (MineSettings(negatives=2), MineSettings(negatives=2, random=2)):
        triples = mine(collection, settings=settings)
        assert [negative.doc_id for negative in triples.groups[0].negatives] == ["n"]
    by_hand = Triples([Group("q", "p", (Negative("copy", 1, 1.0, "bm25"),))], triples.provenance)
    (shown,) = audit(by_hand, collection).negatives
    assert "same" in shown.flags


def test_of_more_relevant_documents_than_a_cache_holds_none_is_read_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 4,096 of them 8 seconds became 96: each was gone when its turn came again."""
    from textrip.data import near_duplicates
    from textrip.mining import filters

    assert filters._SHINGLED >= 100_000
    documents = {f"d{n:03d}": f"roses w{n} x{n} y{n} z{n}" for n in range(60)}
    relevant = {f"d{n:03d}": 1 for n in range(40)}
    collection = collection_of(documents, {"q": "roses"}, train={"q": relevant})
    looked_at: list[str] = []
    shingles = near_duplicates.shingles

    def noted(text: str) -> frozenset[str]:
        looked_at.append(text)
        return shingles(text)

    monkeypatch.setattr(filters, "shingles", noted)
    mine(collection, settings=MineSettings(negatives=10, positives=1))
    assert 0 < len(looked_at) == len(set(looked_at)) <= 60


@pytest.mark.parametrize(
    ("copy", "why"),
    [
        ("Die Über\u00adweisung der Stu\u00adden\u00adten ist \ufeffgrö\u2060ßer", SAME_TEXT),
        ("Die Uberweisung der Studenten ist grosser", NEAR_DUPLICATE),
    ],
)
def test_what_is_not_seen_and_accents_hide_no_copy(copy: str, why: str) -> None:
    """Soft hyphens, as HTML and PDF have them, made a copy of the positive the first negative."""
    documents = {
        "p": "Die Überweisung der Studenten ist größer",
        "copy": copy,
        "n": "Überweisung am Montag",
    } | FILLER
    collection = collection_of(documents, {"q": "Überweisung"}, train={"q": {"p": 1}})
    triples = mine(collection, settings=MineSettings(negatives=2))
    assert [negative.doc_id for negative in triples.groups[0].negatives] == ["n"]
    assert triples.provenance["left out"][why] == 1


def test_models_are_found_from_anywhere_and_what_is_no_model_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is called `auto` or `none` turns no filter on."""
    monkeypatch.chdir(tmp_path)
    for name in ("auto", "none", "filter", "ranks"):
        (tmp_path / name).mkdir()
    for denoise in ("auto", "none", "cross-encoder/somewhere"):
        assert MineSettings(denoise=denoise).from_anywhere() == MineSettings(denoise=denoise)
    placed = MineSettings(denoise="filter", dense=1, dense_model="ranks").from_anywhere()
    assert (placed.denoise, placed.dense_model) == (str(tmp_path / "filter"), str(tmp_path / "ranks"))
