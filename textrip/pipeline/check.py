"""What is wrong with a collection, and with triples of it, before it costs a training run."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from textrip.data.check import check as check_collection
from textrip.data.collection import Collection
from textrip.data.finding import Finding, gravest_first, require_sound
from textrip.data.formats import collection_of
from textrip.data.leaks import without_held_out
from textrip.data.pairs import with_queries
from textrip.data.split import with_splits
from textrip.data.truncation import truncation
from textrip.encoding.cut import whole_lengths
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.mining.check import check_triples
from textrip.mining.triples import Triples
from textrip.typed import typed_arguments


@typed_arguments
def check(
    data: str | Path | Collection,
    *,
    triples: Triples | None = None,
    encoder: Encoder | None = None,
    near: bool = True,
) -> list[Finding]:
    """What is wrong with a collection, and with triples of it; the gravest first.

    Args:
        data: A collection as it was read, or what `read` takes: what `prepare` would make of it is not
            looked at.
        triples: Mined from it, or from the questions that were made of it where it has none.
        encoder: Says which share of the texts it would cut.
        near: Also look for near-duplicates.
    """
    collection = collection_of(data)
    found = check_collection(collection, near=near)
    if triples is not None:
        found += check_triples(triples, _as_trained(with_queries(collection)[0]))
    if encoder is not None:
        found += truncation(collection, partial(whole_lengths, encoder), encoder.max_length_tokens)
    return gravest_first(found)


def _as_trained(collection: Collection) -> Collection:
    """With the splits that a training cuts, which say what is held out."""
    with suppress(InputError):  # too few queries to cut: so says who trains
        return with_splits(without_held_out(collection, tell=False))
    return collection


def require_trainable(
    collection: Collection, *measured: str, triples: Triples | None = None, force: bool
) -> None:
    """Raise InputError where a training on a collection, or a figure of it, would be wrong.

    Args:
        collection: As it was read.
        measured: Splits that will be measured; one that is there needs a relevant document, whatever `force`.
        triples: Mined from it.
        force: Go on in spite of errors that `check` finds.
    """
    for split in measured:
        if collection.qrels.get(split):
            collection.require_relevant(split)
    found = check_collection(collection, near=False)
    if triples is not None:  # what is held out the training leaves out, and says so
        found += check_triples(triples, with_queries(collection)[0])
    require_sound(gravest_first(found), force=force)
