"""A collection that can be trained on: with queries where it has none, and with the splits that it lacks."""

from dataclasses import replace

from textrip.data.check import leaking
from textrip.data.collection import Collection
from textrip.data.labels import by_label as by_label_of
from textrip.data.pairs import with_queries
from textrip.data.split import with_splits
from textrip.errors import InputError
from textrip.progress import say


def prepare(collection: Collection) -> Collection:
    """A collection that can be trained on: with queries, and with the splits that it lacks.

    The cut is a function of the data alone, whatever the seed of a run: what one command held out, no
    other trains on.
    """
    collection, made = with_queries(collection)
    if made:
        say(
            "no judgments given: training pairs made by rule: "
            + ", ".join(f"{rule} {count:,}" for rule, count in made.items())
        )
    before = set(collection.qrels)
    collection = with_splits(collection)
    cut = [f"{name} {len(qrels):,}" for name, qrels in collection.qrels.items() if name not in before]
    if cut:
        say(f"cut from train: {', '.join(cut)} queries")
    return without_held_out(collection)


def prepare_to_mine(collection: Collection, split: str = "train") -> Collection:
    """`prepare`, for what is to be mined: refused at once where `split` has no judgments.

    Raises:
        InputError: as `prepare`, or there are judgments of other splits alone.
    """
    collection = prepare(collection)
    if not collection.qrels.get(split):
        found = ", ".join(f"{name} {len(qrels):,}" for name, qrels in collection.qrels.items() if qrels)
        raise InputError(
            f"{collection.name}: has no judgments for split {split!r} to mine from (found: {found} queries); "
            f"call one of them {split}; dev and test are cut from train where they are missing"
        )
    return collection


def without_held_out(collection: Collection) -> Collection:
    """The collection without the queries of train whose text dev or test asks; said where there are some."""
    found = leaking(collection)
    if not found:
        return collection
    say(f"left out of train: {len(found):,} queries whose text is asked in dev or test")
    train = {query: judged for query, judged in collection.qrels["train"].items() if query not in found}
    if not train:
        raise InputError(f"{collection.name}: every query of train is asked in dev or test, too")
    return replace(collection, qrels={**collection.qrels, "train": train})


def prepare_labels(collection: Collection) -> Collection:
    """Labelled texts with the splits that they lack, as a collection that is searched by label."""
    prepared = by_label_of(collection)
    asked = ", ".join(f"{name} {len(qrels):,}" for name, qrels in prepared.qrels.items())
    say(
        f"by label: {len(prepared.corpus):,} texts of {len(set(prepared.labels)):,} labels to train on and "
        f"to find, asked by {asked}"
    )
    return prepared
