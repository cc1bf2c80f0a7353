"""Labelled texts: which are trained on, and what dev and test ask: a text finds those of its label."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from textrip.data.collection import Collection, dataset_of
from textrip.data.finding import many
from textrip.data.label_parts import SHARES, label_parts
from textrip.errors import InputError
from textrip.progress import say


def by_label(
    collection: Collection,
    *,
    seed: int = 0,
    dev: float = SHARES["dev"],
    test: float = SHARES["test"],
) -> Collection:
    """Labelled texts as a collection: the corpus is train's texts, dev's and test's are the queries.

    What is relevant for a query is every document of its label. A split that is missing is cut from
    train; copies and near-copies stay on one side, and those of given dev and test texts leave train.
    Training reads the labels, so that there are no judgments for train.

    Args:
        collection: Its corpus has a label column, and a split column where files gave one.
        seed: Another seed draws other splits.
        dev: The share of dev, where it is cut.
        test: The share of test, where it is cut.

    Raises:
        InputError: there are no labels, or too few texts or labels, or dev has no label of train's, or the
            shares leave nothing to train.
    """
    if not (0 <= dev < 1 and 0 <= test < 1 and dev + test < 1):
        raise InputError(f"dev is {dev:g} and test {test:g}; shares that leave some to train were expected")
    labels, texts = collection.labels, collection.texts
    parts = label_parts(collection, {"dev": dev, "test": test}, seed)
    for finding in parts.findings():
        say(finding.message)
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for row in parts.train:
        relevant[labels[row]][collection.doc_ids[row]] = 1
    if len(relevant) < 2:
        raise InputError(
            f"{collection.name}: train has {many(len(parts.train), 'text', 'texts')} of "
            f"{many(len(relevant), 'label', 'labels')} to learn from, at least 2 labels were expected"
            + (f" ({len(parts.copies):,} of its texts are in dev or test, too)" if parts.copies else "")
        )
    splits = parts.splits
    asked = [row for row, split in enumerate(splits) if split != "train" and labels[row] in relevant]
    strangers = [labels[row] for row in parts.strangers if splits[row] == "dev"]
    if strangers and not any(splits[row] == "dev" for row in asked):
        raise InputError(
            f"{collection.name}: no text of dev has a label that train has (dev: {strangers[0]!r}, train: "
            f"{next(iter(relevant))!r}), so that none can be found; give both texts of the same labels"
        )
    return replace(
        collection,
        corpus=collection.corpus.select(parts.train),
        queries=dataset_of(
            {"query_id": [collection.doc_ids[row] for row in asked], "text": [texts[row] for row in asked]}
        ),
        # A label's judgments are one mapping, however many texts ask for it.
        qrels={
            split: {collection.doc_ids[row]: relevant[labels[row]] for row in asked if splits[row] == split}
            for split in ("dev", "test")
        },
    )


def thinned(collection: Collection, max_documents: int) -> Collection:
    """The collection with at most so many documents, evenly drawn in their order (0: all of them).

    Judgments go with their documents; a query that has none left is not asked.
    """
    size = len(collection.corpus)
    if not 0 < max_documents < size:
        return collection
    rows = np.linspace(0, size - 1, max_documents).round().astype(np.int64)
    kept = {collection.doc_ids[row] for row in rows}
    cut: dict[int, dict[str, int]] = {}  # by identity: a label's judgments are one mapping

    def judged(whole: dict[str, int]) -> dict[str, int]:
        return cut.setdefault(id(whole), {doc_id: grade for doc_id, grade in whole.items() if doc_id in kept})

    qrels = {
        split: {query: judged(whole) for query, whole in asked.items() if judged(whole)}  # type: ignore[arg-type]
        for split, asked in collection.qrels.items()
    }
    return replace(collection, corpus=collection.corpus.select(rows), qrels=qrels)
