"""Queries out of a corpus that has none."""

import pytest

from textrip.data.collection import Collection
from textrip.data.pairs import with_queries
from textrip.errors import InputError
from textrip.records import Document

BODY = "This body has well over a dozen words in it, so that a pair can be made of it at all."


def test_titles_and_first_sentences_become_queries_and_leave_the_document() -> None:
    documents = [
        Document("a", "How roses grow", BODY),
        Document("b", "x", "Here is a first sentence. " + BODY),
        Document("c", "", "too short"),
    ]
    made, counts = with_queries(Collection.of("c", documents))
    assert counts == {"title to body": 1, "first sentence to the rest": 1}
    assert made.query_texts == {"a": "How roses grow", "b": "Here is a first sentence."}
    assert made.qrels == {"train": {"a": {"a": 1}, "b": {"b": 1}}}
    assert list(made.texts) == [BODY, f"x {BODY}", "too short"]


def test_a_judged_collection_stays_as_it_is(tiny_collection: Collection) -> None:
    assert with_queries(tiny_collection) == (tiny_collection, {})


def test_a_corpus_without_structure_is_refused() -> None:
    with pytest.raises(InputError, match="no document has a title of 3 words or a first sentence"):
        with_queries(Collection.of("c", [Document("a", "", "short")]))
