"""Queries from the structure of a corpus that has none: titles, headings, first sentences.

The last is the inverse cloze task (Lee et al., 2019, arXiv 1906.00300) with its first sentence only.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from textrip.data.collection import Collection, dataset_of
from textrip.data.label_parts import SPLIT
from textrip.data.markdown import heading_of, outside_code
from textrip.data.tables import corpus_of
from textrip.data.words import folded, is_unspaced, words
from textrip.errors import InputError

TITLE, HEADING, SENTENCE = "title to body", "heading to section", "first sentence to the rest"
LEFT_OUT = "left out: the question stands in its own answer"
# Arabic and Hindi have marks of their own; after those of Chinese and Japanese there is no blank.
_SENTENCE_END = re.compile("(?<=[.!?\u061f\u0964])\\s+(?=\\S)|(?<=[\u3002\uff01\uff1f])\\s*(?=\\S)")
_MIN_QUERY_WORDS = 3
_MIN_BODY_WORDS = 12
# A name of three words may well be said again; a sentence that is was copied.
_COPIED_WORDS = 6
# Of its runs of so many words, this share stands in the body, whatever the punctuation.
_RUN, _COPIED_SHARE = 3, 0.8


@dataclass(frozen=True)
class _Asked:
    """A query that was made: by which rule, and which of its document's parts answer it."""

    rule: str
    text: str
    parts: tuple[int, ...]


@dataclass
class _Made:
    """A document without what became its queries, in parts where it has sections."""

    title: str
    parts: list[str]
    asked: list[_Asked] = field(default_factory=list)
    left_out: int = 0


def with_queries(collection: Collection) -> tuple[Collection, dict[str, int]]:
    """A collection whose queries are titles, headings or first sentences, and how many pairs each rule gave.

    A document with headings becomes its sections, a document each: an encoder reads the beginning of a text,
    and what stands under the seventh heading is not there. What becomes a query is taken out, or the pair
    would be a game of spotting the same words; one with which its answer begins, and one of six words and
    more that its answer says nearly word for word, is left out and counted. So this corpus is for training
    and measuring; what is searched later is the one that was given. The judgments are all `train`, and
    `with_splits` cuts them; where files gave the documents splits, a query is of its document's. A
    collection that has judgments comes back as it is, with no counts.

    Raises:
        InputError: no document has enough text to make a pair of.
    """
    if any(collection.qrels.values()):
        return collection, {}
    counts: Counter[str] = Counter()
    queries: dict[str, str] = {}
    judged: dict[str, dict[str, dict[str, int]]] = {}
    taken, taken_by_queries = set(collection.doc_ids), set(collection.doc_ids)

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for line, row in enumerate(collection.corpus, start=1):
            made = _made(row["title"], row["text"])
            ids = list(_numbered(row["doc_id"], len(made.parts), taken))
            query_ids = list(_numbered(row["doc_id"], len(made.asked), taken_by_queries))
            for asked, query_id in zip(made.asked, query_ids, strict=True):
                counts[asked.rule] += 1
                queries[query_id] = asked.text
                asked_in = judged.setdefault(row.get(SPLIT, "train"), {})
                asked_in[query_id] = {ids[part]: 1 for part in asked.parts}
            counts[LEFT_OUT] += made.left_out
            for doc_id, text in zip(ids, made.parts, strict=True):
                yield line, {**row, "doc_id": doc_id, "title": made.title, "text": text}

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
        qrels=judged,
    )
    return made, {rule: count for rule, count in counts.items() if count}


def _numbered(doc_id: str, count: int, taken: set[str]) -> Iterator[str]:
    """The document's own id, and that many less one that nobody has: a, a#1, a#2; they are taken now."""
    free = (name for number in itertools.count(1) if (name := f"{doc_id}#{number}") not in taken)
    for name in itertools.islice(itertools.chain([doc_id], free), count):
        taken.add(name)
        yield name


def _made(title: str, text: str) -> _Made:
    made = _sections(text)
    body = "\n".join(made.parts)
    if _long(title, body):
        if _copied(title, body):
            made.left_out += 1
        else:
            made.asked.insert(0, _Asked(TITLE, title, tuple(range(len(made.parts)))))
            title = ""
    made.title = title
    if made.asked or made.left_out:
        return made
    sentence, rest = (*_SENTENCE_END.split(text, maxsplit=1), "")[:2]
    if not _long(sentence, rest):
        return made
    if _copied(sentence, rest):
        made.left_out += 1
        return made
    return _Made(title, [rest], [_Asked(SENTENCE, sentence, (0,))])


def _sections(text: str) -> _Made:
    """Cut a text at Markdown's headings that say enough and have a section that does not say them again."""
    lines = text.splitlines()
    # Four blanks before it make code of a heading.
    marks = {
        place: said
        for place, line in outside_code(lines)
        if line[:1] == "#" and (said := heading_of(line)) is not None
    }
    made = _Made("", [])
    begins: list[tuple[int, str]] = []
    for (place, heading), following in zip(marks.items(), [*marks, len(lines)][1:], strict=True):
        section = "\n".join(lines[place + 1 : following])
        if not _long(heading, section):
            continue
        if _copied(heading, section):
            made.left_out += 1
        else:
            begins.append((place, heading))
    if not begins:
        return _Made("", [text], left_out=made.left_out)
    lead = "\n".join(lines[: begins[0][0]]).strip()
    if lead:
        made.parts.append(lead)
    for (place, heading), (following, _) in zip(begins, [*begins[1:], (len(lines), "")], strict=True):
        made.asked.append(_Asked(HEADING, heading, (len(made.parts),)))
        made.parts.append("\n".join(lines[place + 1 : following]).strip())
    return made


def _copied(query: str, body: str) -> bool:
    """Whether a body begins with its query, or says nearly all of a longer one word for word."""
    asked, said = words(folded(query)), words(folded(body))
    if said[: len(asked)] == asked:
        return True
    if len(asked) < _COPIED_WORDS:
        return False
    within, runs = set(_runs(said)), list(_runs(asked))
    return sum(run in within for run in runs) >= _COPIED_SHARE * len(runs)


def _runs(of: list[str]) -> Iterator[tuple[str, ...]]:
    """Every so many words that follow one another."""
    return zip(*(of[begin:] for begin in range(_RUN)), strict=False)


def _long(query: str, body: str) -> bool:
    return _count(query) >= _MIN_QUERY_WORDS and _count(body) >= _MIN_BODY_WORDS


def _count(text: str) -> int:
    return len(words(text) if is_unspaced(text) else text.split())
