"""What is wrong with a collection, and with triples of it, before it costs a training run."""

from textrip.data.check import check as check_collection
from textrip.data.collection import Collection
from textrip.data.finding import Finding, gravest_first
from textrip.data.pairs import with_queries
from textrip.data.truncation import truncation
from textrip.encoding.encoder import Encoder
from textrip.mining.check import check_triples
from textrip.mining.triples import Triples


def check(
    collection: Collection,
    *,
    triples: Triples | None = None,
    encoder: Encoder | None = None,
    near: bool = True,
) -> list[Finding]:
    """What is wrong with a collection, and with triples of it; the gravest first.

    Args:
        collection: As it was read: what `prepare` would make of it is not looked at.
        triples: Mined from it, or from the questions that were made of it where it has none.
        encoder: Says which share of the texts it would cut.
        near: Also look for near-duplicates.
    """
    found = check_collection(collection, near=near)
    if triples is not None:
        found += check_triples(triples, with_queries(collection)[0])
    if encoder is not None:
        found += truncation(
            collection, lambda texts: encoder.count_tokens(texts, cut=False), encoder.max_length_tokens
        )
    return gravest_first(found)
