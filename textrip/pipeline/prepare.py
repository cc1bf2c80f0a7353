"""A collection that can be trained on: with queries where it has none, and with the splits that it lacks."""

from pathlib import Path

from textrip.data.collection import Collection
from textrip.data.formats import collection_of
from textrip.data.labels import by_label as by_label_of
from textrip.data.leaks import without_held_out
from textrip.data.pairs import with_queries
from textrip.data.split import with_splits
from textrip.errors import InputError
from textrip.progress import say
from textrip.typed import typed_arguments


@typed_arguments
def prepare(data: str | Path | Collection) -> Collection:
    """A collection that can be trained on: with queries, and with the splits that it lacks.

    The cut is a function of the data alone, whatever the seed of a run: what one command held out, no
    other trains on.

    Args:
        data: A collection as it was read, or what `read` takes.

    Returns:
        The one that `mine` and `evaluate` work on; `train`, `fit` and `tune` make the same of what they get.
        An index is built of what was read.
    """
    collection, made = with_queries(collection_of(data))
    if made:
        say(
            "no judgments given: training pairs made by rule: "
            + ", ".join(f"{rule} {count:,}" for rule, count in made.items())
        )
    # Before the cut, or a dev that is cut from train would hold copies of what test asks.
    collection = without_held_out(collection)
    before = set(collection.qrels)
    collection = with_splits(collection)
    cut = [f"{name} {len(qrels):,}" for name, qrels in collection.qrels.items() if name not in before]
    if cut:
        say(f"cut from train: {', '.join(cut)} queries")
    return collection


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


def prepare_labels(collection: Collection) -> Collection:
    """Labelled texts with the splits that they lack, as a collection that is searched by label."""
    prepared = by_label_of(collection)
    asked = ", ".join(f"{name} {len(qrels):,}" for name, qrels in prepared.qrels.items())
    say(
        f"by label: {len(prepared.corpus):,} texts of {len(set(prepared.labels)):,} labels to train on and "
        f"to find, asked by {asked}"
    )
    return prepared
