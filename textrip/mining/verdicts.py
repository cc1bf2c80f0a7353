"""What a person decided of mined negatives, as the audit's page saves it: JSON lines."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from textrip.errors import InputError
from textrip.files import numbered_lines

REJECT, ACCEPT = "reject", "accept"


@dataclass(frozen=True)
class Verdicts:
    """Pairs of query_id and doc_id.

    Attributes:
        rejected: Never a negative of the query.
        accepted: A negative, whatever a filter would say; judgments still count.
    """

    rejected: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    accepted: frozenset[tuple[str, str]] = field(default_factory=frozenset)

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
