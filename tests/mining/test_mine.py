"""Mining: negatives that are not judged relevant, not copies, not random; the same every time."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.data.pairs import with_queries
from textrip.errors import InputError
from textrip.lexical import cuda, impact_matrix, kernel
from textrip.lexical.cuda import best_documents_on
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.check import check_triples
from textrip.mining.filters import REJECTED, SAME_TEXT
from textrip.mining.mine import describe, mine, spread_in_words
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Group, Negative, Triples
from textrip.mining.verdicts import Verdicts
from textrip.records import Document


def collection_of(
    documents: dict[str, str], queries: dict[str, str], **qrels: dict[str, dict[str, int]]
) -> Collection:
    return Collection.of("c", [Document(i, "", text) for i, text in documents.items()], queries, qrels)


FILLER = {f"f{n}": f"filler{n} text{n}" for n in range(30)}


def negatives(collection: Collection, **settings: object) -> dict[tuple[str, str], list[str]]:
    mined = mine(collection, settings=MineSettings(**{"negatives": 10, **settings}))  # type: ignore[arg-type]
    return {(g.query_id, g.positive_id): [n.doc_id for n in g.negatives] for g in mined.groups}


def test_bm25_is_asked_with_the_query_not_with_the_positive() -> None:
    documents = {"p": "rose zebra zebra zebra", "sibling": "zebra zebra", "hard": "rose tulip"} | FILLER
    found = negatives(collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}}))
    assert found == {("q", "p"): ["hard"]}


def test_every_judged_positive_is_left_out_by_id_and_by_text_over_all_splits() -> None:
    documents = {
        "p1": "rose one", "p2": "rose two", "copy": "Rose   TWO", "elsewhere": "rose three", "n": "rose four",
    } | FILLER  # fmt: skip
    collection = collection_of(
        documents, {"q": "rose"}, train={"q": {"p1": 1, "p2": 2}}, dev={"q": {"elsewhere": 1}}
    )
    assert negatives(collection) == {("q", "p1"): ["n"], ("q", "p2"): ["n"]}


def test_documents_without_a_common_word_are_no_negatives() -> None:
    documents = {"p": "rose one", "n": "rose two"} | FILLER
    assert negatives(collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})) == {("q", "p"): ["n"]}


def test_the_query_itself_and_copies_among_the_negatives_are_left_out() -> None:
    documents = {"p": "rose one", "q": "rose", "same": "Rose", "n1": "rose two", "n2": "rose  two"} | FILLER
    found = negatives(collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}}))
    assert found == {("q", "p"): ["n1"]}


def test_judged_negatives_come_first() -> None:
    documents = {"p": "rose one", "judged": "about nothing", "n": "rose two"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1, "judged": 0}})
    (group,) = mine(collection, settings=MineSettings(negatives=2)).groups
    assert [(n.doc_id, n.rank, n.source) for n in group.negatives] == [
        ("judged", 0, "judged"),
        ("n", 1, "bm25"),
    ]
    assert negatives(collection, negatives=1) == {("q", "p"): ["judged"]}


def test_a_judged_negative_that_a_person_rejected_is_none_nor_are_its_copies() -> None:
    documents = {"p": "rose one", "j": "rose two", "copy": "Rose TWO", "n": "rose three"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1, "j": 0}})
    rejected = Verdicts(rejected=frozenset({("q", "j")}))
    mined = mine(collection, settings=MineSettings(negatives=5), verdicts=rejected)
    assert [negative.doc_id for negative in mined.groups[0].negatives] == ["n"]
    assert mined.provenance["left out"][REJECTED] == 1


def test_a_query_and_copies_are_no_judged_negatives() -> None:
    documents = {"p": "rose one", "q": "anything", "j1": "tulip", "j2": "TULIP", "j3": "seed"} | FILLER
    collection = collection_of(
        documents, {"q": "rose"}, train={"q": {"p": 1} | dict.fromkeys(["q", "j1", "j2", "j3"], 0)}
    )
    mined = mine(collection, settings=MineSettings(negatives=2))
    assert [negative.doc_id for negative in mined.groups[0].negatives] == ["j1", "j3"]
    assert mined.provenance["left out"] == {SAME_TEXT: 1}
    assert check_triples(mined, collection) == []


def test_ranks_and_windows_are_bm25s() -> None:
    documents = {f"n{n}": "rose " + "padding " * n for n in range(1, 9)} | {"p": "rose"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    groups = mine(collection, settings=MineSettings(negatives=3, skip=2, depth=4)).groups
    assert [(n.doc_id, n.rank) for n in groups[0].negatives] == [("n2", 3), ("n3", 4)]
    scores = [n.score for n in groups[0].negatives]
    assert scores == sorted(scores, reverse=True)


def test_positives_are_capped_and_queries_thinned() -> None:
    documents = {f"p{n}": f"rose {n}" for n in range(9)} | {"n": "rose again"} | FILLER
    judged = {"q": {f"p{n}": 1 for n in range(9)}, "r": {"p0": 1}}
    collection = collection_of(documents, {"q": "rose", "r": "rose 1"}, train=judged)
    assert len([key for key in negatives(collection, positives=3) if key[0] == "q"]) == 3
    assert len({key[0] for key in negatives(collection, queries=1)}) == 1


def test_queries_without_positive_or_negative_are_counted() -> None:
    documents = {"p": "rose"} | FILLER
    collection = collection_of(
        documents, {"a": "rose", "b": "filler1", "c": "x"},
        train={"a": {"p": 1}, "b": {"gone": 1}, "c": {"p": 0}},
    )  # fmt: skip
    with pytest.raises(
        InputError, match=r"no triple came out of 3 queries \(2 queries without a positive in the corpus, 1 "
    ):
        mine(collection)


@given(st.permutations(range(8)), st.integers(0, 3), st.booleans())
def test_the_same_triples_whatever_the_order_of_the_data(order: list[int], seed: int, sample: bool) -> None:
    documents = {f"d{n}": f"rose {'tulip ' * (n % 3)}{n}" for n in order}
    judged = {f"q{n}": {f"d{n}": 1} for n in order[:4]}
    queries = dict.fromkeys(judged, "rose tulip")
    settings = MineSettings(seed=seed, sample=sample, negatives=2)
    found = mine(collection_of(documents, queries, train=judged), settings=settings).groups
    in_order = mine(
        collection_of(dict(sorted(documents.items())), queries, train=dict(sorted(judged.items()))),
        settings=settings,
    ).groups
    assert list(found) == list(in_order)


def test_settings_report_all_problems_at_once() -> None:
    with pytest.raises(
        InputError, match=r"negatives is 0.*depth is 0.*skip is 5 and depth 0: no rank is left"
    ):
        MineSettings(negatives=0, depth=0, skip=5)


@pytest.mark.parametrize("name", ["nfcorpus", "scifact"])
def test_no_judged_positive_among_real_negatives(name: str, real_data: Path) -> None:
    """Leaving out the group's own positive alone makes 26.0 % of NFCorpus' best ten judged relevant."""
    collection = read(real_data / name)
    triples = mine(collection, settings=MineSettings(negatives=10, positives=2, queries=300))
    assert triples.count > 2000
    assert not judged_relevant(triples, collection)
    assert all(negative.score > 0 for group in triples.groups for negative in group.negatives)
    assert describe(triples)["queries"] <= 300


def judged_relevant(triples: Triples, collection: Collection) -> list[tuple[str, str]]:
    """Negatives that a query of the same words judges relevant, in any split, by a plain loop."""
    relevant = {
        (asked(collection, query_id), doc_id)
        for qrels in collection.qrels.values()
        for query_id, grades in qrels.items()
        for doc_id, grade in grades.items()
        if grade > 0
    }
    return [
        (group.query_id, negative.doc_id)
        for group in triples.groups
        for negative in group.negatives
        if (asked(collection, group.query_id), negative.doc_id) in relevant
    ]


def test_a_query_that_is_a_document_is_no_rank_and_no_best_score() -> None:
    text = "alpha beta gamma delta epsilon zeta"
    documents = {"q": text, **{f"d{n}": "alpha beta " + f"x{n} " * 2 for n in range(5)}} | FILLER
    collection = collection_of(documents, {"q": text}, train={"q": {"d0": 1}})

    def mined(**how: float) -> list[str]:
        settings = MineSettings(negatives=9, near_duplicates=None, **how)  # type: ignore[arg-type]
        return [one.doc_id for one in mine(collection, settings=settings).groups[0].negatives]

    assert mined() == ["d1", "d2", "d3", "d4"]
    assert mined(least_score=0.3) == mined()  # of d0's score, and not of the query's own
    assert mined(skip=1) == mined()  # d0 is skipped
    assert mined(skip=2) == mined()[1:]


def test_what_is_drawn_from_a_window_stands_as_it_was_drawn() -> None:
    """So that the first of many are those that a mining of fewer would draw: a trial of `tune` takes them."""
    documents = {f"d{n}": "rose " + f"x{n} " * n for n in range(1, 20)} | {"p": "rose"} | FILLER
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})

    def mined(negatives: int, seed: int) -> list[int]:
        settings = MineSettings(negatives=negatives, seed=seed, sample=True, near_duplicates=None)
        return [one.rank for one in mine(collection, settings=settings).groups[0].negatives]

    ranks = [mined(8, seed) for seed in range(4)]
    assert len({tuple(sorted(found)) for found in ranks}) == 4
    assert any(found != sorted(found) for found in ranks)
    assert [mined(3, seed) for seed in range(4)] == [found[:3] for found in ranks]


@pytest.mark.parametrize(("how", "message"), [
    ({"random": 1, "skip": 5, "sample": True},
     "skip 5, sample True: negatives of a ranking were expected, and all 1 are random; leave it out"),
    ({"dense": 1, "dense_model": "m", "most_score": 0.5},
     "most_score 0.5: negatives of BM25 were expected, and all 1 are random or dense;"),
])  # fmt: skip
def test_a_window_of_what_nobody_takes_is_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MineSettings(**how)
    MineSettings(**how | {"negatives": 2})


def asked(collection: Collection, query_id: str) -> tuple[str, ...]:
    return tuple(sorted(set(re.findall(r"\w+", collection.query_texts[query_id].lower()))))


def test_a_question_is_the_same_in_another_spelling() -> None:
    """Its relevant documents are no negatives; what is judged not to be holds for the very text alone."""
    documents = {"p1": "rose petal one", "p2": "rose petal two", "no": "rose petal three", "n": "rose four"}
    collection = collection_of(
        documents | FILLER, {"a": "what is a rose?", "b": "What is a rose", "c": "a rose is what"},
        train={"a": {"p1": 1}, "b": {"p2": 1}, "c": {"p2": 1, "no": 0}},
    )  # fmt: skip
    triples = mine(collection, settings=MineSettings(negatives=4))
    found = {group.query_id: {one.doc_id: one.source for one in group.negatives} for group in triples.groups}
    assert found == {
        "a": {"no": "bm25", "n": "bm25"}, "b": {"no": "bm25", "n": "bm25"}, "c": {"no": "judged", "n": "bm25"}
    }  # fmt: skip
    assert check_triples(triples, collection) == []
    wrong = Triples([Group("a", "p1", (Negative("p2", 1, 1.0, "bm25"),))])
    assert [one.kind for one in check_triples(wrong, collection)] == ["relevant-negative"]


def test_no_negative_is_relevant_for_another_query_of_the_same_text(real_data: Path) -> None:
    """28 train queries of NFCorpus share their text with another; by query_id alone 24 were mined against."""
    collection = read(real_data / "nfcorpus")
    texts = Counter(collection.query_texts[query_id] for query_id in collection.judged("train"))
    shared = {
        query_id: grades
        for query_id, grades in collection.judged("train").items()
        if texts[collection.query_texts[query_id]] > 1
    }
    assert len(shared) == 28
    few = replace(collection, qrels={**collection.qrels, "train": shared})
    triples = mine(few, settings=MineSettings(negatives=5))
    assert triples.count > 400
    assert not judged_relevant(triples, few)


def test_documents_of_one_title_are_not_each_others_negatives() -> None:
    documents = [
        Document(
            f"d{n}", "How to install it", "so how to install it " + " ".join(f"w{n}{m}" for m in range(9))
        )
        for n in range(3)
    ]
    collection, _ = with_queries(Collection.of("c", [*documents, Document("n", "", "install nothing")]))
    assert sorted(collection.query_texts.values()) == ["How to install it"] * 3
    mined = mine(collection, settings=MineSettings(negatives=5))
    assert {negative.doc_id for group in mined.groups for negative in group.negatives} == {"n"}


@pytest.mark.parametrize("settings", [
    MineSettings(negatives=3), MineSettings(negatives=4, random=1, sample=True, positives=1),
])  # fmt: skip
@pytest.mark.parametrize("denoised", [True, False])
def test_the_same_triples_whatever_is_asked_at_once(
    settings: MineSettings, denoised: bool, tiny_collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = None
    if denoised:
        scores = LexicalSearcher.build(tiny_collection.texts)
        scorer = ByBM25(scores)
    found = []
    for batch, compiled_from in itertools.product((1, 7, 256), (1, 10**12)):
        monkeypatch.setattr("textrip.mining.mine._QUERIES_A_BATCH", batch)
        monkeypatch.setattr(impact_matrix, "_COMPILED", "not loaded")
        monkeypatch.setattr(impact_matrix, "_COMPILED_FROM", compiled_from)
        found.append(mine(tiny_collection, settings=settings, scorer=scorer).fingerprint)
    assert len(set(found)) == 1


@dataclass
class ByBM25:
    """A filter's model that is BM25."""

    searcher: LexicalSearcher
    name = "bm25"

    def scores(self, pairs: Sequence[tuple[str, int]], texts: Sequence[str]) -> NDArray[np.float32]:
        found = [self.searcher.places(query, [row])[0][1] for query, row in pairs]
        return np.array(found, dtype=np.float32)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_many_queries_are_mined_on_a_gpu(
    device: str, tiny_collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    settings = MineSettings(negatives=3)
    expected = mine(tiny_collection, settings=settings)
    asked = []

    def on(_: str, postings: kernel.Postings, queries: list[np.ndarray], k: int) -> kernel.Found:
        asked.append(len(queries))
        return best_documents_on(device, postings, queries, k)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "best_documents_on", on)
    monkeypatch.setattr(impact_matrix, "_COMPILED_FROM", 1)
    monkeypatch.setattr("textrip.mining.mine._QUERIES_A_BATCH", 4)
    monkeypatch.setattr(impact_matrix, "_CUDA_FROM", 25)
    assert mine(tiny_collection, settings=settings).fingerprint == expected.fingerprint  # 24 are few
    assert asked == []
    monkeypatch.setattr(impact_matrix, "_CUDA_FROM", 11)
    found = mine(tiny_collection, settings=settings)
    assert asked == [12, 12]
    assert len(found) == len(expected)
    for one, other in zip(found.groups, expected.groups, strict=True):
        assert (one.query_id, one.positive_id) == (other.query_id, other.positive_id)
        scores = [[negative.score for negative in group.negatives] for group in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_the_groups_that_a_document_keeps_are_drawn_for_each() -> None:
    """One draw for all of them would keep the same places of each, the first queries' say."""
    documents = {f"p{n}": f"rose{n} petal" for n in range(6)} | {f"n{n}": f"rose{n} leaf" for n in range(6)}
    asked = {f"q{n}-{number}": (n, number) for n in range(6) for number in range(8)}
    queries = {query_id: f"rose{n} number{number}" for query_id, (n, number) in asked.items()}
    judged = {query_id: {f"p{n}": 1} for query_id, (n, _) in asked.items()}
    collection = collection_of(documents | FILLER, queries, train=judged)
    mined = mine(collection, settings=MineSettings(per_document=3, near_duplicates=None))
    kept: dict[int, list[int]] = {}
    for group in mined.groups:
        n, number = asked[group.query_id]
        kept.setdefault(n, []).append(number)
    assert all(len(numbers) == 3 for numbers in kept.values())
    assert len({tuple(sorted(numbers)) for numbers in kept.values()}) > 3


def test_a_document_is_the_positive_of_at_most_so_many_groups() -> None:
    documents = {"all": "rose one", "own": "rose two", "n": "rose three"} | FILLER
    queries = {f"q{number}": f"rose {number}" for number in range(9)}
    judged = {query: {"all": 1} for query in queries} | {"q8": {"all": 1, "own": 1}}
    collection = collection_of(documents, queries, train=judged)
    mined = mine(collection, settings=MineSettings(per_document=3, seed=1))
    positives = [group.positive_id for group in mined.groups]
    assert positives.count("all") == 3
    assert positives.count("own") == 1
    assert mined.provenance["counts"]["groups over the cap of a document"] == 6
    assert mined.groups == mine(collection, settings=MineSettings(per_document=3, seed=1)).groups
    assert mined.groups != mine(collection, settings=MineSettings(per_document=3, seed=2)).groups
    about = describe(mined)
    assert about["groups per positive document"] == {"least": 1, "median": 2, "most": 3}
    assert spread_in_words(about["groups per positive document"]) == "1 to 3, median 2"
    assert about["triples per query"]["median"] == 1


def test_positives_that_are_judged_no_more_are_told(tiny_collection: Collection) -> None:
    triples = mine(tiny_collection)
    assert check_triples(triples, tiny_collection) == []
    first, *rest = triples.groups
    qrels = {**tiny_collection.qrels, "train": {group.query_id: {group.positive_id: 1} for group in rest}}
    (found,) = check_triples(triples, replace(tiny_collection, qrels=qrels))
    assert (found.level, found.kind, found.count) == ("warning", "positives-not-judged", 1)
    assert found.examples == (f"query {first.query_id}, positive {first.positive_id}",)
