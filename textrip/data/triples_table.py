"""A table of pairs or triples as a collection: what is asked, and what answers it or does not."""

from collections.abc import Iterable

from textrip.data.collection import Collection, dataset_of
from textrip.data.finding import Told, many, short
from textrip.data.rows import Row
from textrip.data.values import missing, relevance_value, text_value
from textrip.errors import InputError


def collection_from_triples(
    rows: Iterable[tuple[int, Row, dict[str, str]]], *, source: str, name: str
) -> Collection:
    """Distinct anchors become queries, distinct positives and negatives documents, all of it `train`.

    Args:
        rows: With their lines and roles.
        source: For messages.
        name: The collection's.
    """
    query_ids: dict[str, str] = {}
    doc_ids: dict[str, str] = {}
    judgments: dict[str, dict[str, int]] = {}
    either_way, own = Told(), Told()
    for line, row, roles in rows:
        anchor = _said(row, roles["anchor"], source, line)
        query_id = query_ids.setdefault(anchor, f"q{len(query_ids) + 1}")
        judged = judgments.setdefault(query_id, {})
        relevance = _relevance(row, roles["score"], source, line) if "score" in roles else 1
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
    return Collection(
        name=name,
        corpus=dataset_of(
            {"doc_id": list(doc_ids.values()), "title": [""] * len(doc_ids), "text": list(doc_ids)}
        ),
        queries=dataset_of({"query_id": list(query_ids.values()), "text": list(query_ids)}),
        qrels={"train": judgments},
        numbered=True,
        remarks=(
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
        ),
    )


def _relevance(row: Row, column: str, source: str, line: int) -> int:
    if column not in row:
        raise missing(row, column, source, line, ", which other rows have")
    return relevance_value(row[column], source, line)


def _said(row: Row, column: str, source: str, line: int) -> str:
    """A question, or what answers it: text that is not blank."""
    value = text_value(row, column, source, line)
    if not value.strip():
        reason = f"{column!r} is blank; text was expected: fill it in, or leave the row out"
        raise InputError.at(source, line, reason)
    return value


def _negatives(row: Row, roles: dict[str, str], source: str, line: int) -> list[str]:
    """The negatives of a row: none, one, or a list of them; a blank cell of a table is none."""
    column = roles.get("negative")
    if column is None:
        return []
    items = row.get(column)
    found = [
        text_value({column: item}, column, source, line, optional=True)
        for item in (items if isinstance(items, list) else [items])
    ]
    return [text for text in found if text.strip()]
