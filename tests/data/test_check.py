"""Every finding has data that provokes it, and clean data has none."""

from pathlib import Path

import pytest

from tests.conftest import build_tiny_encoder
from tests.mining.test_mine import FILLER, collection_of
from textrip.data.check import check
from textrip.data.collection import Collection
from textrip.data.finding import Finding, require_sound
from textrip.data.formats import read
from textrip.data.leaks import leaking
from textrip.data.truncation import truncation
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError
from textrip.mining.check import check_triples
from textrip.mining.triples import Group, Negative, Triples
from textrip.pipeline.check import check as check_whole
from textrip.pipeline.prepare import prepare

LONG = " ".join(f"word{number}" for number in range(40))
CLEAN = {"p": "rose one", "r": "tulip one"} | FILLER


def kinds(findings: list[Finding]) -> dict[str, tuple[str, int]]:
    return {finding.kind: (finding.level, finding.count) for finding in findings}


def test_clean_data_has_no_findings() -> None:
    collection = collection_of(
        CLEAN, {"q": "rose", "t": "tulip"}, train={"q": {"p": 1, "f1": 0}}, test={"t": {"r": 1}}
    )
    assert check(collection) == []


def test_test_queries_in_train_are_found_whatever_case_order_and_punctuation() -> None:
    collection = collection_of(
        CLEAN, {"q": "the red rose", "same": "Rose, the RED", "t": "tulip", "other": "two tulips"},
        train={"q": {"p": 1}, "other": {"r": 1}}, test={"same": {"p": 1}, "t": {"r": 1}},
    )  # fmt: skip
    assert leaking(collection) == {"q": {"test": "same"}}
    (finding,) = check(collection)
    assert kinds([finding]) == {"test-queries-in-train": ("warning", 1)}
    assert finding.examples == ("same is q: the red rose",)


def test_a_pair_of_one_text_twice_is_a_warning() -> None:
    """Mining takes them: a corpus of duplicate questions is made of them."""
    collection = collection_of(
        {"p": "Rose  one", "r": "rose one and two"} | FILLER, {"q": "rose one"}, train={"q": {"p": 1, "r": 1}}
    )
    (finding,) = (found for found in check(collection) if found.kind == "positives-that-are-the-query")
    assert kinds([finding]) == {"positives-that-are-the-query": ("warning", 1)}
    assert finding.message.startswith("1 of 2 relevant documents of train have their query's own text")
    assert finding.examples == ("q p: rose one",)


def test_a_train_of_which_nothing_is_left_is_an_error() -> None:
    """Training refuses it: a check that only warns would say that all is well."""
    queries = {"q": "rose", "d": "Rose", "t": "rose!"}
    collection = collection_of(
        CLEAN, queries, train={"q": {"p": 1}}, dev={"d": {"p": 1}}, test={"t": {"p": 1}}
    )
    finding = check(collection, near=False)[0]
    assert (finding.level, finding.kind, finding.examples) == ("error", "nothing-to-train-on", ("rose",))
    assert finding.message == (
        "every query of train (1) is asked in dev and test, too, and nothing is left to train on; take them "
        "out of dev and test or out of train"
    )
    with pytest.raises(InputError, match=r"every query of train \(1\) is asked in dev and test, too"):
        prepare(collection)


def test_a_query_that_is_judged_in_train_and_in_test_is_found() -> None:
    collection = collection_of(CLEAN, {"q": "rose"}, train={"q": {"p": 1}}, test={"q": {"r": 1}})
    assert leaking(collection) == {"q": {"test": "q"}}


def test_a_text_of_train_dev_and_test_is_found_in_both() -> None:
    queries = {"q": "rose", "d": "Rose", "t": "rose!", "again": "ROSE", "other": "two tulips"}
    collection = collection_of(
        CLEAN,
        queries,
        train={"q": {"p": 1}, "other": {"r": 1}},
        dev={"d": {"p": 1}},
        test={"t": {"p": 1}, "again": {"p": 1}},
    )
    assert leaking(collection) == {"q": {"dev": "d", "test": "t"}}
    found = check(collection, near=False)
    assert kinds(found) == {
        "dev-queries-in-train": ("warning", 1), "test-queries-in-train": ("warning", 1),
        "test-queries-in-dev": ("warning", 1),
    }  # fmt: skip
    triples = Triples([Group("q", "p", (Negative("f1", 1, 1.0, "bm25"),))])
    assert check_triples(triples, collection)[0].examples == ("query q has the text of dev d and test t",)
    both = collection_of(
        CLEAN, queries, train={"q": {"p": 1}}, dev={"q": {"p": 1}, "d": {"r": 1}}, test={"q": {"p": 1}}
    )
    assert check_triples(triples, both)[0].examples == ("query q is dev's and test's",)


def test_what_test_asks_and_dev_too_is_found() -> None:
    queries = {"q": "seed", "d": "Tulip", "d2": "rose", "t": "tulip!", "again": "TULIP"}
    collection = collection_of(
        CLEAN, queries, train={"q": {"p": 1}}, dev={"d": {"r": 1}, "d2": {"p": 1}},
        test={"t": {"r": 1}, "again": {"r": 1}},
    )  # fmt: skip
    (finding,) = check(collection, near=False)
    assert kinds([finding]) == {"test-queries-in-dev": ("warning", 1)}
    assert finding.examples == ("t is d: Tulip",)


def test_dev_is_not_cut_from_what_test_asks() -> None:
    queries = {f"q{n}": f"question about word{n}" for n in range(40)}
    queries |= {f"t{n}": f"Question about word{n}?" for n in range(10)}
    documents = {f"d{n}": f"document number {n} word{n}" for n in range(40)}
    collection = collection_of(
        documents, queries, train={f"q{n}": {f"d{n}": 1} for n in range(40)},
        test={f"t{n}": {f"d{n}": 1} for n in range(10)},
    )  # fmt: skip
    prepared = prepare(collection)
    assert {query for split in ("train", "dev") for query in prepared.qrels[split]} == {
        f"q{n}" for n in range(10, 40)
    }
    assert len(prepared.qrels["dev"]) == 3
    assert "test-queries-in-dev" not in kinds(check(prepared))


def test_nearly_the_same_queries_are_found() -> None:
    collection = collection_of(
        CLEAN, {"q": LONG, "t": LONG.replace("word0 ", "other ")}, train={"q": {"p": 1}}, test={"t": {"r": 1}}
    )
    assert kinds(check(collection)) == {"near-duplicate-queries": ("warning", 1)}
    assert check(collection, near=False) == []


def test_queries_of_dev_near_those_of_test_are_no_finding_of_train() -> None:
    near = LONG.replace("word0 ", "other ")
    collection = collection_of(
        CLEAN, {"q": "rose", "d": LONG, "t": near}, train={"q": {"p": 1}}, dev={"d": {"p": 1}},
        test={"t": {"r": 1}},
    )  # fmt: skip
    assert check(collection) == []


def test_a_copy_with_a_word_twice_is_told_once() -> None:
    queries = {"q": f"{LONG} word39", "t": LONG, "other": "tulip"}
    collection = collection_of(CLEAN, queries, train={"q": {"p": 1}, "other": {"r": 1}}, test={"t": {"r": 1}})
    assert kinds(check(collection)) == {"test-queries-in-train": ("warning", 1)}


@pytest.mark.parametrize("first", ["q1", "t", "q2"])
def test_queries_near_a_text_that_is_also_in_train_are_found(first: str) -> None:
    near = LONG.replace("word0 ", "other ")
    texts = {"q1": LONG, "t": LONG, "q2": near}
    queries = {first: texts[first]} | texts
    collection = collection_of(CLEAN, queries, train={"q1": {"p": 1}, "q2": {"p": 1}}, test={"t": {"r": 1}})
    (finding,) = [finding for finding in check(collection) if finding.kind == "near-duplicate-queries"]
    assert finding.count == 1
    assert finding.examples[0].startswith("train q2 and test t (0.9")
    # The same where one query_id is judged in train and in test.
    collection = collection_of(CLEAN, queries, train={"t": {"p": 1}, "q2": {"p": 1}}, test={"t": {"r": 1}})
    (finding,) = [finding for finding in check(collection) if finding.kind == "near-duplicate-queries"]
    assert finding.examples[0].startswith("train q2 and test t (0.9")


def test_conflicting_judgments_are_an_error_by_text_and_over_splits() -> None:
    collection = collection_of(
        CLEAN | {"copy": "Rose  ONE"}, {"q": "rose", "again": "ROSE", "s": "seed"},
        train={"q": {"p": 1}, "s": {"r": 1}}, dev={"again": {"copy": 0, "r": 1}},
    )  # fmt: skip
    found = check(collection, near=False)
    assert kinds(found)["conflicting-judgments"] == ("error", 1)
    assert found[0].examples == ("train: q p, and dev: again copy",)
    with pytest.raises(InputError, match=r"1 pair of texts judged relevant and not.*--force"):
        require_sound(found, force=False)
    require_sound(found, force=True)


def test_judgments_for_what_is_not_there_and_queries_without_an_answer() -> None:
    collection = collection_of(
        CLEAN, {"q": "rose", "bare": "tulip"},
        train={"q": {"p": 1, "gone": 1}, "bare": {"r": 0}, "nobody": {"p": 1}}, test={"bare": {"gone": 1}},
    )  # fmt: skip
    found = kinds(check(collection, near=False))
    assert found["judgments-of-unknown-documents"] == ("warning", 2)
    assert found["judgments-of-unknown-queries"] == ("error", 1)
    levels = [
        (finding.level, finding.count)
        for finding in check(collection, near=False)
        if finding.kind == "queries-without-positive"
    ]
    assert sorted(levels) == [("error", 1), ("warning", 1)]  # of test it is every query


def test_a_corpus_of_answers_alone_and_texts_of_nothing() -> None:
    collection = collection_of(
        {"p": "rose one", "r": ""}, {"q": "rose", "e": " "}, train={"q": {"p": 1}, "e": {"r": 1}}
    )
    assert kinds(check(collection)) == {
        "corpus-of-positives": ("warning", 2),
        "empty-documents": ("warning", 1),
        "empty-queries": ("warning", 1),
    }


def test_copies_and_near_copies_of_documents() -> None:
    documents = CLEAN | {"a": LONG, "b": LONG.upper(), "c": LONG.replace("word0 ", "other ")}
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    assert kinds(check(collection)) == {
        "duplicate-documents": ("warning", 1),
        "near-duplicate-documents": ("warning", 1),
    }


def test_texts_that_an_encoder_cuts_by_split() -> None:
    collection = collection_of(
        {"p": LONG, "r": "tulip"}, {"q": "rose", "t": LONG}, train={"q": {"p": 1}}, test={"t": {"r": 1}}
    )
    found = truncation(collection, lambda texts, kind: [len(text.split()) for text in texts], 10)
    assert [(finding.level, finding.message.split(" are ")[0]) for finding in found] == [
        ("warning", "50% of the documents"), ("note", "0.0% of the queries of train"),
        ("warning", "100% of the queries of test"),
    ]  # fmt: skip
    assert "10 tokens; the median is" in found[0].message


def test_what_an_encoder_cuts_is_counted_with_its_prompts(tmp_path: Path) -> None:
    """Texts that fit without a prompt were said to be read whole."""
    prompts = {"query": "rose rose rose rose : ", "document": "soil soil soil soil soil soil : "}
    encoder = Encoder.load(build_tiny_encoder(tmp_path, prompts=prompts), device="cpu", max_length_tokens=16)
    text = "rose soil " * 5
    collection = collection_of({"p": text, "r": "tulip"}, {"q": text}, train={"q": {"p": 1}})
    found = [finding for finding in check_whole(collection, encoder=encoder) if finding.kind == "texts-cut"]
    assert [finding.count for finding in found] == [1, 1]


def test_empty_documents_are_no_copies_of_one_another() -> None:
    collection = collection_of(CLEAN | {"a": "", "b": " "}, {"q": "rose"}, train={"q": {"p": 1}})
    assert "duplicate-documents" not in kinds(check(collection))


def test_queries_that_a_training_would_hold_out_are_told_in_triples() -> None:
    """Where dev and test are cut from train it said that nothing was wrong."""
    documents = {f"d{n}": f"w{n} stands in text number{n} and x{n}" for n in range(40)}
    queries = {f"q{n}": f"where stands w{n} x{n}" for n in range(30)}
    collection = collection_of(documents, queries, train={f"q{n}": {f"d{n}": 1} for n in range(30)})
    triples = Triples([Group(f"q{n}", f"d{n}", (Negative("d35", 1, 0.0, "bm25"),)) for n in range(30)])
    held_out = sum(len(prepare(collection).qrels[split]) for split in ("dev", "test"))
    told = [found for found in check_whole(collection, triples=triples) if "held-out" in found.kind]
    assert [finding.count for finding in told] == [held_out]
    assert held_out > 5


def test_a_small_share_that_an_encoder_cuts_is_said_and_is_no_warning() -> None:
    documents = {f"d{number}": "tulip" for number in range(199)} | {"p": LONG}
    collection = collection_of(documents, {"q": "rose"}, train={"q": {"p": 1}})
    found = truncation(collection, lambda texts, kind: [len(text.split()) for text in texts], 10)
    assert [(finding.level, finding.count, finding.message.split(" are ")[0]) for finding in found] == [
        ("note", 1, "0.5% of the documents"), ("note", 0, "0.0% of the queries of train"),
    ]  # fmt: skip


@pytest.mark.parametrize(("negative", "kind"), [
    ("copy", "positive-equals-negative"), ("q", "anchor-among-negatives"),
    ("asked", "anchor-among-negatives"),
    ("p2", "relevant-negative"),
    ("elsewhere", "relevant-negative"),
    ("copy2", "relevant-negative"),
])  # fmt: skip
def test_contradictions_in_triples_are_errors(negative: str, kind: str) -> None:
    documents = CLEAN | {"copy": "ROSE one", "q": "Rose!", "asked": "Rose", "p2": "rose two"}
    documents |= {"elsewhere": "rose three", "copy2": "Rose Two"}
    collection = collection_of(
        documents, {"q": "rose", "again": "Rose "},
        train={"q": {"p": 1, "p2": 1}, "again": {"elsewhere": 1}},
    )  # fmt: skip
    triples = Triples([Group("q", "p", (Negative(negative, 1, 1.0, "bm25"), Negative("f1", 2, 0.5, "bm25")))])
    (finding,) = check_triples(triples, collection)
    assert kinds([finding]) == {kind: ("error", 1)}
    assert finding.examples == (f"query q, positive p, negative {negative}",)


def test_a_negative_with_the_querys_number_is_another_document() -> None:
    collection = collection_of(CLEAN | {"q": "anything"}, {"q": "rose"}, train={"q": {"p": 1}})
    assert check_triples(Triples([Group("q", "p", (Negative("q", 1, 1.0, "bm25"),))]), collection) == []


def test_held_out_queries_in_triples_are_named_and_foreign_triples_refused() -> None:
    collection = collection_of(
        CLEAN, {"q": "rose", "t": "Rose!", "u": "tulip"}, train={"q": {"p": 1}},
        test={"t": {"p": 1}, "u": {"r": 1}},
    )  # fmt: skip
    negative = (Negative("f1", 1, 1.0, "bm25"),)
    held = [Group("q", "p", negative), Group("u", "r", negative)]
    (finding,) = check_triples(Triples(held), collection)
    assert kinds([finding]) == {"held-out-queries-in-triples": ("warning", 2)}
    assert finding.examples == ("query q has the text of test t", "query u is test's")
    with pytest.raises(MismatchError, match="name document 'x'"):
        check_triples(Triples([Group("q", "x", ())]), collection)


def test_nfcorpus_asks_four_texts_of_test_in_train(real_data: Path) -> None:
    found = kinds(check(read(real_data / "nfcorpus"), near=False))
    assert found["test-queries-in-train"] == ("warning", 4)


def test_scifact_has_no_error(real_data: Path) -> None:
    collection: Collection = read(real_data / "scifact")
    assert {finding.level for finding in check(collection, near=False)} == {"warning"}
