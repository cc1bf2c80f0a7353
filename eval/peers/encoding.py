"""Documents per second of every backend against sentence-transformers' `encode`, in one run.

All get the same texts in the same order, cut at the same length. sentence-transformers runs as it comes:
float32, batches of 32. What is lost is told by the cosine with its vectors and, with `--quality`, by
nDCG@10 on the test queries of collections.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.formats import read
from textrip.encoding.backend import BACKENDS, load_backend
from textrip.encoding.encoder import PRECISIONS, Encoder
from textrip.eval.evaluate import Evaluator
from textrip.eval.peers.rows import Row

LIBRARY = "sentence-transformers"

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Case:
    """What is encoded.

    Attributes:
        data: What textrip reads.
        documents: How many of its documents, evenly spread.
        model: The encoder.
        max_length_tokens: Longer texts are cut; the model's own length where None.
        rounds: Each system encodes all of them so often, in turn; the median counts.
        device: cpu or cuda.
    """

    data: str
    documents: int
    model: str
    max_length_tokens: int | None
    rounds: int
    device: str


def compare(case: Case, *, quality: Sequence[str] = ()) -> list[Row]:
    """Encode with every backend in turn."""
    collection = read(case.data)
    count = min(case.documents, len(collection.corpus))
    places = np.linspace(0, len(collection.corpus) - 1, count).astype(int).tolist()
    texts = [collection.texts[place] for place in places]
    rows = []
    with ExitStack() as stack:
        systems, encoders = _systems(case, stack, texts)
        name = f"{Path(case.data).name}, {count:,} documents, {case.device}"
        seconds: dict[str, list[float]] = {system: [] for system in systems}
        found: dict[str, NDArray[np.float32]] = {}
        for encode in systems.values():
            encode(texts[:64])
        for _ in range(case.rounds):
            for system, encode in systems.items():
                began = time.perf_counter()
                found[system] = encode(texts)
                seconds[system].append(time.perf_counter() - began)
        for system in systems:
            rate = count / statistics.median(seconds[system])
            print(f"{name}  {system}: {rate:,.1f} documents a second", file=sys.stderr)
            rows.append(Row(system, name, "encoded", rate, "documents per second"))
        for system in systems:
            cosines = (found[system] * found[LIBRARY]).sum(axis=1)
            rows.append(Row(system, name, f"mean cosine with {LIBRARY}", float(cosines.mean()), "cosine"))
            rows.append(Row(system, name, f"lowest cosine with {LIBRARY}", float(cosines.min()), "cosine"))
        for source in quality:
            rows += _quality(source, encoders)
    return rows


def _systems(case: Case, stack: ExitStack, texts: Sequence[str]) -> tuple[dict[str, Encode], dict[str, Any]]:
    systems: dict[str, Encode] = {}
    encoders: dict[str, Any] = {}
    for backend in BACKENDS:
        if case.device != "cpu" and backend != "torch":
            continue
        encoder, behind = stack.enter_context(
            load_backend(
                case.model, backend=backend, device=case.device,
                max_length_tokens=case.max_length_tokens, texts=texts[:16],
            )
        )  # fmt: skip
        if backend == "torch":
            systems[LIBRARY] = _library(behind.model)
            for precision in PRECISIONS[1:] if case.device == "cuda" else ():
                half = Encoder.load(  # of its own: without padding its attention is another one
                    case.model,
                    device=case.device,
                    max_length_tokens=case.max_length_tokens,
                    precision=precision,
                )
                unpadded = ", unpadded" if half.unpadded else ""
                systems[f"textrip, torch, {precision}{unpadded}"] = half.encode
        systems[f"textrip, {backend}"] = encoder.encode
        encoders[f"textrip, {backend}"] = encoder
    return systems, encoders


def _library(model: Any) -> Encode:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    return encode


def _quality(source: str, encoders: dict[str, Any]) -> list[Row]:
    """Test nDCG@10 of each backend; documents and questions by the same one."""
    evaluator = Evaluator(read(source), "test")
    for name, encoder in encoders.items():
        evaluator.encoder(encoder, name=name)
    report = evaluator.evaluation()
    return [
        Row(row["system"], Path(source).name, "test nDCG@10", row["nDCG@10"], "nDCG@10")
        for row in report.to_dict()["rows"]
    ]
