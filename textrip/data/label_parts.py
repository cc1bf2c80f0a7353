"""Which labelled texts are trained on, which are asked, and which are left out of both."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from textrip.data.collection import Collection
from textrip.data.finding import Finding, many, short, some
from textrip.data.split import assign_groups
from textrip.data.together import hanging_together, near_duplicate_key
from textrip.data.words import normalised

# The column of a corpus that was read from a file for each split (see split_tables.py).
SPLIT = "split"
# Of a split that is cut from train.
SHARES = {"dev": 0.1, "test": 0.2}


@dataclass(frozen=True)
class LabelParts:
    """Rows of labelled texts by what becomes of them.

    Attributes:
        collection: Their collection.
        splits: Every row's split.
        train: What is trained on.
        copies: Rows of train whose text dev or test have, too.
        strangers: Rows of dev and test with a label that train does not have.
    """

    collection: Collection
    splits: list[str]
    train: list[int]
    copies: list[int]
    strangers: list[int]

    def findings(self) -> list[Finding]:
        """What is left out."""
        texts, labels = self.collection.texts, self.collection.labels
        found = []
        if self.copies:
            count = many(len(self.copies), "labelled text of train is", "labelled texts of train are")
            found.append(
                Finding(
                    "warning", "train-texts-held-out", len(self.copies),
                    f"{count} in dev or test, too: left out of training on labels",
                    some(short(texts[row]) for row in self.copies),
                )
            )  # fmt: skip
        if self.strangers:
            count = many(len(self.strangers), "text of dev or test has", "texts of dev and test have")
            found.append(
                Finding(
                    "warning", "labels-not-in-train", len(self.strangers),
                    f"{count} a label that no text of train has: nothing can be found for them, and they are "
                    "not asked", some(f"{labels[row]}: {short(texts[row])}" for row in self.strangers),
                )
            )  # fmt: skip
        return found


def label_parts(collection: Collection, shares: dict[str, float], seed: int) -> LabelParts:
    """What becomes of every row; a split of `shares` that is missing is cut from train."""
    keys = [near_duplicate_key(text) for text in collection.texts]
    given = collection.corpus[:][SPLIT] if SPLIT in collection.corpus.column_names else None
    splits = _splits(collection.texts, keys, given, shares, seed)
    held_out = {key for key, split in zip(keys, splits, strict=True) if split != "train"}
    of_train = [row for row, split in enumerate(splits) if split == "train"]
    train = [row for row in of_train if keys[row] not in held_out]
    labels = collection.labels
    known = {labels[row] for row in train}
    return LabelParts(
        collection,
        splits,
        train,
        copies=[row for row in of_train if keys[row] in held_out],
        strangers=[row for row, split in enumerate(splits) if split != "train" and labels[row] not in known],
    )


def with_several_texts(
    rows: Iterable[int], labels: Sequence[str], texts: Sequence[str]
) -> dict[str, list[int]]:
    """From each label with two distinct texts or more to their rows, in the order of the labels.

    Copies within a label are one text: the first one's row.
    """
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[labels[row]].setdefault(normalised(texts[row]), row)
    return {label: list(kept.values()) for label, kept in sorted(found.items()) if len(kept) > 1}


def check_labels(collection: Collection) -> list[Finding]:
    """What training on the labels would leave out; nothing where the texts have none.

    Warnings alone: what is mined needs no labels.
    """
    if "label" not in collection.corpus.column_names:
        return []
    without = sum(not label for label in collection.corpus["label"])
    if without:
        return [
            Finding(
                "warning", "texts-without-a-label", without,
                f"{without:,} of {len(collection.corpus):,} documents have no label that is one text or "
                "whole number: training on labels needs one of each",
            )
        ]  # fmt: skip
    parts = label_parts(collection, SHARES, seed=0)
    labels, texts = collection.labels, collection.texts
    found = [*parts.findings(), *_alike(labels), *_contradicting(texts, labels)]
    several = with_several_texts(parts.train, labels, texts)
    if len(several) < 2:
        found.append(
            Finding(
                "warning", "one-label", len(several),
                f"{many(len(several), 'label has', 'labels have')} two distinct texts or more in train: "
                "training on labels needs 2 such labels", some(several),
            )
        )  # fmt: skip
    alone = sorted({labels[row] for row in parts.train} - several.keys())
    if alone:
        found.append(
            Finding(
                "warning", "labels-of-one-text", len(alone),
                f"{many(len(alone), 'label has', 'labels have')} one distinct text in train: training on "
                "labels leaves them out, as they have no pair", some(alone),
            )
        )  # fmt: skip
    return found


def _alike(labels: Sequence[str]) -> Iterator[Finding]:
    """Labels that a person would take for one."""
    spelled: dict[str, set[str]] = defaultdict(set)
    for label in dict.fromkeys(labels):
        spelled[normalised(label)].add(label)
    several = [sorted(found) for found in spelled.values() if len(found) > 1]
    if several:
        yield Finding(
            "warning", "labels-alike", len(several),
            f"{many(len(several), 'label is', 'labels are')} spelled in several ways (case, blanks, forms of "
            "Unicode): each way is a label of its own", some(" / ".join(map(repr, one)) for one in several),
        )  # fmt: skip


def _contradicting(texts: Sequence[str], labels: Sequence[str]) -> Iterator[Finding]:
    """Texts that are there under several labels: with each other they are neither pair nor negative."""
    of_text: dict[str, set[str]] = defaultdict(set)
    for text, label in zip(texts, labels, strict=True):
        of_text[normalised(text)].add(label)
    several = [(text, sorted(found)) for text, found in of_text.items() if len(found) > 1]
    if several:
        yield Finding(
            "warning", "texts-of-several-labels", len(several),
            f"{many(len(several), 'text has', 'texts have')} several labels: which of them is right cannot "
            "be learnt", some(f"{', '.join(found)}: {short(text)}" for text, found in several),
        )  # fmt: skip


def _splits(
    texts: Sequence[str], keys: list[str], given: list[str] | None, shares: dict[str, float], seed: int
) -> list[str]:
    """The split of every text; missing ones are cut from train, near-copies together.

    What a split that is there has, too, is no part of the cut: a dev of test's texts would decide by test.
    """
    splits = given or ["train"] * len(keys)
    wanted = {name: share for name, share in shares.items() if name not in splits and share > 0}
    if not wanted:
        return splits
    held_out = {key for key, split in zip(keys, splits, strict=True) if split != "train"}
    distinct: dict[str, str] = {}
    for key, text, split in zip(keys, texts, splits, strict=True):
        if split == "train" and key not in held_out:
            distinct[key] = min(distinct.get(key, text), text)  # in whatever order they come
    group_of = hanging_together(
        distinct, dict.fromkeys(distinct, ()), most=max(2, int(min(wanted.values()) * len(distinct))),
        what="texts",
    )  # fmt: skip
    train = {
        str(row): group_of[keys[row]]
        for row, split in enumerate(splits)
        if split == "train" and keys[row] in distinct
    }
    assigned = assign_groups(train, {"train": 1 - sum(wanted.values()), **wanted}, seed=seed)
    return [assigned.get(str(row), split) for row, split in enumerate(splits)]
