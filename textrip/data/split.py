"""Cutting judged queries into train, dev and test so that nothing stands on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.data.near_duplicates import near_duplicates
from textrip.data.words import folded, normalised, words
from textrip.errors import InputError
from textrip.progress import say
from textrip.records import Qrels


def near_duplicate_key(text: str) -> str:
    """Equal for queries that differ in case, punctuation, order and repetition of words alone."""
    return " ".join(sorted(set(words(folded(text))))) or normalised(text)


def assign_groups(
    group_of: Mapping[str, str], shares: Mapping[str, float], *, seed: int = 0
) -> dict[str, str]:
    """From item to split, whole groups at a time, near the wanted shares.

    Groups go, in an order drawn by a hash of name and seed (the same on every machine), to the split
    that lacks most of its share.

    Args:
        group_of: From item to its group.
        shares: From split to its share of the items; they sum to 1.
        seed: Another seed draws another split.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for item, group in group_of.items():
        members[group].append(item)
    drawn = sorted(members, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    counts = dict.fromkeys(shares, 0)
    total = len(group_of)
    assigned: dict[str, str] = {}
    for group in drawn:
        split = max(shares, key=lambda name: shares[name] - counts[name] / total)
        counts[split] += len(members[group])
        assigned.update(dict.fromkeys(members[group], split))
    return assigned


def with_splits(collection: Collection, *, seed: int = 0, dev: float = 0.1, test: float = 0.2) -> Collection:
    """A collection that has the splits train, dev and test; a split that it has is left as it is.

    Without a test split one is cut from train, and without a dev split likewise. Queries of nearly the
    same text or of a common group stay on one side. Documents stand on both: new questions about known
    documents are what a search is asked, and a dev split whose relevant documents occur in training only
    as negatives would call every training harmful.

    Raises:
        InputError: there are no judgments, or too few queries to cut.
    """
    qrels = {split: judged for split, judged in collection.qrels.items() if judged}
    if not qrels:
        raise InputError(f"{collection.name}: has no judgments to split")
    wanted = {
        name: share for name, share in (("test", test), ("dev", dev)) if name not in qrels and share > 0
    }
    if not wanted or "train" not in qrels:
        return collection
    train = qrels["train"]
    groups = _groups(collection, train, most=max(2, int(min(wanted.values()) * len(train))))
    if len(set(groups.values())) <= len(wanted):
        raise InputError(
            f"{collection.name}: {len(train)} judged queries in {len(set(groups.values()))} groups "
            f"cannot be cut into train and {' and '.join(wanted)}; more queries are needed"
        )
    split_of = assign_groups(groups, {"train": 1 - sum(wanted.values()), **wanted}, seed=seed)
    for split in ("train", *wanted):
        qrels[split] = {query: judged for query, judged in train.items() if split_of[query] == split}
        if not qrels[split]:
            raise InputError(
                f"{collection.name}: {len(train)} judged queries leave none for {split}; more queries are "
                f"needed, or judgments for {split} of your own"
            )
    return replace(collection, qrels=qrels)


def _groups(collection: Collection, qrels: Qrels, most: int) -> dict[str, str]:
    """From query to the smallest query_id that it hangs together with.

    Texts that are nearly the same hang together, as far as no more than `most` queries do: all questions of
    one template would be one group, and nothing could be cut.
    """
    linked = _Linked(qrels)
    texts = collection.query_texts
    first_with: dict[tuple[str, str], str] = {}
    for query in qrels:
        links = [("text", near_duplicate_key(texts.get(query, query)))]
        links += [("group", collection.groups[query])] if query in collection.groups else []
        for link in links:
            linked.join(first_with.setdefault(link, query), query)
    asked = sorted(query for query in qrels if query in texts)  # in whatever order they came
    pairs = near_duplicates(
        (texts[query] for query in asked), progress="looking for near-duplicate queries", total=len(asked)
    )
    apart = 0
    for pair in sorted(pairs, key=lambda pair: (-pair.resemblance, pair.first, pair.second)):
        apart += not linked.join(asked[pair.first], asked[pair.second], most=most)
    if apart:
        say(
            f"{many(apart, 'pair', 'pairs')} of nearly the same queries may be cut apart: kept together they "
            f"would be more than {many(most, 'query', 'queries')} in one piece"
        )
    return {query: linked.root(query) for query in qrels}


class _Linked:
    """Queries that hang together (union-find); the smallest query_id stands for all."""

    def __init__(self, queries: Iterable[str]) -> None:
        self._parent = {query: query for query in queries}
        self._sizes = dict.fromkeys(self._parent, 1)

    def root(self, query: str) -> str:
        """The query_id that stands for all that hangs together with this one."""
        parent = self._parent
        while parent[query] != query:
            parent[query] = parent[parent[query]]
            query = parent[query]
        return query

    def join(self, one: str, other: str, *, most: int | None = None) -> bool:
        """Hang two together, where that does not become more than `most`; whether they do now."""
        low, high = sorted((self.root(one), self.root(other)))
        if low == high:
            return True
        size = self._sizes[low] + self._sizes[high]
        if most is not None and size > most:
            return False
        self._parent[high] = low
        self._sizes[low] = size
        return True
