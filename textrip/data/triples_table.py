"""Tables of pairs or triples as a collection: what is asked, and what answers it or does not."""

from collections.abc import Iterable, Mapping
from typing import Any

from textrip.data.collection import Collection, dataset_of
from textrip.data.finding import Finding, Told, many, short
from textrip.data.rows import Row
from textrip.data.values import missing, relevance_value, text_value
from textrip.errors import InputError

# Names of a column whose 0 and 1 say whether a pair belongs together; a topic may be 0 or 1, too.
_JUDGING = ("label", "labels")


def with_label_as_score(first: Row, roles: dict[str, str]) -> dict[str, str]:
    """The roles of a table of pairs, whose label is the score where there is none and it is 0 or 1."""
    label = roles.get("label", "")
    if "score" in roles or label.lower() not in _JUDGING or _bit(first[label]) is None:
        return roles
    return {**roles, "score": label}


def _bit(value: Any) -> int | None:
    """0 or 1, however a table writes it; None for anything else."""
    return {"0": 0, "0.0": 0, "False": 0, "1": 1, "1.0": 1, "True": 1}.get(str(value).strip())


Rows = Iterable[tuple[int, Row, dict[str, str]]]


def collection_from_triples(splits: Mapping[str, tuple[str, Rows]], *, name: str) -> Collection:
    """Distinct anchors become queries, distinct positives and negatives documents, of all splits together.

    Args:
        splits: By split where its rows are from, for messages, and the rows with their lines and roles.
        name: The collection's.
    """
    query_ids: dict[str, str] = {}
    doc_ids: dict[str, str] = {}
    qrels: dict[str, dict[str, dict[str, int]]] = {}
    remarks: list[Finding] = []
    for split, (source, rows) in splits.items():
        qrels[split], found = _judged(rows, source, query_ids, doc_ids)
        remarks += found
    return Collection(
        name=name,
        corpus=dataset_of(
            {"doc_id": list(doc_ids.values()), "title": [""] * len(doc_ids), "text": list(doc_ids)}
        ),
        queries=dataset_of({"query_id": list(query_ids.values()), "text": list(query_ids)}),
        qrels=qrels,
        numbered=True,
        remarks=tuple(remarks),
    )


def _judged(
    rows: Rows, source: str, query_ids: dict[str, str], doc_ids: dict[str, str]
) -> tuple[dict[str, dict[str, int]], list[Finding]]:
    """A split's judgments and what is told of it; texts that were not there get the next ids."""
    judgments: dict[str, dict[str, int]] = {}
    either_way, own, unread = Told(), Told(), _Unread()
    for line, row, roles in rows:
        unread.look(row, roles, source, line)
        anchor = _said(row, roles["anchor"], source, line)
        query_id = query_ids.setdefault(anchor, f"q{len(query_ids) + 1}")
        judged = judgments.setdefault(query_id, {})
        relevance = _relevance(row, roles, source, line) if "score" in roles else 1
        positive = _said(row, roles["positive"], source, line)
        positive_id = doc_ids.setdefault(positive, f"d{len(doc_ids) + 1}")
        if (judged.get(positive_id, relevance) > 0) != (relevance > 0):
            either_way.add(f"{source}:{line}: {short(anchor)} / {short(positive)}")
        judged[positive_id] = max(relevance, judged.get(positive_id, 0))
        for negative in _negatives(row, roles, source, line):
            negative_id = doc_ids.setdefault(negative, f"d{len(doc_ids) + 1}")
            if negative == anchor:
                own.add(f"{source}:{line}: {short(anchor)}")
            elif judged.setdefault(negative_id, 0) > 0:
                either_way.add(f"{source}:{line}: {short(anchor)} / {short(negative)}")
    return judgments, [
        *unread.findings(source),
        *either_way.findings(
            "warning",
            "positive-equals-negative",
            f"in {many(either_way.count, 'row', 'rows')} a text is relevant for its query here and not "
            "there, or positive and negative at once; it counts as relevant",
        ),
        *own.findings(
            "warning",
            "anchor-among-negatives",
            f"in {many(own.count, 'row', 'rows')} the negative is the query itself; it is left out",
        ),
    ]


class _Unread:
    """The columns of a table of pairs that are not read."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._unread: list[str] = []

    def look(self, row: Row, roles: dict[str, str], source: str, line: int) -> None:
        """See which columns a row brings; one that would have been its score may not come late."""
        if row.keys() <= self._known:
            return
        used = {
            column
            for role, column in roles.items()
            if role in {"anchor", "positive", "score"} or role.startswith("negative")
        }
        for name in row.keys() - self._known - used:
            if (
                self._known
                and "score" not in roles
                and name.lower() in _JUDGING
                and _bit(row[name]) is not None
            ):
                reason = (
                    f"{name!r} is {row[name]!r}, and earlier rows have no {name!r}: give it to all of them, "
                    "or to none"
                )
                raise InputError.at(source, line, reason)
        self._unread += [name for name in row if name not in self._known | used]
        self._known.update(row)

    def findings(self, source: str) -> list[Finding]:
        """What is told of them; nothing where every column is read."""
        if not self._unread:
            return []
        count = len(self._unread)
        message = (
            f"{many(count, 'column of pairs is', 'columns of pairs are')} not read: "
            f"{', '.join(self._unread)}; a document of pairs is its text alone"
        )
        return [Finding("warning", "columns-not-read", count, message, (source,))]


def _relevance(row: Row, roles: dict[str, str], source: str, line: int) -> int:
    column = roles["score"]
    if column not in row:
        raise missing(row, column, source, line, ", which other rows have")
    if column != roles.get("label"):
        return relevance_value(row[column], source, line)
    bit = _bit(row[column])
    if bit is None:
        reason = f"{column!r} is {row[column]!r}, 0 or 1 was expected, as in the first row"
        raise InputError.at(source, line, reason)
    return bit


def _said(row: Row, column: str, source: str, line: int) -> str:
    """A question, or what answers it: text that is not blank."""
    value = text_value(row, column, source, line)
    if not value.strip():
        reason = f"{column!r} is blank; text was expected: fill it in, or leave the row out"
        raise InputError.at(source, line, reason)
    return value


def _negatives(row: Row, roles: dict[str, str], source: str, line: int) -> list[str]:
    """The negatives of a row: columns of one or a list of them; a blank cell of a table is none."""
    found = []
    for column in (column for role, column in roles.items() if role.startswith("negative")):
        items = row.get(column)
        found += [
            text_value({column: item}, column, source, line, optional=True)
            for item in (items if isinstance(items, list) else [items])
        ]
    return [text for text in found if text.strip()]
