"""Whether a model may judge negatives: it tells relevant documents from random ones as well as BM25 does.

An encoder that does not know the words of a field finds the right and the wrong documents alike, and a filter
by it would leave out what there is to be learned.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.scoring import Scorer
from textrip.mining.settings import MineSettings

# So many pairs give a share with a standard error of at most 0.03, and much less where it is near 1.
_PAIRS = 256
# The model may be so much worse.
_TOLERANCE = 0.03


@dataclass(frozen=True)
class Trust:
    """How often a relevant document stands above a random one, a tie counting half.

    Attributes:
        model: By the model's scores.
        bm25: By BM25's.
        pairs: Of how many.
    """

    model: float
    bm25: float
    pairs: int

    def __bool__(self) -> bool:
        return self.model >= self.bm25 - _TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """For what is kept with the triples and the model."""
        shares = {"model": round(self.model, 4), "bm25": round(self.bm25, 4)}
        return {**shares, "pairs": self.pairs, "trusted": bool(self)}


def trust(scorer: Scorer, collection: Collection, searcher: LexicalSearcher, settings: MineSettings) -> Trust:
    """Compare a model with BM25 on a sample of the judged queries, drawn by the settings' seed."""
    queries, judged = collection.queries_of(settings.split), collection.judged(settings.split)
    ids = sorted(queries)
    draw = random.Random(f"{settings.seed}:trust")  # noqa: S311  # a seed, no secret
    by_id = np.argsort(collection.doc_order)
    pairs: list[tuple[str, int]] = []
    for query_id in draw.sample(ids, min(_PAIRS, len(ids))):
        positives = sorted(
            doc_id for doc_id, grade in judged[query_id].items() if grade > 0 and doc_id in collection.doc_row
        )
        if positives:
            pairs.append((queries[query_id], collection.doc_row[draw.choice(positives)]))
            pairs.append((queries[query_id], int(by_id[draw.randrange(len(by_id))])))
    if not pairs:
        return Trust(0.0, 0.0, 0)
    lexical = np.array(
        [searcher.bm25.get_batch_scores(searcher.analyzer(query), [row])[0] for query, row in pairs]
    )
    return Trust(_above(scorer.scores(pairs, collection.texts)), _above(lexical), len(pairs) // 2)


def _above(scores: NDArray[np.floating]) -> float:
    relevant, other = scores.reshape(-1, 2).T
    return float(((relevant > other) + 0.5 * (relevant == other)).mean())
