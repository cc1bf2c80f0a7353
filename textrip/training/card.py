"""The model card: what a tuned encoder is, where it came from and how it is used."""

from typing import Any

from textrip.training.names import BY_STRATEGY

_CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- feature-extraction
- triplet-loss
- textrip
---

# An encoder tuned by textrip

Tuned from `{base}` on the collection `{collection}` with the {loss} loss{negatives}, {distance}
distance and margin {margin:g} over {rows}.

| dev nDCG@10{over} | |
|---|---|
| before | {before} |
| after | {after} |

{kept} `manifest.json` beside this card holds every setting, version and hash.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
asked = model.encode_query(["a question"], normalize_embeddings=True)
found = model.encode_document(["a document"], normalize_embeddings=True)
print(asked @ found.T)
```
"""


def model_card(manifest: dict[str, Any]) -> str:
    """The card's text for a manifest (see train.py)."""
    settings, dev = manifest["settings"], manifest["dev"]
    after = max((step["nDCG@10"] for step in dev), default=None)
    kept = (
        "No step of the training was better on dev than its start: these are the base's weights."
        if manifest["kept_step"] == 0
        else f"The weights are those of step {manifest['kept_step']}, the best on dev."
    )
    if not dev:
        kept = "Nothing was measured: these are the weights of the last step, better or not."
    return _CARD.format(
        base=manifest["base"]["name"],
        collection=manifest["data"]["collection"],
        rows=_rows(manifest["data"]),
        before="not measured" if not dev else f"{dev[0]['nDCG@10']:.4f}",
        over=_over(manifest.get("dev_search")),
        after="not measured" if after is None else f"{after:.4f}",
        kept=kept,
        loss=settings["loss"],
        negatives=f" ({settings['strategy']} negatives)" if settings["loss"] in BY_STRATEGY else "",
        distance=settings["distance"],
        margin=settings["margin"],
    )


def _over(search: dict[str, Any] | None) -> str:
    if search is None:
        return ""
    return f" of {search['queries']:,} queries over {search['documents']:,} documents"


def _rows(data: dict[str, Any]) -> str:
    if "labels" in data:
        return f"{data['texts']:,} texts of {data['labels']:,} labels"
    return f"{data['groups']:,} groups of {data['queries']:,} queries"
