"""What is wrong with a collection, before it costs a training run.

An error makes training or its figures wrong, and stops `train` and `fit`; a warning is worth knowing; a note
is a figure that was asked for, with nothing wrong about it.
"""

from collections import defaultdict
from collections.abc import Iterator

from textrip.data.collection import Collection
from textrip.data.finding import Finding, Told, gravest_first, many, short, some
from textrip.data.label_parts import check_labels
from textrip.data.leaks import held_out_keys, leaking, nothing_left
from textrip.data.near_duplicates import near_duplicates
from textrip.data.own import check_echoes, check_own
from textrip.data.words import normalised

# Of the corpus: where more of it is relevant for some query, there is hardly anything to tell apart.
_POSITIVES_ONLY = 0.95


def check(collection: Collection, *, near: bool = True) -> list[Finding]:
    """Look through a collection, the gravest first.

    Args:
        collection: With judgments, or without.
        near: Also look for near-duplicates (see near_duplicates.py), which takes most of the time, at labels,
            which are compared by them, and at pairs of one text, for which every answer is read.
    """
    found = [
        *collection.remarks,
        *_unjudged(collection),
        *_held_out_in_train(collection),
        *_test_in_dev(collection),
        *_conflicts(collection),
        *_unknown(collection),
        *_without_positive(collection),
        *_positives_only(collection),
        *check_own(collection, "dev", "test"),  # of train no ranking is measured
        *_empty(collection),
        *((*check_labels(collection), *check_echoes(collection), *_duplicates(collection)) if near else ()),
    ]
    return gravest_first(found)


def _unjudged(collection: Collection) -> Iterator[Finding]:
    """Queries that nothing is done with."""
    judged = {query_id for qrels in collection.qrels.values() for query_id in qrels}
    idle = [query_id for query_id in collection.query_texts if query_id not in judged]
    if not idle:
        return
    what = (
        "nothing is trained or measured on them"
        if judged
        else "none is used: without judgments questions are made of the documents"
    )
    yield Finding(
        "warning", "queries-without-judgments", len(idle),
        f"{len(idle):,} of {len(collection.queries):,} queries have no judgment; {what}",
        some(f"{query_id}: {short(collection.query_texts[query_id])}" for query_id in idle),
    )  # fmt: skip


def _held_out_in_train(collection: Collection) -> Iterator[Finding]:
    texts = collection.query_texts
    found = leaking(collection)
    said = nothing_left(collection, found)
    if said is not None:
        yield Finding(
            "error", "nothing-to-train-on", len(found), said, some(short(texts[mine]) for mine in found)
        )
    for split in sorted({split for held in found.values() for split in held}):
        pairs = [(mine, held[split]) for mine, held in found.items() if split in held]
        distinct = len({theirs for _, theirs in pairs})
        yield Finding(
            "warning",
            f"{split}-queries-in-train",
            distinct,
            f"{many(distinct, f'query text of {split}', f'query texts of {split}')} also in train; those of "
            "train are left out of training",
            some(f"{_pair(theirs, mine)}: {short(texts[mine])}" for mine, theirs in pairs),
        )


def _test_in_dev(collection: Collection) -> Iterator[Finding]:
    texts = collection.query_texts
    both = [held for held in held_out_keys(collection).values() if {"dev", "test"} <= held.keys()]
    if both:
        yield Finding(
            "warning", "test-queries-in-dev", len(both),
            f"{many(len(both), 'query text of test', 'query texts of test')} also in dev, which decides what "
            "is kept: figures of test are too good; take them out of dev",
            some(f"{_pair(held['test'], held['dev'])}: {short(texts[held['dev']])}" for held in both),
        )  # fmt: skip


def _pair(one: str, other: str) -> str:
    """Two queries of one text; with the id of one query, where two splits have it."""
    return one if one == other else f"{one} is {other}"


def _conflicts(collection: Collection) -> Iterator[Finding]:
    """The same query text and the same document text, judged relevant and judged not relevant."""
    texts = collection.query_texts
    judgments = [
        (split, query_id, judged)
        for split, qrels in collection.qrels.items()
        for query_id, judged in qrels.items()
        if query_id in texts
    ]
    # Most collections judge nothing as not relevant: only queries of which something is are compared.
    negative = {
        normalised(texts[query_id])
        for _, query_id, judged in judgments
        if any(grade <= 0 for grade in judged.values())
    }
    keys: dict[str, int] = {}
    grades: dict[tuple[str, int], dict[bool, str]] = defaultdict(dict)
    for split, query_id, judged in judgments:
        query = normalised(texts[query_id])
        if query not in negative:
            continue
        for doc_id, grade in judged.items():
            row = collection.doc_row.get(doc_id)
            if row is not None:
                if doc_id not in keys:
                    keys[doc_id] = hash(normalised(collection.texts[row]))
                grades[query, keys[doc_id]][grade > 0] = f"{split}: {query_id} {doc_id}"
    conflicts = [both for both in grades.values() if len(both) == 2]
    if conflicts:
        yield Finding(
            "error",
            "conflicting-judgments",
            len(conflicts),
            f"{many(len(conflicts), 'pair of texts', 'pairs of texts')} judged relevant and not relevant: "
            "decide which",
            some(f"{both[True]}, and {both[False]}" for both in conflicts),
        )


def _unknown(collection: Collection) -> Iterator[Finding]:
    rows, texts = collection.doc_row, collection.query_texts
    documents = [
        f"{split}: {query_id} {doc_id}"
        for split, qrels in collection.qrels.items()
        for query_id, judged in qrels.items()
        for doc_id in judged
        if doc_id not in rows
    ]
    if documents:
        yield Finding(
            "warning",
            "judgments-of-unknown-documents",
            len(documents),
            f"{many(len(documents), 'judgment names', 'judgments name')} a document that the corpus lacks",
            some(documents),
        )
    queries = [
        f"{split}: {query_id}"
        for split, qrels in collection.qrels.items()
        for query_id in qrels
        if query_id not in texts
    ]
    if queries:
        yield Finding(
            "error",
            "judgments-of-unknown-queries",
            len(queries),
            f"{many(len(queries), 'judged query has', 'judged queries have')} no text: add it, or remove "
            "the judgments",
            some(queries),
        )


def _without_positive(collection: Collection) -> Iterator[Finding]:
    for split, qrels in collection.qrels.items():
        without = [query_id for query_id, judged in qrels.items() if not collection.count_relevant(judged)]
        if without:
            all_of_it = len(without) == len(qrels)
            yield Finding(
                "error" if all_of_it else "warning",
                "queries-without-positive",
                len(without),
                f"{many(len(without), 'query', 'queries')} of {split} without a relevant document in the "
                f"corpus{': nothing can be learned or measured' if all_of_it else ''}",
                some(without),
            )


def _positives_only(collection: Collection) -> Iterator[Finding]:
    relevant = {
        doc_id
        for qrels in collection.qrels.values()
        for judged in qrels.values()
        for doc_id, grade in judged.items()
        if grade > 0 and doc_id in collection.doc_row
    }
    share = len(relevant) / max(1, len(collection.corpus))
    if share > _POSITIVES_ONLY:
        yield Finding(
            "warning",
            "corpus-of-positives",
            len(relevant),
            f"{share:.0%} of the corpus is relevant for some query: figures on a corpus of answers alone are "
            "better than a search will be; add the documents that answer nothing",
        )


def _empty(collection: Collection) -> Iterator[Finding]:
    empty = [
        doc_id for doc_id, text in zip(collection.doc_ids, collection.texts, strict=True) if not text.strip()
    ]
    if empty:
        count = len(empty)
        yield Finding(
            "warning", "empty-documents", count, f"{many(count, 'document has', 'documents have')} no text",
            some(empty),
        )  # fmt: skip
    asked = {query_id for qrels in collection.qrels.values() for query_id in qrels}
    silent = [
        query_id
        for query_id, text in collection.query_texts.items()
        if query_id in asked and not text.strip()
    ]
    if silent:
        count = len(silent)
        yield Finding(
            "warning", "empty-queries", count,
            f"{many(count, 'judged query has', 'judged queries have')} an empty text", some(silent),
        )  # fmt: skip


def _duplicates(collection: Collection) -> Iterator[Finding]:
    ids, texts = collection.doc_ids, collection.texts
    same, near = Told(), Told()
    pairs = near_duplicates(texts, progress="looking for near-duplicates", total=len(texts))
    for pair in pairs:
        if not normalised(texts[pair.first]) and not normalised(texts[pair.second]):
            continue  # told as what they are: empty
        example = f"{ids[pair.first]} and {ids[pair.second]}"
        if pair.resemblance == 1.0 and normalised(texts[pair.first]) == normalised(texts[pair.second]):
            same.add(example)
        else:
            near.add(f"{example} ({pair.resemblance:.2f})")
    yield from same.findings(
        "warning", "duplicate-documents",
        f"{many(same.count, 'document is', 'documents are')} a copy of another: they take the places of "
        "others in a result",
    )  # fmt: skip
    yield from near.findings(
        "warning", "near-duplicate-documents",
        f"{many(near.count, 'pair', 'pairs')} of documents with nearly the same text",
    )  # fmt: skip
    yield from _near_queries(collection)


def _near_queries(collection: Collection) -> Iterator[Finding]:
    """Query texts of train that resemble one of dev or test, and are no copies of it (see `leaking`).

    Each text is compared once, whoever asks it: of its queries one of train and one that is held out count.
    """
    texts, known = collection.query_texts, leaking(collection)
    trained: dict[str, tuple[str, str]] = {}
    held: dict[str, tuple[str, str]] = {}
    for split, qrels in collection.qrels.items():
        for query_id in qrels:
            if query_id in texts and not (split == "train" and query_id in known):
                asked = trained if split == "train" else held
                asked.setdefault(normalised(texts[query_id]), (split, query_id))
    distinct = [*dict.fromkeys([*trained, *held])]
    pairs = [
        f"train {trained[one][1]} and {' '.join(held[other])} ({pair.resemblance:.2f}): "
        f"{short(texts[trained[one][1]])}"
        for pair in near_duplicates(distinct)
        for one, other in _either_way(distinct[pair.first], distinct[pair.second])
        if one in trained and other in held
    ]
    if pairs:
        yield Finding(
            "warning", "near-duplicate-queries", len(pairs),
            f"{many(len(pairs), 'pair', 'pairs')} of queries with nearly the same text in train and in what "
            "is held out", some(pairs),
        )  # fmt: skip


def _either_way(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one, other), (other, one)
