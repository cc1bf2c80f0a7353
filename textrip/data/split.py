"""Cutting judged queries into train, dev and test so that nothing stands on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from textrip.data.collection import Collection
from textrip.data.together import hanging_together, near_duplicate_key
from textrip.errors import InputError
from textrip.records import Qrels


def assign_groups(
    group_of: Mapping[str, str], shares: Mapping[str, float], *, seed: int = 0
) -> dict[str, str]:
    """From item to split, whole groups at a time, near the wanted shares.

    Groups go, in an order drawn by a hash of name and seed (the same on every machine), to the split
    that lacks most of its share; those that are larger than the least share first, or what is left when
    they come would be too little for one of the others.

    Args:
        group_of: From item to its group.
        shares: From split to its share of the items; they sum to 1.
        seed: Another seed draws another split.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for item, group in group_of.items():
        members[group].append(item)
    total = len(group_of)
    large = min(shares.values()) * total

    def place(group: str) -> tuple[int, bytes]:
        size = len(members[group])
        return -size if size > large else 0, hashlib.sha256(f"{seed}:{group}".encode()).digest()

    drawn = sorted(members, key=place)
    counts = dict.fromkeys(shares, 0)
    assigned: dict[str, str] = {}
    for left, group in zip(range(len(drawn), 0, -1), drawn, strict=True):
        empty = [name for name in shares if not counts[name]]
        # The last groups are for who has none yet, so that no split stays empty where there are enough.
        split = max(
            empty if left <= len(empty) else shares, key=lambda name: shares[name] - counts[name] / total
        )
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
    """From query to the smallest query_id that it hangs together with."""
    texts = {query: collection.query_texts[query] for query in qrels if query in collection.query_texts}
    links: dict[str, list[tuple[str, str]]] = {}
    for query in qrels:
        links[query] = [("text", near_duplicate_key(texts.get(query, query)))]
        if query in collection.groups:
            links[query].append(("group", collection.groups[query]))
    return hanging_together(texts, links, most=most, what="queries")
