"""Which column of a table means what: found by its usual names, or named by the caller."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from textrip.errors import InputError

# The names under which data sets on the hub and in the wild carry each role, the most usual first.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("_id", "id", "doc_id", "docid", "document_id", "corpus_id", "corpus-id", "passage_id", "pid"),
    "title": ("title", "heading", "subject", "headline"),
    "text": ("text", "body", "content", "contents", "document", "passage", "abstract"),
    "anchor": ("anchor", "query", "question", "query_text"),
    "positive": ("positive", "pos", "answer", "positive_text", "relevant"),
    "negative": ("negative", "negatives", "neg", "negative_text", "hard_negative", "hard_negatives"),
    "score": ("score", "relevance", "rel"),
    "label": ("label", "labels", "category", "class", "topic", "intent"),
}
# The roles that a document has; the others are of pairs and triples.
OF_DOCUMENTS = ("id", "title", "text", "label")
# Several negatives of a row, a column each; the role of each is "negative" and the column's name.
_NUMBERED = re.compile(r"(hard_)?neg(ative)?_?[0-9]+")


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

    @property
    def are_of_documents(self) -> bool:
        """Whether columns were named that documents have alone, and none of a pair's."""
        of_pairs = (self.anchor, self.positive, self.negative, self.score)
        return (self.id, self.title) != (None, None) and of_pairs == (None,) * 4

    def resolve(
        self, found: Iterable[str], *, source: str, held: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """From role to column name, for the roles that `found` has; a role that is `held` stays as it is.

        Raises:
            InputError: a column that the caller named is not there.
        """
        names = [name for name in found if name is not None]
        by_lower = {name.lower(): name for name in reversed(names)}
        # A name as it is written comes before another case of it.
        by_lower |= {name: name for name in names if name in by_lower}
        roles: dict[str, str] = dict(held or {})
        for role in (member.name for member in fields(self) if member.name not in roles):
            asked = getattr(self, role)
            if asked is not None:
                if asked not in names:
                    raise InputError(f"{source}: has no column {asked!r} (columns: {', '.join(names)})")
                roles[role] = asked
                continue
            match = next((by_lower[alias] for alias in ALIASES[role] if alias in by_lower), None)
            if match is not None and match not in roles.values():
                roles[role] = match
        if self.negative is None:
            numbered = (name for name in names if _NUMBERED.fullmatch(name.lower()))
            roles |= {f"negative {name}": name for name in numbered if name not in roles.values()}
        return roles

    def by_row(
        self,
        rows: Iterable[tuple[int, dict[str, Any]]],
        roles: dict[str, str],
        *,
        source: str,
        optional: Collection[str],
        of_every_row: Collection[str],
    ) -> Iterator[tuple[int, dict[str, Any], dict[str, str]]]:
        """The rows with the roles that hold for each: a later row may bring a column that the first lacks.

        Args:
            rows: With their lines; dictionaries of one file need not have the same columns.
            roles: Of the first row.
            source: For errors.
            optional: The roles that a later row may bring; it has them from there on.
            of_every_row: The roles that it may not: the rows before would mean something else with them.

        Raises:
            InputError: a row brings one that it may not.
        """
        seen: set[str] = set()
        for line, row in rows:
            if seen and not row.keys() <= seen:
                found = self.resolve(row, source=source, held=roles)
                for role in of_every_row:
                    if role in found and role not in roles:
                        reason = (
                            f"has {'a' if role == 'score' else 'an'} {role} in {found[role]!r}, which "
                            "earlier rows lack: give it to all of them, or to none"
                        )
                        raise InputError.at(source, line, reason)
                roles = roles | {role: found[role] for role in found if role.split()[0] in optional}
            seen.update(row)
            yield line, row, roles
