"""Queries out of a corpus that has none."""

import time

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
    with pytest.raises(InputError, match="no document has a title of 3 words, a heading or a first sentence"):
        with_queries(Collection.of("c", [Document("a", "", "short")]))


def test_headings_ask_for_their_section_and_leave_it() -> None:
    text = f"""Before.

## How to prune roses

{BODY}

## Too short

### What a comment looks like ###

{BODY}

```sh
# this is no heading at all
{BODY}
```"""
    made, counts = with_queries(Collection.of("c", [Document("a", "Roses", text)]))
    assert counts == {"heading to section": 2}
    assert made.query_texts == {"a": "How to prune roses", "a#1": "What a comment looks like"}
    assert made.qrels == {"train": {"a": {"a#1": 1}, "a#1": {"a#2": 1}}}
    assert made.doc_ids == ["a", "a#1", "a#2"]
    lead, first, second = made.texts
    assert lead == "Roses Before."
    assert first == f"Roses {BODY}\n\n## Too short"
    assert second.startswith(f"Roses {BODY}\n\n```sh\n# this is no heading")


@pytest.mark.parametrize(("line", "query"), [
    ("# How to prune roses", "How to prune roses"),
    ("###### How to prune roses ##", "How to prune roses"),
    ("#\tHow to prune roses \t###  ", "How to prune roses"),
    ("## All there is about C#", "All there is about C#"),
    ("## All about # and ##", "All about # and"),
    ("#How to prune roses", None),
    ("####### How to prune roses", None),
    ("## ##", None),
])  # fmt: skip
def test_what_a_heading_says(line: str, query: str | None) -> None:
    documents = [Document("a", "", f"Lead.\n{line}\n{BODY}"), Document("b", "How tulips grow", BODY)]
    made, _ = with_queries(Collection.of("c", documents))
    assert query is None or query in made.query_texts.values()
    assert len(made.query_texts) == (1 if query is None else 2)


def test_a_heading_with_many_blanks_takes_no_time() -> None:
    documents = [
        Document("a", "", f"# a{' ' * 20_000}b{' #' * 9_000}c\n{BODY}"),
        Document("b", "How tulips grow", BODY),
    ]
    began = time.perf_counter()
    with_queries(Collection.of("c", documents))
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(("code", "queries"), [
    ("```sh\n# no heading at all\n```", 1),
    ("~~~\n# no heading at all\n~~~", 1),
    ("~~~\n```\n# no heading at all\n~~~", 1),
    ("````\n```\n# no heading at all\n````", 1),
    ("```\n``` more\n# no heading at all\n```", 1),
    ("  ~~~~ `python`\n# no heading at all\n~~~~~  ", 1),
    ("```one line```", 1),
    ("``` `one` ```\n# But a heading it is", 2),
    ("```\n# no heading at all", 0),
])  # fmt: skip
def test_headings_after_code_are_read_and_comments_in_it_are_not(code: str, queries: int) -> None:
    text = f"Lead.\n{code}\n{BODY}\n# How to prune roses\n{BODY}"
    made, _ = with_queries(
        Collection.of("c", [Document("a", "", text), Document("b", "How tulips grow", BODY)])
    )
    assert sum(query != "How tulips grow" for query in made.query_texts.values()) == queries


def test_a_title_asks_for_every_section() -> None:
    text = f"# One more heading\n{BODY} One.\n# And one more heading\n{BODY} Two."
    made, counts = with_queries(Collection.of("c", [Document("a", "How roses grow", text)]))
    assert counts == {"title to body": 1, "heading to section": 2}
    assert list(made.texts) == [f"{BODY} One.", f"{BODY} Two."]
    assert made.query_texts == {
        "a": "How roses grow",
        "a#1": "One more heading",
        "a#2": "And one more heading",
    }
    assert made.qrels == {"train": {"a": {"a": 1, "a#1": 1}, "a#1": {"a": 1}, "a#2": {"a#1": 1}}}


def test_sections_take_no_id_that_is_there() -> None:
    text = f"Lead.\n# One more heading\n{BODY}\n# And one more heading\n{BODY} Two."
    documents = [
        Document("a", "", text),
        Document("a#1", "", "short"),
        Document("a#2", "How tulips grow", BODY),
    ]
    made, _ = with_queries(Collection.of("c", documents))
    assert made.doc_ids == ["a", "a#3", "a#4", "a#1", "a#2"]
    assert made.qrels["train"] == {"a": {"a#3": 1}, "a#3": {"a#4": 1}, "a#2": {"a#2": 1}}


def test_no_query_takes_the_id_that_another_documents_query_has() -> None:
    text = f"# One more heading\n{BODY}\n# And one more heading\n{BODY} Two."
    documents = [Document("a", "", text), Document("a#1", "How tulips grow", f"{BODY} Three.")]
    made, counts = with_queries(Collection.of("c", documents))
    assert sum(counts.values()) == len(made.query_texts) == 3
    assert made.query_texts["a#1"] == "How tulips grow"
    assert made.qrels["train"]["a#1"] == {"a#1": 1}


def test_a_heading_that_its_section_says_again_stays_in_it() -> None:
    text = f"# How roses grow in a garden\nHow roses grow in a garden: {BODY}"
    documents = [Document("a", "", text), Document("b", "How tulips grow", BODY)]
    made, counts = with_queries(Collection.of("c", documents))
    assert counts == {"title to body": 1, "left out: the question stands in its own answer": 1}
    assert list(made.texts) == [text, BODY]


def test_a_question_that_stands_in_its_own_answer_is_left_out_and_counted() -> None:
    documents = [
        Document("a", "How roses grow in a  garden", f"Say: how Roses grow in a garden. {BODY}"),
        Document("c", "Roses in gardens", f"We grow roses in gardens. {BODY}"),
        Document("b", "How tulips grow", BODY),
    ]
    made, counts = with_queries(Collection.of("c", documents))
    assert counts == {"title to body": 2, "left out: the question stands in its own answer": 1}
    assert made.query_texts == {"c": "Roses in gardens", "b": "How tulips grow"}
    assert made.texts[0].startswith("How roses grow in a  garden Say")


COVER = "want cover against frost and wind"


@pytest.mark.parametrize(("title", "body", "kept"), [
    ("Roses in winter", f"Roses in winter. They {COVER}, and no water at all in January", False),
    ("Roses want cover, against frost and wind", f"In January roses {COVER} and no water until March", False),
    # Of its five runs of three words four are said, and three.
    ("All want cover against frost and wind", f"In January roses {COVER} and no water", False),
    ("Roses do want cover against frost and", f"In January roses {COVER} and no water", True),
    ("Roses want cover against rabbits and mice", f"In January roses {COVER} and no water until March", True),
    ("Roses in winter", f"They {COVER}, and roses in winter want no water in January", True),
    ("How roses are kept alive in winter", f"They {COVER}, and no water at all in January", True),
])  # fmt: skip
def test_a_question_whose_words_its_answer_says_is_left_out(title: str, body: str, kept: bool) -> None:
    others = [Document(f"o{n}", f"A title of number {n}", f"{'word ' * 20}{n}") for n in range(3)]
    made, counts = with_queries(Collection.of("c", [Document("d", title, body), *others]))
    assert (title in made.query_texts.values()) == kept
    assert counts.get("left out: the question stands in its own answer", 0) == (0 if kept else 1)


@pytest.mark.parametrize(("first", "rest"), [
    ("机器学习是人工智能的一个分支。", "它研究计算机如何从数据中学习，而不需要人一步一步地告诉它怎么做。"),
    ("भारत एक विशाल देश है।", " यहाँ अनेक भाषाएँ बोली जाती हैं और बहुत से लोग अलग अलग राज्यों में रहते हैं।"),
    ("ما هي عاصمة فرنسا وأين تقع؟", " باريس أكبر مدنها وتقع على نهر السين في شمال البلاد وهي مدينة كبيرة"),
])  # fmt: skip
def test_sentences_end_by_the_marks_of_their_script(first: str, rest: str) -> None:
    made, counts = with_queries(Collection.of("c", [Document("a", "", first + rest)]))
    assert counts == {"first sentence to the rest": 1}
    assert made.query_texts == {"a": first}
    assert list(made.texts) == [rest.strip()]


def test_a_heading_in_a_comment_is_none() -> None:
    """It became a query, and the document was cut within the comment."""
    words = "a b c d e f g h i j k l m n"
    text = (
        f"## The real heading here\n{words}\n<!--\n## The one commented out\n{words}\n-->\n<!-- more -->\n"
        f"## Another real heading here\n{words}"
    )
    collection = Collection.of("c", [Document("d", "", text)])
    made, counts = with_queries(collection)
    assert made.queries["text"][:] == ["The real heading here", "Another real heading here"]
    assert counts == {"heading to section": 2}


@pytest.mark.timeout(30)
def test_a_text_without_the_end_of_a_sentence_is_compared_in_a_moment() -> None:
    """Every run of its words was looked for through the whole of the rest: 8 s for 40,000, by the square."""
    text = " ".join(f"a{n}" for n in range(200_000)) + ". " + " ".join(f"b{n}" for n in range(200_000))
    _, counts = with_queries(Collection.of("c", [Document("d", "", text)]))
    assert counts == {"first sentence to the rest": 1}
