"""textrip: from a pile of text to a fine-tuned search, with proof that the tuning helped.

    import textrip

    done = textrip.fit("my-corpus/", "out/")          # mine, train, evaluate, gate, index
    textrip.Index.open("out/index").search("a question")

Importing this package defines names and does nothing else: torch is loaded when it is first needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textrip.data.collection import Collection
    from textrip.data.columns import Columns
    from textrip.data.formats import read
    from textrip.data.labels import by_label
    from textrip.encoding.encoder import Encoder
    from textrip.errors import TextripError
    from textrip.eval.evaluate import evaluate
    from textrip.lexical.analyzer import Analyzer
    from textrip.mining.mine import mine
    from textrip.mining.settings import MineSettings
    from textrip.mining.triples import Triples
    from textrip.pipeline.check import check
    from textrip.pipeline.cluster import cluster
    from textrip.pipeline.fit import fit
    from textrip.pipeline.prepare import prepare
    from textrip.pipeline.train import train
    from textrip.pipeline.tune import tune
    from textrip.records import Document, Hit, Query
    from textrip.retrieval.index import Index
    from textrip.retrieval.passages import Cutting
    from textrip.retrieval.where import Where
    from textrip.training.settings import TrainSettings

__version__ = "0.1.0"

__all__ = [
    "Analyzer",
    "Collection",
    "Columns",
    "Cutting",
    "Document",
    "Encoder",
    "Hit",
    "Index",
    "MineSettings",
    "Query",
    "TextripError",
    "TrainSettings",
    "Triples",
    "Where",
    "by_label",
    "check",
    "cluster",
    "evaluate",
    "fit",
    "mine",
    "prepare",
    "read",
    "train",
    "tune",
]

_HOMES = {
    "Analyzer": "textrip.lexical.analyzer",
    "Collection": "textrip.data.collection",
    "Columns": "textrip.data.columns",
    "Cutting": "textrip.retrieval.passages",
    "Document": "textrip.records",
    "Encoder": "textrip.encoding.encoder",
    "Hit": "textrip.records",
    "Index": "textrip.retrieval.index",
    "MineSettings": "textrip.mining.settings",
    "Query": "textrip.records",
    "TextripError": "textrip.errors",
    "TrainSettings": "textrip.training.settings",
    "Triples": "textrip.mining.triples",
    "Where": "textrip.retrieval.where",
    "by_label": "textrip.data.labels",
    "check": "textrip.pipeline.check",
    "cluster": "textrip.pipeline.cluster",
    "evaluate": "textrip.eval.evaluate",
    "fit": "textrip.pipeline.fit",
    "mine": "textrip.mining.mine",
    "prepare": "textrip.pipeline.prepare",
    "read": "textrip.data.formats",
    "train": "textrip.pipeline.train",
    "tune": "textrip.pipeline.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'textrip' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
