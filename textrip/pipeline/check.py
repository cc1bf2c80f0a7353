"""What is wrong with a collection, and with triples of it, before it costs a training run."""

from pathlib import Path

from textrip.data.check import check as check_collection
from textrip.data.collection import Collection
from textrip.data.finding import Finding, gravest_first, require_sound
from textrip.data.formats import collection_of
from textrip.data.pairs import with_queries
from textrip.data.truncation import truncation
from textrip.encoding.encoder import Encoder
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
        found += check_triples(triples, with_queries(collection)[0])
    if encoder is not None:
        found += truncation(
            collection, lambda texts: encoder.count_tokens(texts, cut=False), encoder.max_length_tokens
        )
    return gravest_first(found)


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
    require_sound(check(collection, triples=triples, near=False), force=force)
