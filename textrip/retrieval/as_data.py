"""An index's documents as a collection: what an index of another encoder is built from.

Documents come and go one by one; after a while no file of data holds what the index does.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textrip.data.collection import Collection, dataset_of
from textrip.data.tables import corpus_of, without_empty_columns

if TYPE_CHECKING:
    from textrip.retrieval.index import Index


def collection_from(index: "Index") -> Collection:
    """Ids, titles, texts and metadata of one state of an index, in the order in which they came."""

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for number, stored in enumerate(index.store, start=1):
            document = stored.document
            metadata = json.dumps(dict(stored.metadata), ensure_ascii=False) if stored.metadata else "{}"
            yield (
                number,
                {
                    "doc_id": document.doc_id,
                    "title": document.title,
                    "text": document.text,
                    "metadata": metadata,
                },
            )

    corpus = index.states.read(lambda _: corpus_of(records(), str(index.folder)))
    return Collection(
        name=str(index.about["collection"]),
        corpus=without_empty_columns(corpus),
        queries=dataset_of({"query_id": [], "text": []}),
    )
