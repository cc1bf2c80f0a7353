"""What a person decided of mined negatives, as the audit's page saves it: JSON lines."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from textrip.data.collection import Collection
from textrip.errors import InputError, MismatchError
from textrip.files import numbered_lines
from textrip.progress import say

REJECT, ACCEPT = "reject", "accept"


@dataclass(frozen=True)
class Verdicts:
    """Pairs of query_id and doc_id.

    Attributes:
        rejected: Never a negative of the query, nor is a copy; of no query that asks the same, either.
        accepted: A negative, whatever a filter by resemblance or by a model would say. Judgments still count,
            and so do windows of ranks and scores.
    """

    rejected: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    accepted: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    def require(self, collection: Collection) -> None:
        """Say how many name a query or document that the collection lacks.

        Raises:
            MismatchError: all of them do.
        """
        pairs = self.rejected | self.accepted
        queries, documents = collection.query_texts, collection.doc_row
        unknown = sum(query not in queries or document not in documents for query, document in pairs)
        if not unknown:
            return
        counted = (
            f"{unknown:,} of {len(pairs):,} verdicts name a query or document that {collection.name} lacks"
        )
        if unknown == len(pairs):
            raise MismatchError(f"{counted}; they are of another mining")
        say(counted)

    @classmethod
    def read(cls, path: str | Path) -> "Verdicts":
        """Read a file of {"query_id", "doc_id", "verdict": "accept" or "reject"}; the last line counts.

        Raises:
            InputError: no such file, not UTF-8, or a line that is none of these.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        found: dict[tuple[str, str], str] = {}
        # Not by str.splitlines: an id may hold a line separator (U+2028), which JSON leaves as it is.
        for number, line in numbered_lines(path):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                pair, verdict = (row["query_id"], row["doc_id"]), row["verdict"]
                if not all(isinstance(part, str) for part in pair) or verdict not in {REJECT, ACCEPT}:
                    raise ValueError
            except (ValueError, KeyError, TypeError, RecursionError):
                raise InputError.at(
                    str(path), number,
                    f'found {line[:60]!r}, {{"query_id": ..., "doc_id": ..., "verdict": "reject"}} was '
                    "expected (or accept)",
                ) from None  # fmt: skip
            found[pair] = verdict
        return cls(
            frozenset(pair for pair, verdict in found.items() if verdict == REJECT),
            frozenset(pair for pair, verdict in found.items() if verdict == ACCEPT),
        )
