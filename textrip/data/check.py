"""What is wrong with a collection, before it costs a training run.

An error makes training or its figures wrong, and stops `train` and `fit`; a warning is worth knowing; a note
is a figure that was asked for, with nothing wrong about it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from textrip.data.collection import Collection
from textrip.data.near_duplicates import near_duplicates
from textrip.data.split import near_duplicate_key, normalised
from textrip.errors import InputError

Level = Literal["error", "warning", "note"]
_EXAMPLES = 3
_SHOWN = 80
# Of the corpus: where more of it is relevant for some query, there is hardly anything to tell apart.
_POSITIVES_ONLY = 0.95
# Of the texts: where fewer are cut, nobody loses anything.
_MANY_CUT = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: error, warning or note.
        kind: Its name, for a program.
        count: How many of it.
        message: What it means and what to do, for a person.
        examples: The first few.
    """

    level: Level
    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "examples": list(self.examples)}

    def __str__(self) -> str:
        examples = "".join(f"\n    {example}" for example in self.examples)
        return f"{self.level}: {self.message}{examples}"


def check(collection: Collection, *, near: bool = True) -> list[Finding]:
    """Look through a collection, the gravest first.

    Args:
        collection: With judgments, or without.
        near: Also look for near-duplicates (see near_duplicates.py), which takes most of the time.
    """
    found = [
        *_held_out_in_train(collection),
        *_conflicts(collection),
        *_unknown(collection),
        *_without_positive(collection),
        *_positives_only(collection),
        *_empty(collection),
        *(_duplicates(collection) if near else ()),
    ]
    return gravest_first(found)


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, notes; of a level in the order that they had."""
    return sorted(findings, key=lambda finding: get_args(Level).index(finding.level))


def require_sound(findings: Iterable[Finding], *, force: bool) -> None:
    """Raise InputError where there is an error among the findings, and force does not allow it."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors and not force:
        examples = "; ".join(errors[0].examples[:1])
        more = f" (and {len(errors) - 1} more, see textrip check)" if len(errors) > 1 else ""
        raise InputError(f"{errors[0].message}{more}: {examples}; --force goes on all the same")


def held_out_keys(collection: Collection) -> dict[str, dict[str, str]]:
    """From the key of a query text of dev or test to each split that asks it and the first query_id."""
    texts = collection.query_texts
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for split, qrels in collection.qrels.items():
        for query_id in qrels if split != "train" else ():
            if query_id in texts:
                keys[near_duplicate_key(texts[query_id])].setdefault(split, query_id)
    return dict(keys)


def leaking(collection: Collection) -> dict[str, dict[str, str]]:
    """From a query_id of train whose text dev or test asks to each of these splits and a query_id there.

    Texts count as the same where case, punctuation, order and repetition of words alone differ. A query_id
    of train that is itself judged in dev or test is one of them.
    """
    held, texts = held_out_keys(collection), collection.query_texts
    return {
        query_id: held[key]
        for query_id in collection.qrels.get("train", {})
        if query_id in texts and (key := near_duplicate_key(texts[query_id])) in held
    }


def _held_out_in_train(collection: Collection) -> Iterator[Finding]:
    texts = collection.query_texts
    found = leaking(collection)
    for split in sorted({split for held in found.values() for split in held}):
        pairs = [(mine, held[split]) for mine, held in found.items() if split in held]
        distinct = len({theirs for _, theirs in pairs})
        yield Finding(
            "warning",
            f"{split}-queries-in-train",
            distinct,
            f"{_many(distinct, f'query text of {split}', f'query texts of {split}')} also in train; those of "
            "train are left out of training",
            _some(f"{theirs} is {mine}: {_short(texts[mine])}" for mine, theirs in pairs),
        )


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
            f"{_many(len(conflicts), 'pair of texts', 'pairs of texts')} judged relevant and not relevant: "
            "decide which",
            _some(f"{both[True]}, and {both[False]}" for both in conflicts),
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
            f"{_many(len(documents), 'judgment names', 'judgments name')} a document that the corpus lacks",
            _some(documents),
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
            f"{_many(len(queries), 'judged query has', 'judged queries have')} no text: add it, or remove "
            "the judgments",
            _some(queries),
        )


def _without_positive(collection: Collection) -> Iterator[Finding]:
    rows = collection.doc_row
    for split, qrels in collection.qrels.items():
        without = [
            query_id
            for query_id, judged in qrels.items()
            if not any(grade > 0 and doc_id in rows for doc_id, grade in judged.items())
        ]
        if without:
            all_of_it = len(without) == len(qrels)
            yield Finding(
                "error" if all_of_it else "warning",
                "queries-without-positive",
                len(without),
                f"{_many(len(without), 'query', 'queries')} of {split} without a relevant document in the "
                f"corpus{': nothing can be learned or measured' if all_of_it else ''}",
                _some(without),
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
            "warning", "empty-documents", count, f"{_many(count, 'document has', 'documents have')} no text",
            _some(empty),
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
            f"{_many(count, 'judged query has', 'judged queries have')} an empty text", _some(silent),
        )  # fmt: skip


def _duplicates(collection: Collection) -> Iterator[Finding]:
    ids, texts = collection.doc_ids, collection.texts
    same: list[str] = []
    near: list[str] = []
    pairs = near_duplicates(texts, progress="looking for near-duplicates", total=len(texts))
    for pair in pairs:
        example = f"{ids[pair.first]} and {ids[pair.second]}"
        if pair.resemblance == 1.0 and normalised(texts[pair.first]) == normalised(texts[pair.second]):
            same.append(example)
        else:
            near.append(f"{example} ({pair.resemblance:.2f})")
    if same:
        yield Finding(
            "warning", "duplicate-documents", len(same),
            f"{_many(len(same), 'document is', 'documents are')} a copy of another: they take the places of "
            "others in a result", _some(same),
        )  # fmt: skip
    if near:
        yield Finding(
            "warning", "near-duplicate-documents", len(near),
            f"{_many(len(near), 'pair', 'pairs')} of documents with nearly the same text", _some(near),
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
        f"{_short(texts[trained[one][1]])}"
        for pair in near_duplicates(distinct)
        for one, other in _either_way(distinct[pair.first], distinct[pair.second])
        if one in trained and other in held
    ]
    if pairs:
        yield Finding(
            "warning", "near-duplicate-queries", len(pairs),
            f"{_many(len(pairs), 'pair', 'pairs')} of queries with nearly the same text in train and in what "
            "is held out", _some(pairs),
        )  # fmt: skip


def _either_way(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one, other), (other, one)


def truncation(
    collection: Collection, count_tokens: Callable[[Sequence[str]], Sequence[int]], limit: int
) -> list[Finding]:
    """Which share of the texts is longer than an encoder reads: documents, and queries by split.

    A warning where it is more than a twentieth, else a note.

    Args:
        collection: Its texts.
        count_tokens: How many tokens each text has, before it is cut.
        limit: How many are read.
    """
    found = []
    queries = collection.query_texts
    parts: dict[str, Iterable[str]] = {"documents": collection.texts}
    for split, qrels in collection.qrels.items():
        parts[f"queries of {split}"] = [queries[query_id] for query_id in qrels if query_id in queries]
    for name, texts in parts.items():
        lengths = np.fromiter(_lengths(texts, count_tokens), dtype=np.int64)
        cut = int((lengths > limit).sum())
        if lengths.size:
            share = cut / lengths.size
            many = share > _MANY_CUT
            found.append(
                Finding(
                    "warning" if many else "note", "texts-cut", cut,
                    f"{share:.{0 if many else 1}%} of the {name} are longer than the encoder reads ({limit} "
                    f"tokens; the median is {int(np.median(lengths))}, the longest {int(lengths.max())})",
                )
            )  # fmt: skip
    return found


def _lengths(texts: Iterable[str], count: Callable[[Sequence[str]], Sequence[int]]) -> Iterator[int]:
    window: list[str] = []
    for text in texts:
        window.append(text)
        if len(window) == 1024:
            yield from count(window)
            window = []
    if window:
        yield from count(window)


def _many(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _some(examples: Iterable[str]) -> tuple[str, ...]:
    return tuple(example for example, _ in zip(examples, range(_EXAMPLES), strict=False))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def summary(findings: Iterable[Finding]) -> Counter[str]:
    """How many findings there are of each level."""
    return Counter(finding.level for finding in findings)
