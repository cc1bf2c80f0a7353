"""Queries of train whose text dev or test asks: nothing is trained on what measures it."""

from collections import defaultdict
from dataclasses import replace

from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.data.together import near_duplicate_key
from textrip.errors import InputError
from textrip.progress import say


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


def nothing_left(collection: Collection, found: dict[str, dict[str, str]]) -> str | None:
    """What is wrong where all of train is `leaking`; None where something is left of it, or nothing leaks."""
    if not found or len(found) < len(collection.qrels.get("train", {})):
        return None
    splits = " and ".join(sorted({split for held in found.values() for split in held}))
    return (
        f"every query of train ({len(found):,}) is asked in {splits}, too, and nothing is left to train on; "
        f"take them out of {splits} or out of train"
    )


def without_held_out(collection: Collection, *, tell: bool = True) -> Collection:
    """The collection without the queries of train whose text dev or test asks; told where there are some."""
    found = leaking(collection)
    if not found:
        return collection
    said = nothing_left(collection, found)
    if said is not None:
        raise InputError(f"{collection.name}: {said}")
    if tell:
        say(f"left out of train: {many(len(found), 'query', 'queries')} whose text is asked in dev or test")
    train = {query: judged for query, judged in collection.qrels["train"].items() if query not in found}
    return replace(collection, qrels={**collection.qrels, "train": train})
