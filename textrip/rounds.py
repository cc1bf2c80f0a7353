"""Training in rounds: what the tuned encoder still takes for relevant is mined, and trained on.

The negatives of ANCE (Xiong et al., 2021, arXiv 2007.00808), from one trained encoder at a time and not from
one that is being trained: a round begins with the base, and learns from BM25's negatives and from those that
the round before it could not tell from the relevant. The round that is best on dev is kept.
"""

import copy
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.files import replacing, write_json
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.dense import DenseRanker
from textrip.mining.mine import mine
from textrip.mining.scoring import EncoderScorer
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.progress import say
from textrip.training.dev import DEV_MEASURE
from textrip.training.train import train

# Of the negatives of a later round, so many come from the encoder of the one before.
DENSE_SHARE = 0.5


def train_in_rounds(
    collection: Collection,
    triples: Triples,
    encoder: Encoder,
    output: str | Path,
    *,
    rounds: int,
    dense_share: float = DENSE_SHARE,
    mining: MineSettings,
    searcher: LexicalSearcher,
    evaluate_dev: Callable[[Encoder], float],
    force: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Train, mine with what was trained, and train the base again; keep the round that is best on dev.

    After the first round `output` holds a model at any moment, the best of the rounds that ended. Later
    rounds have at least two negatives, so that there is one of each source.

    Args:
        collection: What is trained on.
        triples: Of the first round.
        encoder: The base; afterwards its weights are those of the last round.
        output: The folder to write.
        rounds: How many, at least 2.
        dense_share: Of the negatives of a later round that come from the encoder's own ranking.
        mining: How to mine in later rounds; the filter is the tuned encoder where it says auto.
        searcher: BM25 of the collection.
        evaluate_dev: nDCG@10 of an encoder on dev.
        force: Overwrite `output`.
        options: Of `train`.

    Returns:
        The best round's manifest, with the dev figure of every round under `rounds`.

    Raises:
        InputError: a share that is none, or fewer than 2 rounds.
    """
    if rounds < 2 or not 0 < dense_share <= 1:
        raise InputError(
            f"rounds is {rounds} and dense_share {dense_share:g}; at least 2 and a share above 0 and up to 1 "
            "were expected"
        )
    output = Path(output)
    base = copy.deepcopy(encoder.model)
    negatives = max(2, mining.negatives)
    later = replace(
        mining,
        negatives=negatives,
        dense=max(1, min(negatives - mining.random, math.ceil(dense_share * negatives))),
        dense_model=encoder.name,
    )
    manifest = train(collection, triples, encoder, output, evaluate_dev=evaluate_dev, force=force, **options)
    done = [_entry(1, triples, manifest)]
    best = manifest
    for number in range(2, rounds + 1):
        tuned = Encoder.load(output, device=encoder.device)
        say(f"round {number}: mining with what round {done[-1]['round']} tuned")
        scorer = EncoderScorer(tuned) if later.denoise == "auto" else None
        ranker = DenseRanker(tuned, collection, nearest=mining.dense_nearest)
        triples = mine(collection, settings=later, searcher=searcher, dense=ranker, scorer=scorer)
        fresh = Encoder(copy.deepcopy(base), encoder.name)
        beside = output.with_name(f"{output.name}.round-{number}")
        options = {**options, "run": None, "resume": False, "request": None}
        manifest = train(collection, triples, fresh, beside, evaluate_dev=evaluate_dev, force=True, **options)
        done.append(_entry(number, triples, manifest))
        better = done[-1][DEV_MEASURE] > max(entry[DEV_MEASURE] for entry in done[:-1])
        say(
            f"round {number}: dev {DEV_MEASURE} {done[-1][DEV_MEASURE]:.4f}, "
            + ("the best so far" if better else "not better: the earlier round is kept")
        )
        if better:
            best = manifest
            with replacing(output, force=True) as temporary:
                beside.rename(temporary)
        else:
            shutil.rmtree(beside)
    best = {**best, "rounds": done}
    with replacing(output / "manifest.json", force=True) as temporary:
        write_json(temporary, best)
    return best


def _entry(number: int, triples: Triples, manifest: dict[str, Any]) -> dict[str, Any]:
    score = max(entry[DEV_MEASURE] for entry in manifest["dev"])
    return {"round": number, "triples": triples.count, DEV_MEASURE: score}
