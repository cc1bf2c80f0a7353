"""What is compared when strategies are: our strategies, variants of the default, and the library's losses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MEASURE = "nDCG@10"
RANKING = "multiple negatives ranking"
DEFAULTS = "TripletLoss at its defaults"
UNTUNED = "untuned"
AS_IT_COMES = "textrip train, as it comes"
# By name: how many mined negatives a row has, and the settings that differ from the common ones.
OURS: dict[str, tuple[int, dict[str, Any]]] = {
    # As it comes: filtered by the untuned encoder, and the best on dev is kept.
    AS_IT_COMES: (1, {}),
    "smooth, filtered": (1, {"loss": "smooth", "strategy": "batch-all"}),
    "smooth": (1, {"loss": "smooth", "strategy": "batch-all"}),
    "smooth, without mined": (0, {"loss": "smooth", "strategy": "in-batch"}),
    "smooth, margin 0": (1, {"loss": "smooth", "strategy": "batch-all", "margin": 0.0}),
    "batch-hard": (1, {"strategy": "batch-hard"}),
    "semi-hard": (1, {"strategy": "semi-hard"}),
    "in-batch": (0, {"loss": "triplet", "strategy": "in-batch"}),
    "mined": (1, {"strategy": "mined"}),
    "batch-all": (1, {"strategy": "batch-all"}),
    "mixed": (1, {"strategy": "mixed"}),
    "soft-margin": (1, {"loss": "soft-margin", "strategy": "batch-hard"}),
    "contrastive": (1, {"loss": "contrastive", "strategy": "batch-all"}),
    "online-contrastive": (1, {"loss": "online-contrastive", "strategy": "batch-all"}),
    "quadruplet": (1, {"loss": "quadruplet", "strategy": "batch-all"}),
}
# The same with one thing changed, by how it is mined and trained: the margin; or how much a query counts that
# has many relevant documents, and a document that is relevant for many.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    f"{AS_IT_COMES}, margin 0": ({}, {"margin": 0.0}),
    f"{AS_IT_COMES}, one positive a query": ({"positives": 1}, {}),
    f"{AS_IT_COMES}, all positives": ({"positives": 1000}, {}),
    f"{AS_IT_COMES}, a document once": ({"per_document": 1}, {}),
    f"{AS_IT_COMES}, by positive": ({}, {"sampling": "positive"}),
    f"{AS_IT_COMES}, by positive, weighted": ({}, {"sampling": "positive", "weight_power": 1.0}),
}
OURS |= {system: (1, settings) for system, (_, settings) in VARIANTS.items()}
LIBRARY: dict[str, int] = {RANKING: 1, f"{RANKING}, without mined": 0, "TripletLoss": 1, DEFAULTS: 1}
# Trained on negatives that the untuned encoder finds less relevant than every relevant document; the others
# on BM25's first, whatever it is.
FILTERED = {AS_IT_COMES, *VARIANTS, "smooth, filtered"}
SYSTEMS = (UNTUNED, *LIBRARY, *OURS)


@dataclass(frozen=True)
class Case:
    """What is trained on, and how much."""

    data: str
    model: str
    epochs: float
    queries: int | None
    max_length_tokens: int
    batch_queries: int
    learning_rate: float | Literal["auto"]
    device: str
    held_out: float | None = None  # of the queries of train and dev; test is measured where None

    @property
    def name(self) -> str:
        """What a table's column says."""
        return Path(self.data).name

    @property
    def measured(self) -> str:
        """Which queries are measured."""
        return "test" if self.held_out is None else "held out"
