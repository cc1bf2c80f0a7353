"""The field's own nouns, as immutable records.

Qrels map a query to its judged documents and their relevance: 1 and above is relevant (graded), 0 and below
is judged and not relevant. A Run maps a query to its retrieved documents and their scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]]
# What a text is encoded as: which prompt goes before it.
Kind = Literal["query", "document"]

# A higher one is no grade but something else, a moment in time or an id: trec_eval counts up to it in memory.
HIGHEST_GRADE = 1_000_000


def full_text(title: str, text: str) -> str:
    """A document as one string. Everything that encodes, indexes or counts a document calls this."""
    if title and text:
        return f"{title} {text}"
    return title or text


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus."""

    doc_id: str
    title: str
    text: str

    @property
    def full_text(self) -> str:
        """Title and text as one string."""
        return full_text(self.title, self.text)


@dataclass(frozen=True, slots=True)
class Query:
    """One query."""

    query_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved document; rank counts from 1.

    Attributes:
        metadata: What else the document's row had.
        passage: Of a document that was cut into several, the one that was found.
    """

    rank: int
    doc_id: str
    score: float
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    passage: str | None = None
