"""What dev measures: nDCG@10 of an encoder, over a corpus that is cut where it is large.

To choose among the steps of one training, and for nothing else.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.own import judged_without_own
from textrip.encoding.text_encoder import TextEncoder
from textrip.eval.evaluate import Evaluator, heed_own_documents
from textrip.lexical.searcher import LexicalSearcher
from textrip.progress import say
from textrip.retrieval.fusion import DEPTH


@dataclass(frozen=True)
class DevSearch:
    """nDCG@10 of an encoder on dev's queries.

    Attributes:
        pool: What is searched, with the queries that are asked.
        without_own_id: A document with the query's own id is left out (see Evaluator).
    """

    pool: Collection
    without_own_id: bool = False

    def __call__(self, encoder: TextEncoder) -> float:
        """Measure it."""
        evaluator = Evaluator(self.pool, "dev", identify=False, without_own_id=self.without_own_id)
        return evaluator.encoder(encoder)["nDCG@10"]

    @property
    def documents(self) -> int:
        """How many are searched."""
        return len(self.pool.corpus)

    @property
    def about(self) -> dict[str, Any]:
        """What a figure of it is of: two that differ here do not compare."""
        queries = len(self.pool.judged("dev"))
        return {"queries": queries, "documents": self.documents, "without_own_id": self.without_own_id}


def dev_evaluation(
    collection: Collection,
    *,
    max_documents: int,
    searcher: LexicalSearcher | None = None,
    max_queries: int = 500,
    without_own_id: bool = False,
) -> DevSearch:
    """nDCG@10 on the dev split as a function of an encoder.

    To choose among the steps of one training, a corpus of more than `max_documents` is cut to every
    judged document of the dev queries and BM25's best for them. Figures from it are higher than over the
    whole corpus, and are for choosing only.

    Args:
        collection: With judgments for dev.
        max_documents: Where the corpus is cut; 0 never cuts.
        searcher: A BM25 of this collection that is already built.
        max_queries: More dev queries than this are thinned evenly, of those with a relevant document.
        without_own_id: Leave out a document with the query's own id (see Evaluator).

    Raises:
        InputError: dev has no judgments, or no relevant document; or no document with the id of a query to
            leave out.
    """
    queries = collection.queries_of("dev")
    collection.require_relevant("dev")
    heed_own_documents(collection, "dev", without=without_own_id)
    judged = judged_without_own(collection, "dev") if without_own_id else collection.judged("dev")
    kept = list(judged)
    if len(kept) > max_queries:  # what has no answer tells no step from another
        kept = [query_id for query_id in kept if collection.has_relevant("dev", query_id)]
        kept = kept[:: -(-len(kept) // max_queries)]
        say(f"dev asks {len(kept):,} of its {len(queries):,} queries, evenly drawn")
    judged = {query_id: judged[query_id] for query_id in kept}
    rows = np.arange(len(collection.corpus))
    if 0 < max_documents < len(rows):
        rows = _pool(collection, {query_id: queries[query_id] for query_id in kept}, max_documents, searcher)
    pool = Collection(collection.name, collection.corpus.select(rows), collection.queries, {"dev": judged})
    return DevSearch(pool, without_own_id)


def _pool(
    collection: Collection, queries: dict[str, str], size: int, searcher: LexicalSearcher | None
) -> NDArray[np.int64]:
    """Rows of the judged documents and, rank by rank, of BM25's best, until `size` are found."""
    searcher = searcher or LexicalSearcher.build(collection.texts, order=collection.doc_order)
    judged = collection.judged("dev")
    rows = {
        collection.doc_row[doc_id]
        for query_id in queries
        for doc_id in judged[query_id]
        if doc_id in collection.doc_row
    }
    ranked = [row.tolist() for row, _ in searcher.search(list(queries.values()), DEPTH)]
    for rank in range(DEPTH):
        for row in ranked:
            if len(rows) >= size:
                return np.asarray(sorted(rows))
            if rank < len(row):
                rows.add(row[rank])
    return np.asarray(sorted(rows))
