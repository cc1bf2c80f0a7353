"""What a person decided of mined negatives, as the audit's page saves it: JSON lines."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.data.rows import json_value
from textrip.data.together import near_duplicate_key
from textrip.data.words import normalised
from textrip.errors import InputError, MismatchError
from textrip.files import numbered_lines
from textrip.mining.filters import Texts
from textrip.progress import say

REJECT, ACCEPT = "reject", "accept"
Pair = tuple[str, str]


def texts_mark(query: str, document: str) -> str:
    """What a verdict says of the two texts that it was given on: ids may come to stand for others."""
    both = f"{normalised(query)}\0{normalised(document)}"
    return hashlib.sha256(both.encode()).hexdigest()[:12]


_DAMAGED = "they are damaged, mine them again"


@dataclass(frozen=True)
class Verdicts:
    """Pairs of query_id and doc_id.

    Attributes:
        rejected: Never a negative of the query, nor is a copy; of no query that asks the same, either.
        accepted: A negative, whatever a filter by resemblance or by a model would say. Judgments still count,
            and so do windows of ranks and scores.
        marks: Of the texts that a verdict was given on (see texts_mark), where that is known.
    """

    rejected: frozenset[Pair] = field(default_factory=frozenset)
    accepted: frozenset[Pair] = field(default_factory=frozenset)
    marks: Mapping[Pair, str] = field(default_factory=dict)

    def of(self, collection: Collection, *, tell: bool = True) -> "Verdicts":
        """Those that are about this collection; how many are not is said, where nobody has said it (`tell`).

        A verdict is not where it names a query or document that the collection lacks, or was given on other
        texts: in data without ids a line more gives all that follow the id of another.

        Raises:
            MismatchError: none of them is.
        """
        pairs = self.rejected | self.accepted
        queries, rows = collection.query_texts, collection.doc_row
        unknown = {pair for pair in pairs if pair[0] not in queries or pair[1] not in rows}
        other = {
            pair
            for pair in pairs - unknown
            if pair in self.marks
            and self.marks[pair] != texts_mark(queries[pair[0]], collection.texts[rows[pair[1]]])
        }
        counted = [
            f"{len(found):,} of {len(pairs):,} verdicts {what}"
            for found, what in (
                (unknown, f"name a query or document that {collection.name} lacks"),
                (other, f"were given on other texts than {collection.name} has by these ids"),
            )
            if found
        ]
        if pairs and pairs == unknown | other:
            raise MismatchError(f"{', '.join(counted)}; they are of another mining")
        if counted and tell:
            say(f"{', '.join(counted)}: they are left out")
        relevant = {
            (query_id, doc_id)
            for judged in collection.qrels.values()
            for query_id, doc_id in pairs - unknown - other
            if judged.get(query_id, {}).get(doc_id, 0) > 0
        }
        if relevant and tell:
            say(
                f"{len(relevant):,} of {len(pairs):,} verdicts are on documents that are judged relevant, "
                "and change nothing: no such document is mined; change the judgment"
            )
        return Verdicts(self.rejected - unknown - other, self.accepted - unknown - other, self.marks)

    def to_dict(self) -> dict[str, list[list[str]]]:
        """As triples keep them for a later round of mining."""
        return {name: sorted(map(list, getattr(self, name))) for name in ("rejected", "accepted")}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any] | None) -> "Verdicts":
        """What `to_dict` gave; none where nothing was saved."""
        kept = saved or {"rejected": (), "accepted": ()}
        if not {"rejected", "accepted"} <= kept.keys():
            raise InputError(f"the triples' verdicts are {', '.join(kept)}: {_DAMAGED}")
        if not isinstance(kept["rejected"], (list, tuple)):  # an earlier version kept their number
            raise InputError(
                f"the triples were mined with {kept['rejected']} rejected documents, and do not say which: "
                "mine them again with the verdicts, or train one round"
            )
        try:
            rejected, accepted = (
                frozenset((query_id, doc_id) for query_id, doc_id in kept[name])
                for name in ("rejected", "accepted")
            )
        except (TypeError, ValueError):
            raise InputError(f"the triples' verdicts are no pairs: {_DAMAGED}") from None
        return cls(rejected, accepted)

    @classmethod
    def read(cls, *paths: str | Path) -> "Verdicts":
        """Read files of {"query_id", "doc_id", "verdict": "accept" or "reject"}; the last line counts.

        How many lines are overruled by later ones is said.

        Raises:
            InputError: no such file, not UTF-8, or a line that is none of these.
        """
        found: dict[Pair, str] = {}
        marks: dict[Pair, str] = {}
        overruled = sum(cls._read(path, found, marks) for path in map(Path, paths))
        if overruled:
            say(f"{many(overruled, 'verdict is', 'verdicts are')} overruled by a later line on the same pair")
        return cls(
            frozenset(pair for pair, verdict in found.items() if verdict == REJECT),
            frozenset(pair for pair, verdict in found.items() if verdict == ACCEPT),
            marks,
        )

    @staticmethod
    def _read(path: Path, found: dict[Pair, str], marks: dict[Pair, str]) -> int:
        """Add a file's verdicts; how many others they overrule."""
        overruled = 0
        if path.is_dir():
            raise InputError(f"{path}: is a folder, a file of verdicts was expected")
        if not path.exists():  # a pipe is read, too
            raise InputError(f"{path}: no such file")
        # Not by str.splitlines: an id may hold a line separator (U+2028), which JSON leaves as it is.
        for number, line in numbered_lines(path):
            if not line.strip():
                continue
            try:
                row = json_value(line)
                pair, verdict = (row["query_id"], row["doc_id"]), row["verdict"]
                mark = row.get("texts", "")
                if not ({type(part) for part in (*pair, mark)} == {str} and verdict in {REJECT, ACCEPT}):
                    raise ValueError
            except (ValueError, KeyError, TypeError, RecursionError):
                raise InputError.at(
                    str(path), number,
                    f'found {line[:60]!r}, {{"query_id": ..., "doc_id": ..., "verdict": "reject"}} was '
                    "expected (or accept)",
                ) from None  # fmt: skip
            overruled += found.get(pair, verdict) != verdict
            found[pair] = verdict
            marks.pop(pair, None)
            if mark:
                marks[pair] = mark
        return overruled


class Decisions:
    """Verdicts as they hold: for every query of the text, and for every copy of the document.

    A rejection holds for queries of the same words in another order, too.

    Where one was given on both sides, the document is no negative.
    """

    def __init__(self, verdicts: Verdicts, collection: Collection, texts: Texts) -> None:
        self._texts = texts
        queries, rows = collection.query_texts, collection.doc_row

        def by_text(pairs: Iterable[Pair], key: Callable[[str], str]) -> frozenset[tuple[str, int]]:
            return frozenset(
                (key(queries[query_id]), texts.key(rows[doc_id]))
                for query_id, doc_id in pairs
                if query_id in queries and doc_id in rows
            )

        # As judgments hold (judged_texts.py): no negative of what asks nearly the same, one of the very text.
        self._rejected = by_text(verdicts.rejected, near_duplicate_key)
        self._accepted = by_text(verdicts.accepted, normalised)

    def rejects(self, query: str, row: int) -> bool:
        """Whether a document is no negative of a query."""
        return bool(self._rejected) and (near_duplicate_key(query), self._texts.key(row)) in self._rejected

    def accepts(self, query: str, row: int) -> bool:
        """Whether a document is one, whatever a filter says."""
        if not self._accepted or (normalised(query), self._texts.key(row)) not in self._accepted:
            return False
        return not self.rejects(query, row)
