"""Queries that are documents of the corpus, as in ArguAna and Quora: each finds itself first."""

from collections.abc import Iterator

from textrip.data.collection import Collection
from textrip.data.finding import Finding, many, short, some
from textrip.data.together import near_duplicate_key
from textrip.data.words import normalised
from textrip.records import Qrels


def check_own(collection: Collection, *splits: str) -> Iterator[Finding]:
    """Say of each split how many of its judged queries find themselves: by id and text, and not relevant."""
    for split in splits:
        found = _own_documents(collection, split)
        if found:
            count = len(found)
            queries = many(count, f"query of {split} is a document", f"queries of {split} are documents")
            yield Finding(
                "warning", "queries-that-are-documents", count,
                f"{queries} of the corpus, by id and text, and would stand first in their own ranking: "
                "--without-own-id leaves them out of it", some(found),
            )  # fmt: skip


def check_echoes(collection: Collection) -> Iterator[Finding]:
    """Say how many pairs of train are one text twice: they have nothing to bring together."""
    texts, rows = collection.query_texts, collection.doc_row
    pairs, echoes = 0, []
    for query_id, judged in collection.qrels.get("train", {}).items():
        if query_id not in texts:
            continue
        query = normalised(texts[query_id])
        if not query:  # which is said of it
            continue
        for doc_id, grade in judged.items():
            row = rows.get(doc_id)
            if grade <= 0 or row is None:
                continue
            pairs += 1
            found = collection.texts[row]
            # Most are longer by far, and are not read through.
            if len(found) <= 2 * len(texts[query_id]) + 16 and normalised(found) == query:
                echoes.append(f"{query_id} {doc_id}: {short(texts[query_id])}")
    if echoes:
        yield Finding(
            "warning", "positives-that-are-the-query", len(echoes),
            f"{len(echoes):,} of {pairs:,} relevant documents of train have their query's own text: what "
            "is relevant is not learnt from them", some(echoes),
        )  # fmt: skip


def judged_without_own(collection: Collection, split: str) -> Qrels:
    """The judgments of a split without a query's own document: nobody is to find it, so nobody misses it.

    A query that nothing else answers is asked no more.
    """
    judged = {}
    for query_id, grades in collection.judged(split).items():
        others = {doc_id: grade for doc_id, grade in grades.items() if doc_id != query_id}
        if grades.get(query_id, 0) <= 0 or any(grade > 0 for grade in others.values()):
            judged[query_id] = others
    return judged


def own_row(collection: Collection, query_id: str) -> int | None:
    """The place of the document that a query is, by id and text: another one may have its number."""
    row = collection.doc_row.get(query_id)
    if row is None:
        return None
    asked, found = near_duplicate_key(collection.query_texts[query_id]), collection.corpus[row]
    texts = found["title"], found["text"], collection.texts[row]
    return row if asked in map(near_duplicate_key, texts) else None


def _own_documents(collection: Collection, split: str) -> list[str]:
    rows, texts = collection.doc_row, collection.query_texts
    found = []
    for query_id, judged in collection.qrels.get(split, {}).items():
        row = rows.get(query_id)
        if row is None or query_id not in texts or judged.get(query_id, 0) > 0:
            continue
        text = normalised(texts[query_id])
        if text in {normalised(collection.texts[row]), normalised(collection.corpus[row]["text"])}:
            found.append(query_id)
    return found
