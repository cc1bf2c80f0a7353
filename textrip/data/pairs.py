"""Queries from the structure of a corpus that has none: titles, headings, first sentences.

The last is the inverse cloze task (Lee et al., 2019, arXiv 1906.00300) with its first sentence only.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from textrip.data.collection import Collection, dataset_of
from textrip.data.split import normalised
from textrip.data.tables import corpus_of
from textrip.errors import InputError

TITLE, HEADING, SENTENCE = "title to body", "heading to its document", "first sentence to the rest"
LEFT_OUT = "left out: the question stands in its own answer"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_HEADING = re.compile(r"#{1,6}\s+(?P<text>.*?)\s*#*\s*")
_FENCE = ("```", "~~~")
_MIN_QUERY_WORDS = 3
_MIN_BODY_WORDS = 12
# A name of three words may well be said again; a sentence that is was copied.
_COPIED_WORDS = 6


@dataclass(frozen=True)
class _Made:
    """A document without what became its queries."""

    queries: list[tuple[str, str]]  # rule, text
    title: str
    text: str


def with_queries(collection: Collection) -> tuple[Collection, dict[str, int]]:
    """A collection whose queries are titles, headings or first sentences, and how many pairs each rule gave.

    What becomes a query is taken out of the document, or the pair would be a game of spotting the same
    words; one of six words and more that still stands in its document is left out and counted. The judgments
    are all `train`; `with_splits` cuts them. A collection that has judgments comes back as it is, with no
    counts.

    Raises:
        InputError: no document has enough text to make a pair of.
    """
    if any(collection.qrels.values()):
        return collection, {}
    counts: Counter[str] = Counter()
    queries: dict[str, str] = {}
    judged: dict[str, dict[str, int]] = {}

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for line, row in enumerate(collection.corpus, start=1):
            made = _made(row["title"], row["text"])
            inside = normalised(made.text)
            kept = [(rule, query) for rule, query in made.queries if not _copied(query, inside)]
            if len(kept) < len(made.queries):
                counts[LEFT_OUT] += len(made.queries) - len(kept)
            if not kept:
                yield line, row
                continue
            for number, (rule, query) in enumerate(kept):
                counts[rule] += 1
                query_id = row["doc_id"] if number == 0 else f"{row['doc_id']}#{number}"
                queries[query_id], judged[query_id] = query, {row["doc_id"]: 1}
            yield line, {**row, "title": made.title, "text": made.text}

    corpus = corpus_of(records(), collection.name)
    if not queries:
        raise InputError(
            f"{collection.name}: no document has a title of {_MIN_QUERY_WORDS} words, a heading or a first "
            f"sentence, followed by {_MIN_BODY_WORDS} words; give queries and judgments of your own"
        )
    made = replace(
        collection,
        corpus=corpus,
        queries=dataset_of({"query_id": list(queries), "text": list(queries.values())}),
        qrels={"train": judged},
    )
    return made, dict(counts)


def _made(title: str, text: str) -> _Made:
    headings, rest = _headings(text)
    queries = [(HEADING, heading) for heading in headings]
    if _long(title, rest):
        return _Made([(TITLE, title), *queries], "", rest)
    if queries:
        return _Made(queries, title, rest)
    sentence, rest = (*_SENTENCE_END.split(text, maxsplit=1), "")[:2]
    if _long(sentence, rest):
        return _Made([(SENTENCE, sentence)], title, rest)
    return _Made([], title, text)


def _headings(text: str) -> tuple[list[str], str]:
    """Markdown's headings that say enough and have a section of their own, and the text without them."""
    lines = text.splitlines()
    marks = [place for place, line in _outside_fences(lines) if _HEADING.fullmatch(line)]
    found: dict[int, str] = {}
    for place, following in zip(marks, [*marks, len(lines)][1:], strict=True):
        match = _HEADING.fullmatch(lines[place])
        assert match is not None
        if _long(match["text"], " ".join(lines[place + 1 : following])):
            found[place] = match["text"]
    if not found:
        return [], text
    return list(found.values()), "\n".join(line for place, line in enumerate(lines) if place not in found)


def _outside_fences(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines that are no code: a comment in a shell script looks like a heading."""
    fenced = False
    for place, line in enumerate(lines):
        if line.lstrip().startswith(_FENCE):
            fenced = not fenced
        elif not fenced:
            yield place, line


def _copied(query: str, inside: str) -> bool:
    return len(query.split()) >= _COPIED_WORDS and normalised(query) in inside


def _long(query: str, body: str) -> bool:
    return len(query.split()) >= _MIN_QUERY_WORDS and len(body.split()) >= _MIN_BODY_WORDS
