"""How many negatives each source gives; and of what was mined, what a mining of fewer would have given."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from textrip.mining.triples import Group, Source, Triples


def shares(left: int, *, dense: int, random: int) -> dict[Source, int]:
    """How many of so many negatives each source gives: what chance and an encoder leave is BM25's."""
    by_chance = min(random, left)
    by_encoder = min(dense, left - by_chance)
    return {"bm25": left - by_chance - by_encoder, "dense": by_encoder, "random": by_chance}


def shares_of(settings: Mapping[str, Any], negatives: int) -> tuple[int, int]:
    """How many of so many negatives are an encoder's, and how many random: of fewer, less of later sources.

    Args:
        settings: Of the mining: its negatives, dense and random.
        negatives: At most as many.
    """
    most, dense, by_chance = (settings[name] for name in ("negatives", "dense", "random"))
    return max(0, min(dense, negatives - (most - dense - by_chance))), max(0, negatives - (most - by_chance))


def with_fewer(triples: Triples, negatives: int) -> Triples:
    """The first negatives of each group, of each source as many as a mining of so few would take.

    A source that could not fill its share leaves no more to the others. Triples that do not say how they were
    mined are cut as they stand.
    """
    settings = triples.provenance.get("settings")
    if (
        not isinstance(settings, Mapping)
        or not {"negatives", "dense", "random", "denoise"} <= settings.keys()
    ):
        groups = [replace(group, negatives=group.negatives[:negatives]) for group in triples.groups]
        return replace(triples, groups=groups)
    dense, by_chance = shares_of(settings, negatives)
    groups = [_cut(group, negatives, dense, by_chance) for group in triples.groups]
    if settings["denoise"] == "none":  # a query for which nothing is found has no group then
        groups = [group for group in groups if group.negatives]
    return replace(triples, groups=groups)


def _cut(group: Group, negatives: int, dense: int, by_chance: int) -> Group:
    judged = sum(negative.source == "judged" for negative in group.negatives[:negatives])
    most = {"judged": judged, **shares(negatives - judged, dense=dense, random=by_chance)}
    taken: Counter[str] = Counter()
    kept = []
    for negative in group.negatives:
        taken[negative.source] += 1
        if taken[negative.source] <= most[negative.source]:
            kept.append(negative)
    return replace(group, negatives=tuple(kept))
