"""One training step of textrip and of sentence-transformers' losses: same encoder, texts and precision.

Every system gets the same groups: queries, positives and k mined negatives. What differs is what it makes
of them: TripletLoss needs a row for each triple and encodes three texts a row; the others encode each
text of a row. A triple is a (query, positive, mined negative) that a step has dealt with.

Each measurement has a process of its own (spawned), so that the peak memory is that system's alone.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from textrip.errors import InputError
from textrip.eval.peers.apart import apart
from textrip.eval.peers.rows import Row


@dataclass(frozen=True)
class Case:
    """What is trained on, and how large a step is."""

    data: str
    model: str
    negatives: int
    max_length_tokens: int
    batch_queries: int
    steps: int
    device: str
    cache_tokens: int = 4096  # that a cached step holds at once
    precision: str = "float32"  # bf16: autocast, for every system

    @property
    def name(self) -> str:
        """What a table's column says."""
        return f"k = {self.negatives}"


SYSTEMS = (
    "TripletLoss",
    "TripletLoss, no dropout",
    "BatchHardTripletLoss",
    "MultipleNegativesRankingLoss",
    "CachedMultipleNegativesRankingLoss",
    "textrip, dropout on, one bucket",
    "textrip, dropout on",
    "textrip",
    "textrip, cached",
)

Step = Callable[[list[int]], Any]


def compare(cases: Sequence[Case], *, rounds: int, systems: Sequence[str] = SYSTEMS) -> list[Row]:
    """Measure some systems in every case, in turn, `rounds` times; the median of each figure."""
    measured: dict[tuple[str, str, str], list[float]] = {}
    for case in cases:
        for _ in range(rounds):
            for system in systems:
                found = apart(measure, system, case)
                for name, value in found.items():
                    measured.setdefault((system, case.name, name), []).append(value)
                print(f"{case.name}  {system}: {found['triples']:.1f} triples/s", file=sys.stderr)
    units = {
        "triples": "per second",
        "memory": "MB at the peak",
        "encodings": "texts encoded a triple",
        "rate": "TFLOP/s",
        "share": "of the rate of a matrix product",
    }
    return [
        Row(system, case, name, statistics.median(values), units[name])
        for (system, case, name), values in measured.items()
    ]


def measure(system: str, case: Case) -> dict[str, float]:
    """Triples a second, peak memory in MB, encodings a triple, and the rate of one system.

    The rate is of the operations that its padded batches take (flops.py), a second of its steps; the share is
    that of a large matrix product in the same precision, measured in the same process.
    """
    import torch

    from textrip.data.formats import read
    from textrip.eval.peers.flops import Counted, matrix_rate, wait
    from textrip.eval.peers.random_encoder import load
    from textrip.mining.mine import mine
    from textrip.mining.settings import MineSettings

    torch.manual_seed(0)
    collection = read(case.data)
    queries = case.batch_queries * (case.steps + 1)
    settings = MineSettings(negatives=case.negatives, positives=1, queries=4 * queries)
    triples = mine(collection, settings=settings)
    full = [place for place, group in enumerate(triples.groups) if len(group.negatives) == case.negatives]
    encoder = load(case.model, device=case.device, max_length_tokens=case.max_length_tokens)
    encoder.model.train()
    optimiser = torch.optim.AdamW(encoder.model.parameters(), lr=2e-5)
    dtype = torch.bfloat16 if case.precision == "bf16" else torch.float32
    full_rate = matrix_rate(encoder.device, dtype)
    if encoder.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()  # the matrices of the line above are no part of it
    counted = Counted(encoder.model)
    with ExitStack() as stack:
        stack.enter_context(
            torch.autocast(
                encoder.device.partition(":")[0], dtype=torch.bfloat16, enabled=case.precision == "bf16"
            )
        )
        step = _step(system, encoder, collection, triples, stack, cache_tokens=case.cache_tokens)
        seconds = 0.0
        for number, places in enumerate(_batches(full, case)):
            wait(encoder.device)
            began = time.perf_counter()
            optimiser.zero_grad()
            loss = step(places)
            loss.backward()
            optimiser.step()
            if number == 0:  # the first step warms up
                counted.begin()
            else:
                wait(encoder.device)
                seconds += time.perf_counter() - began
    dealt = case.steps * case.batch_queries * case.negatives
    return {
        "triples": dealt / seconds,
        "memory": _peak_megabytes(encoder.device),
        "encodings": counted.texts / dealt,
        "rate": counted.operations / seconds / 1e12,
        "share": counted.operations / seconds / full_rate,
    }


def _batches(places: list[int], case: Case) -> Iterator[list[int]]:
    size = case.batch_queries
    if len(places) < size:
        raise InputError(
            f"{case.data} has {len(places)} queries with {case.negatives} negatives, {size} are a batch"
        )
    again = cycle(places)  # where there are too few for all steps
    for _ in range(case.steps + 1):
        yield list(islice(again, size))


def _step(
    system: str, encoder: Any, collection: Any, triples: Any, stack: ExitStack, *, cache_tokens: int
) -> Step:
    """A function from places of groups to a loss, by one system."""
    if system.startswith("textrip"):
        return _textrip(system, encoder, collection, triples, stack, cache_tokens=cache_tokens)
    from sentence_transformers.sentence_transformer import losses

    from textrip.training.shaping import without_dropout

    if system.endswith("no dropout"):
        stack.enter_context(without_dropout(encoder.model))
    name = system.partition(",")[0]
    options = {"mini_batch_size": 16} if name.startswith("Cached") else {}
    loss = getattr(losses, name)(encoder.model, **options)
    columns = {"TripletLoss": _rows_of_triples, "BatchHardTripletLoss": _labelled}.get(name, _rows_of_groups)

    def step(places: list[int]) -> Any:
        import torch

        texts, labels = columns([_texts(triples.groups[place], collection) for place in places])
        features = [
            {
                key: value.to(encoder.device) if isinstance(value, torch.Tensor) else value
                for key, value in encoder.model.preprocess(column).items()
            }
            for column in texts
        ]
        return loss(features, None if labels is None else torch.tensor(labels, device=encoder.device))

    return step


def _textrip(
    system: str, encoder: Any, collection: Any, triples: Any, stack: ExitStack, *, cache_tokens: int
) -> Step:
    from textrip.training import batch
    from textrip.training.loss import GroupLoss, formula
    from textrip.training.shaping import without_dropout
    from textrip.training.survey import buckets_of, on_device

    if "dropout on" not in system:
        stack.enter_context(without_dropout(encoder.model))
    if "one bucket" in system:
        batch._MIN_BUCKET = sys.maxsize  # in this process alone
    collator = batch.GroupCollator(triples, collection, encoder)
    of = formula(
        "triplet",
        strategy="batch-hard",
        margin=0.2,
        temperature=0.05,
        second_margin=0.1,
        hardest_positive=False,
    )
    loss = GroupLoss(
        encoder.model,
        distance="cosine",
        of=of,
        cache_tokens=cache_tokens if system.endswith("cached") else None,
    )

    def step(places: list[int]) -> Any:
        collated = collator([{"group": place} for place in places])
        labels = on_device(encoder.model.device, collated.pop("label"))
        return loss([on_device(encoder.model.device, bucket) for bucket in buckets_of(collated)], labels)

    return step


Texts = tuple[str, str, list[str]]


def _texts(group: Any, collection: Any) -> Texts:
    def text(doc_id: str) -> str:
        return str(collection.texts[collection.doc_row[doc_id]])

    return (
        collection.query_texts[group.query_id],
        text(group.positive_id),
        [text(negative.doc_id) for negative in group.negatives],
    )


def _rows_of_triples(groups: list[Texts]) -> tuple[list[list[str]], None]:
    """A row for each triple: anchors, positives, negatives."""
    rows = [(query, positive, negative) for query, positive, negatives in groups for negative in negatives]
    return [list(column) for column in zip(*rows, strict=True)], None


def _rows_of_groups(groups: list[Texts]) -> tuple[list[list[str]], None]:
    """A row for each query: anchor, positive, k negatives."""
    rows = [(query, positive, *negatives) for query, positive, negatives in groups]
    return [list(column) for column in zip(*rows, strict=True)], None


def _labelled(groups: list[Texts]) -> tuple[list[list[str]], list[int]]:
    """One column of texts with labels: a query and its positive have one, every negative its own."""
    texts, labels = [], []
    for number, (query, positive, negatives) in enumerate(groups):
        texts += [query, positive, *negatives]
        first = len(groups) + len(texts)
        labels += [number, number, *range(first, first + len(negatives))]
    return [texts], labels


def _peak_megabytes(device: str) -> float:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
