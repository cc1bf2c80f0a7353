"""Clusters of an index, or of a collection that is encoded first."""

from pathlib import Path

from textrip.clustering.cluster import Cluster, cluster_vectors
from textrip.data.collection import Collection
from textrip.data.formats import collection_of
from textrip.encoding.cut import say_what_is_cut
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import DEFAULT_ENCODER
from textrip.retrieval.index import Index
from textrip.retrieval.layout import is_index
from textrip.retrieval.snapshot import Snapshot
from textrip.typed import typed_arguments


@typed_arguments
def cluster(
    source: str | Path | Collection | Index,
    *,
    k: int | None = None,
    model: str | Path = DEFAULT_ENCODER,
    device: str = "auto",
    seed: int = 0,
) -> list[Cluster]:
    """Cluster the documents of an index, or of a collection that is encoded first.

    Args:
        source: An index or its folder; a collection, or what `read` takes.
        k: How many clusters; sqrt(n / 2), between 2 and 50, where None.
        model: Encodes a collection; an index has vectors.
        device: auto, cpu, cuda or mps.
        seed: The same seed gives the same clusters.
    """
    if isinstance(source, str | Path) and is_index(source):
        source = Index.open(source)
    if isinstance(source, Index):
        index = source

        def found(snapshot: Snapshot) -> list[Cluster]:
            texts = (stored.document.full_text for stored in index.store)
            doc_ids = [snapshot.doc_id(int(row)) for row in snapshot.rows]
            return cluster_vectors(doc_ids, texts, snapshot.vectors(), k=k, seed=seed)

        return index.states.read(found)  # one state, whoever writes meanwhile
    encoder = Encoder.load(model, device=device)  # before a corpus is read for one that is not there
    collection = collection_of(source)
    say_what_is_cut(encoder, collection.texts, ": what stands further down decides nothing")
    vectors = encoder.encode(collection.texts, progress="encoding documents")
    return cluster_vectors(collection.doc_ids, collection.texts, vectors, k=k, seed=seed)
