"""The part of a document that answers: a window of words with the query's terms marked."""

from dataclasses import dataclass

from textrip.data.words import word_pattern
from textrip.lexical.analyzer import Analyzer

# Looking for the best window of a very long document is not worth a wait.
_MAX_CHARACTERS = 200_000
# No window is wider than so many characters.
_WIDEST = 800


@dataclass(frozen=True)
class Snippet:
    """A piece of text and the character spans in it that match the query."""

    text: str
    marks: tuple[tuple[int, int], ...]


def snippet(text: str, query: str, analyzer: Analyzer, *, words: int = 36) -> Snippet:
    """The window of so many words with the most distinct terms of the query; the first of equals.

    Blanks and line ends become single blanks. Words are compared as BM25 compares them.
    """
    cut = len(text) > _MAX_CHARACTERS
    text = " ".join(text[:_MAX_CHARACTERS].split())
    wanted = set(analyzer(query))
    spans = [match.span() for match in word_pattern(text).finditer(text)]
    if not spans:
        return Snippet(text[:200], ())
    terms = [wanted.intersection(analyzer(text[start:end])) for start, end in spans]
    first = _best_window(terms, words)
    last = min(first + words, len(spans)) - 1
    begin = 0 if first == 0 else spans[first][0]
    end = len(text) if last == len(spans) - 1 else spans[last][1]
    if end - begin > _WIDEST:  # a "word" may be a megabyte of base64
        match = next((spans[place][0] for place in range(first, last + 1) if terms[place]), begin)
        begin = max(begin, match - _WIDEST // 4)
        end = min(end, begin + _WIDEST)
    lead, tail = "… " if begin else "", " …" if cut or end < len(text) else ""
    marks = tuple(
        (spans[place][0] - begin + len(lead), min(spans[place][1], end) - begin + len(lead))
        for place in range(first, last + 1)
        if terms[place] and begin <= spans[place][0] < end
    )
    return Snippet(f"{lead}{text[begin:end]}{tail}", marks)


def _best_window(terms: list[set[str]], size: int) -> int:
    """Where the window of `size` words with the most distinct terms begins."""
    counts: dict[str, int] = {}
    best, best_start = -1, 0
    for place, found in enumerate(terms):
        for term in found:
            counts[term] = counts.get(term, 0) + 1
        if place >= size:
            for term in terms[place - size]:
                counts[term] -= 1
                if not counts[term]:
                    del counts[term]
        if len(counts) > best:
            best, best_start = len(counts), max(0, place - size + 1)
    # A window that ends at the first match shows nothing after it: begin a little before it instead.
    matches = [place for place in range(best_start, min(best_start + size, len(terms))) if terms[place]]
    if matches and best_start:
        best_start = max(0, matches[-1] - size + 1, min(matches[0] - 3, len(terms) - size))
    return best_start
