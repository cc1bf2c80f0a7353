"""What is wrong with triples: what they hold against a query, and what they train on of the held-out ones."""

from collections.abc import Iterator

from textrip.data.collection import Collection
from textrip.data.finding import Finding, gravest_first, some
from textrip.data.judged_texts import JudgedTexts
from textrip.data.leaks import leaking
from textrip.data.own import own_row
from textrip.data.words import normalised
from textrip.mining.triples import Triples


def check_triples(triples: Triples, collection: Collection) -> list[Finding]:
    """Errors first.

    Raises:
        MismatchError: the triples name what the collection does not have.
    """
    triples.require(collection)
    return gravest_first(
        [
            *_contradictions(triples, collection),
            *_unjudged(triples, collection),
            *_held_out(triples, collection),
        ]
    )


def _unjudged(triples: Triples, collection: Collection) -> Iterator[Finding]:
    """Positives that no judgment has: it may have been taken back since they were mined."""
    splits = collection.qrels.values()
    found = [
        f"query {group.query_id}, positive {group.positive_id}"
        for group in triples.groups
        if not any(judged.get(group.query_id, {}).get(group.positive_id, 0) > 0 for judged in splits)
    ]
    if found and any(splits):
        yield Finding(
            "warning", "positives-not-judged", len(found),
            f"in {len(found):,} of {len(triples):,} groups of the triples the positive is not judged "
            "relevant to the query: mine them anew where judgments have changed", some(found),
        )  # fmt: skip


def _contradictions(triples: Triples, collection: Collection) -> Iterator[Finding]:
    judged = JudgedTexts(collection)
    texts: dict[str, str] = {}

    def text(doc_id: str) -> str:
        if doc_id not in texts:
            texts[doc_id] = normalised(collection.texts[collection.doc_row[doc_id]])
        return texts[doc_id]

    relevant_texts: dict[str, set[str]] = {}  # by query text, which thousands of queries may share

    same: list[str] = []
    own: list[str] = []
    relevant: list[str] = []
    for group in triples.groups:
        query = normalised(collection.query_texts[group.query_id])
        if query not in relevant_texts:
            relevant_texts[query] = {text(doc_id) for doc_id in judged.relevant(query)}
        for negative in group.negatives:
            where = f"query {group.query_id}, positive {group.positive_id}, negative {negative.doc_id}"
            if text(negative.doc_id) == text(group.positive_id):
                same.append(where)
            elif text(negative.doc_id) == query or (
                negative.doc_id == group.query_id and own_row(collection, group.query_id) is not None
            ):
                own.append(where)
            elif text(negative.doc_id) in relevant_texts[query]:
                relevant.append(where)
    for kind, found, what in (
        ("positive-equals-negative", same, "the positive's own text is a negative"),
        ("anchor-among-negatives", own, "the query itself is a negative"),
        ("relevant-negative", relevant, "a negative is judged relevant, or a copy of what is"),
    ):
        if found:
            yield Finding(
                "error", kind, len(found), f"in {len(found):,} of {triples.count:,} triples {what}",
                some(found),
            )  # fmt: skip


def _held_out(triples: Triples, collection: Collection) -> Iterator[Finding]:
    leaks = leaking(collection)
    judged: dict[str, list[str]] = {}
    for split, qrels in collection.qrels.items():
        for query_id in qrels if split != "train" else ():
            judged.setdefault(query_id, []).append(f"{split}'s")
    queries = dict.fromkeys(group.query_id for group in triples.groups)
    found = [
        f"query {query_id} is {' and '.join(judged[query_id])}"
        if query_id in judged
        else f"query {query_id} has the text of {' and '.join(map(' '.join, leaks[query_id].items()))}"
        for query_id in queries
        if query_id in judged or query_id in leaks
    ]
    if found:
        yield Finding(
            "warning", "held-out-queries-in-triples", len(found),
            f"{len(found):,} queries of the triples are held out in dev or test, or have the text of one "
            "that is; train leaves them out", some(found),
        )  # fmt: skip
