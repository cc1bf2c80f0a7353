"""Which column of a table means what: found by its usual names, or named by the caller."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from textrip.errors import InputError

# The names under which data sets on the hub and in the wild carry each role, the most usual first.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("_id", "id", "doc_id", "docid", "document_id", "corpus_id", "corpus-id", "passage_id", "pid"),
    "title": ("title", "heading", "subject", "headline"),
    "text": ("text", "body", "content", "contents", "document", "passage", "abstract"),
    "anchor": ("anchor", "query", "question", "query_text"),
    "positive": ("positive", "pos", "answer", "positive_text", "relevant"),
    "negative": ("negative", "neg", "negative_text", "hard_negative"),
    "score": ("score", "relevance", "rel"),
    "label": ("label", "labels", "category", "class", "topic", "intent"),
}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The column for each role; None looks for its usual names."""

    id: str | None = None
    title: str | None = None
    text: str | None = None
    anchor: str | None = None
    positive: str | None = None
    negative: str | None = None
    score: str | None = None
    label: str | None = None

    def resolve(self, found: Iterable[str], *, source: str) -> dict[str, str]:
        """From role to column name, for the roles that `found` has.

        Raises:
            InputError: a column that the caller named is not there.
        """
        names = [name for name in found if name is not None]
        by_lower = {name.lower(): name for name in reversed(names)}
        roles: dict[str, str] = {}
        for role in (member.name for member in fields(self)):
            asked = getattr(self, role)
            if asked is not None:
                if asked not in names:
                    raise InputError(f"{source}: has no column {asked!r} (columns: {', '.join(names)})")
                roles[role] = asked
                continue
            match = next((by_lower[alias] for alias in ALIASES[role] if alias in by_lower), None)
            if match is not None and match not in roles.values():
                roles[role] = match
        return roles
