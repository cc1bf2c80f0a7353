"""Triples for an encoder that is to be trained."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.leaks import leaking
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.filters import DENOISED
from textrip.mining.mine import describe, mine, spread_in_words
from textrip.mining.scoring import EncoderScorer
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.mining.trust import trust
from textrip.progress import say


def mined(
    collection: Collection,
    settings: MineSettings,
    searcher: LexicalSearcher,
    encoder: Encoder,
    *,
    device: str,
    vectors: NDArray[np.float32] | None = None,
) -> Triples:
    """Mine for an encoder that is to be trained: by default it filters, as it is now (see MineSettings)."""
    scorer = known = None
    if settings.denoise == "auto":
        scorer = EncoderScorer(encoder, vectors)
        known = trust(scorer, collection, searcher, settings)
        if not known:
            say(
                f"the negatives are not filtered: {encoder.name} puts a relevant document above a random one "
                f"in {known.model:.0%} of {known.pairs} cases, BM25 in {known.bm25:.0%}"
            )
            scorer = None
    triples = mine(collection, settings=settings, searcher=searcher, scorer=scorer, device=device)
    about = {**triples.provenance, "trust": None if known is None else known.to_dict()}
    triples = replace(triples, provenance=about)
    left_out = triples.provenance["left out"].get(DENOISED, 0)
    say(
        f"mined {triples.count:,} triples in {len(triples):,} groups; by query "
        f"{spread_in_words(describe(triples)['triples per query'])}"
        + (f"; {left_out:,} candidates left out: {encoder.name} finds them relevant" if left_out else "")
    )
    return triples


def without_dev(triples: Triples, collection: Collection) -> Triples:
    """Triples without the queries that dev or test judge: nothing is trained on what measures it."""
    triples.require(collection)
    if not len(triples):
        raise InputError("there is not one group in the triples; mine them with other options")
    held_out = {
        query_id for split, qrels in collection.qrels.items() if split != "train" for query_id in qrels
    } | set(leaking(collection))
    kept = [group for group in triples.groups if group.query_id not in held_out]
    if len(kept) < len(triples):
        say(f"left out {len(triples) - len(kept):,} groups whose queries are held out in dev or test")
    if not kept:
        raise InputError(
            f"{collection.name}: all {len(triples):,} groups of the triples ask what is held out in dev or "
            "test; mine triples for the queries of train"
        )
    return replace(triples, groups=kept)
