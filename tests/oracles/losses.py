"""The losses as plain loops over anchors, positives and negatives: what the tensors are compared with."""

import math
from collections.abc import Callable, Sequence

MASKED, RELEVANT, POSITIVE, MINED, IN_BATCH = range(5)
Matrix = Sequence[Sequence[float]]
Relations = Sequence[Sequence[int]]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def anchors(distances: Matrix, relations: Relations, hardest: bool) -> list[tuple[int, float]]:
    """Every anchor that has a positive, and that positive's distance."""
    found = []
    for anchor, (row, relation) in enumerate(zip(distances, relations, strict=True)):
        wanted = (POSITIVE, RELEVANT) if hardest else (POSITIVE,)
        positives = [d for d, r in zip(row, relation, strict=True) if r in wanted]
        if positives:
            found.append((anchor, max(positives)))
    return found


def of(row: Sequence[float], relation: Sequence[int], *kinds: int) -> list[float]:
    return [d for d, r in zip(row, relation, strict=True) if r in kinds]


def triplet(
    distances: Matrix, relations: Relations, margin: float, strategy: str, *, soft: bool = False,
    hardest: bool = False,
) -> float:  # fmt: skip
    """The hinge, or softplus, over a strategy's triplets."""
    costs = []
    for anchor, d_ap in anchors(distances, relations, hardest):
        row, relation = distances[anchor], relations[anchor]
        mined, others = of(row, relation, MINED), of(row, relation, IN_BATCH)
        negatives = others if strategy == "in-batch" else mined + others
        if strategy == "mined":
            chosen = mined
        elif strategy == "batch-all":
            chosen = negatives
        elif strategy == "mixed":
            chosen = mined + ([min(others)] if others else [])
        elif not negatives:
            chosen = []
        elif strategy == "batch-hard":
            chosen = [min(negatives)]
        else:
            beyond = [d for d in negatives if d > d_ap]
            chosen = [min(beyond) if beyond else max(negatives)]
        for d_an in chosen:
            x = d_ap - d_an
            costs.append(math.log1p(math.exp(x)) if soft else max(0.0, x + margin))
    if strategy == "batch-all":
        costs = [cost for cost in costs if cost > 0]
    return mean(costs)


def smooth(distances: Matrix, relations: Relations, margin: float, temperature: float) -> float:
    """T log(1 + sum exp((d_ap - d_an + m) / T))."""
    costs = []
    for anchor, d_ap in anchors(distances, relations, False):
        negatives = of(distances[anchor], relations[anchor], MINED, IN_BATCH)
        if negatives:
            total = sum(math.exp((d_ap - d_an + margin) / temperature) for d_an in negatives)
            costs.append(temperature * math.log1p(total))
    return mean(costs)


def contrastive(distances: Matrix, relations: Relations, margin: float, *, online: bool = False) -> float:
    """Pairs; `online` keeps the hard ones of every anchor."""
    pulls, pushes = [], []
    for row, relation in zip(distances, relations, strict=True):
        positives = of(row, relation, POSITIVE, RELEVANT)
        negatives = of(row, relation, MINED, IN_BATCH)
        limit, reach = min(negatives, default=math.inf), max(positives, default=-math.inf)
        pulls += [d * d / 2 for d in positives if not online or d > limit]
        pushes += [max(0.0, margin - d) ** 2 / 2 for d in negatives if not online or d < reach]
    return mean(pulls) + mean(pushes)


def proxy_nca(distances: Matrix, relations: Relations, temperature: float) -> float:
    """-T log(exp(-d own / T) / sum over other proxies of exp(-d / T))."""
    costs = []
    for row, relation in zip(distances, relations, strict=True):
        (own,) = of(row, relation, POSITIVE)
        others = sum(math.exp(-d / temperature) for d in of(row, relation, IN_BATCH))
        costs.append(-temperature * math.log(math.exp(-own / temperature) / others))
    return mean(costs)


def proxy_anchor(distances: Matrix, relations: Relations, margin: float, temperature: float) -> float:
    """Equation 4 of the paper, with s = 1 - d."""
    pulls, pushes = [], []
    for proxy in range(len(distances[0])):
        column = [
            (1 - row[proxy], relation[proxy]) for row, relation in zip(distances, relations, strict=True)
        ]
        own = [math.exp(-(s - margin) / temperature) for s, relation in column if relation == POSITIVE]
        others = [math.exp((s + margin) / temperature) for s, relation in column if relation == IN_BATCH]
        pulls += [math.log(1 + sum(own))] if own else []
        pushes.append(math.log(1 + sum(others)))
    return mean(pulls) + mean(pushes)


def quadruplet(
    distances: Matrix, relations: Relations, documents: Matrix, margin: float, second_margin: float
) -> float:
    """Batch-hard triplets, and the nearest pair of strangers among the anchor's negatives."""
    n = len(documents)
    owners: Callable[[int], list[int]] = lambda doc: [  # noqa: E731
        anchor for anchor, relation in enumerate(relations) if relation[doc] == POSITIVE
    ]

    def strangers(one: int, other: int) -> bool:
        for first, second in ((one, other), (other, one)):
            if not any(relations[anchor][second] in (MINED, IN_BATCH) for anchor in owners(first)):
                return False
            if any(relations[anchor][second] in (POSITIVE, RELEVANT) for anchor in owners(first)):
                return False
        return True

    seconds = []
    for anchor, d_ap in anchors(distances, relations, False):
        negatives = [doc for doc in range(n) if relations[anchor][doc] in (MINED, IN_BATCH)]
        pairs = [documents[a][b] for a in negatives for b in negatives if strangers(a, b)]
        if pairs:
            seconds.append(max(0.0, d_ap - min(pairs) + second_margin))
    return triplet(distances, relations, margin, "batch-hard") + mean(seconds)
