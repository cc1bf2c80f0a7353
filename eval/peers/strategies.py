"""What a strategy is worth: test nDCG@10 after the same budget of encodings, beside the library's losses.

Every system is trained on the same queries of train with the same budget of texts encoded in training: one
epoch of rows (query, positive, negative) times `epochs`. A system that encodes two texts a query takes half
as many steps again; a query whose negatives were all filtered out costs fewer texts. None but `textrip train,
as it comes` (with what it says besides) looks at dev; the last weights are measured. The library's losses
have our batch, rate, schedule, length and no dropout; its TripletLoss is also trained as it comes, with the
trainer's defaults and the loss's own.

A default is chosen with `held_out`: test is left alone, and a share of the other queries is measured.

Each system and seed is a process of its own (spawned). What is measured lies in a folder as JSON lines, so
that a comparison that was stopped goes on.
"""

import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textrip.eval.peers.rows import Row
from textrip.eval.significance import paired_difference

if TYPE_CHECKING:
    from textrip.data.collection import Collection

MEASURE = "nDCG@10"
RANKING = "multiple negatives ranking"
DEFAULTS = "TripletLoss at its defaults"
UNTUNED = "untuned"
AS_IT_COMES = "textrip train, as it comes"
# By name: how many mined negatives a row has, and the settings that differ from the common ones.
OURS: dict[str, tuple[int, dict[str, Any]]] = {
    # As it comes: filtered by the untuned encoder, and the best on dev is kept.
    AS_IT_COMES: (1, {}),
    "smooth, filtered": (1, {"loss": "smooth", "strategy": "batch-hard"}),
    "smooth": (1, {"loss": "smooth", "strategy": "batch-hard"}),
    "smooth, without mined": (0, {"loss": "smooth", "strategy": "in-batch"}),
    "smooth, margin 0": (1, {"loss": "smooth", "strategy": "batch-hard", "margin": 0.0}),
    "batch-hard": (1, {"strategy": "batch-hard"}),
    "semi-hard": (1, {"strategy": "semi-hard"}),
    "in-batch": (0, {"loss": "triplet", "strategy": "in-batch"}),
    "mined": (1, {"strategy": "mined"}),
    "batch-all": (1, {"strategy": "batch-all"}),
    "mixed": (1, {"strategy": "mixed"}),
    "soft-margin": (1, {"loss": "soft-margin", "strategy": "batch-hard"}),
    "contrastive": (1, {"loss": "contrastive", "strategy": "batch-hard"}),
    "online-contrastive": (1, {"loss": "online-contrastive", "strategy": "batch-hard"}),
    "quadruplet": (1, {"loss": "quadruplet", "strategy": "batch-hard"}),
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
    learning_rate: float
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


def compare(case: Case, *, systems: Sequence[str], seeds: Sequence[int], folder: Path) -> list[Row]:
    """Train and measure what `folder` does not hold yet; seed by seed, so that an early end is balanced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.name}.jsonl"
    found = read_results(path, case)
    context = multiprocessing.get_context("spawn")
    for seed in seeds:
        for system in systems:
            # The untuned encoder has no seed.
            if (system, seed) in found or (system == UNTUNED and seed != seeds[0]):
                continue
            with context.Pool(1) as pool:
                result = pool.apply(measure, (system, seed, case))
            found[system, seed] = result
            with path.open("a", encoding="utf-8") as lines:
                line = {"case": _identity(case), "system": system, "seed": seed, **result}
                lines.write(json.dumps(line) + "\n")
            print(
                f"{case.name}  seed {seed}  {system}: {MEASURE} {result[MEASURE]:.4f}, "
                f"{result['encodings']:,} texts encoded, {result['seconds']:.0f} s",
                file=sys.stderr,
            )
    return list(rows(case, found, systems=systems, seeds=seeds))


def read_results(path: Path, case: Case) -> dict[tuple[str, int], dict[str, Any]]:
    """What was measured of this very case."""
    if not path.exists():
        return {}
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(entry["system"], entry["seed"]): entry for entry in entries if entry["case"] == _identity(case)}


def _identity(case: Case) -> dict[str, Any]:
    return {**vars(case), "data": case.name}


def rows(
    case: Case,
    found: dict[tuple[str, int], dict[str, Any]],
    *,
    systems: Sequence[str],
    seeds: Sequence[int],
) -> Iterator[Row]:
    """A row for each seed, the mean, and the difference to multiple negatives ranking with its p-value."""
    for system in systems:
        results = [(seed, found[system, seed]) for seed in seeds if (system, seed) in found]
        if not results:
            continue
        for seed, result in results:
            yield Row(system, f"{case.name}, seed {seed}", f"{case.measured} {MEASURE}", result[MEASURE], "")
            yield Row(
                system, f"{case.name}, seed {seed}", "texts encoded in training", result["encodings"], ""
            )
        mean = statistics.mean(result[MEASURE] for _, result in results)
        yield Row(system, case.name, f"{case.measured} {MEASURE}, mean", mean, "")
        if all((RANKING, seed) in found for seed in seeds) and system != RANKING:
            difference = paired_difference(
                _per_query([found[RANKING, seed] for seed in seeds]),
                _per_query([result for _, result in results]),
            )
            yield Row(system, case.name, f"over {RANKING}", difference.mean, "")
            yield Row(system, case.name, f"p of the difference to {RANKING}", difference.p, "")


def _per_query(results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """From query to the mean over seeds."""
    return {
        query: statistics.mean(result["queries"][query] for result in results)
        for query in results[0]["queries"]
    }


def table(found: Sequence[Row]) -> str:
    """Markdown: a system a line; by data set the mean, every seed, and the difference to the baseline."""
    values = {(row.peer, row.case, row.measure): row.value for row in found}
    measured = next(row.measure for row in found if row.measure.endswith(MEASURE))
    single = [row for row in found if row.measure == measured]
    cases = list(dict.fromkeys(row.case for row in found if row.measure == f"{measured}, mean"))
    lines = [f"| {measured} | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|"]
    for system in dict.fromkeys(row.peer for row in found):
        cells = []
        for case in cases:
            mean = values.get((system, case, f"{measured}, mean"))
            seeds = [row.value for row in single if row.peer == system and row.case.startswith(f"{case}, ")]
            cells.append("-" if mean is None else _cell(mean, seeds, values, system, case))
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(
    mean: float, seeds: Sequence[float], values: dict[tuple[str, str, str], float], system: str, case: str
) -> str:
    text = f"{mean:.3f}"
    if len(seeds) > 1:
        text += f" ({', '.join(f'{value:.3f}' for value in seeds)})"
    difference = values.get((system, case, f"over {RANKING}"))
    if difference is not None:
        p = values[system, case, f"p of the difference to {RANKING}"]
        text += f"; {difference:+.3f}, p {p:.2g}"
    return text


def measure(system: str, seed: int, case: Case) -> dict[str, Any]:
    """Train one system with one seed: nDCG@10 on test, by query too, and how many texts were encoded."""
    from textrip.encoding.encoder import Encoder
    from textrip.eval.evaluate import Evaluator
    from textrip.mining.mine import mine
    from textrip.mining.scoring import EncoderScorer
    from textrip.mining.settings import MineSettings

    collection = subject_of(case)
    encoder = Encoder.load(case.model, device=case.device, max_length_tokens=case.max_length_tokens)
    # The queries and negatives are the same with every seed: what a seed changes is the training.
    scorer = EncoderScorer(encoder) if system in FILTERED else None
    mining, _ = VARIANTS.get(system, ({}, {}))
    settings = MineSettings(queries=case.queries, seed=0, **mining)
    triples = mine(collection, settings=settings, scorer=scorer)
    counted = _Counted(encoder.model)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if system in OURS:
            _train_ours(system, seed, case, (collection, triples, encoder, folder))
        elif system in LIBRARY:
            _train_library(system, seed, case, (collection, triples, encoder, folder))
    seconds = time.perf_counter() - began
    encoder.model.eval()
    result = Evaluator(collection, "test").encoder(encoder)
    return {
        MEASURE: result[MEASURE],
        "encodings": counted.texts,
        "seconds": seconds,
        "queries": result.values[MEASURE],
    }


Subject = tuple[Any, Any, Any, str]


def subject_of(case: Case) -> "Collection":
    """The collection with the split that is measured as test."""
    from textrip.data.formats import read
    from textrip.data.split import with_splits

    collection = read(case.data)
    if case.held_out is None:
        return with_splits(collection)
    known = {**collection.qrels.get("train", {}), **collection.qrels.get("dev", {})}
    return with_splits(replace(collection, qrels={"train": known}), test=case.held_out)


class _Counted:
    """Counts the texts that a model encodes with a gradient."""

    def __init__(self, model: Any) -> None:
        self.texts = 0
        model.register_forward_pre_hook(self._count)

    def _count(self, module: Any, given: tuple[Any, ...]) -> None:
        import torch

        if module.training and torch.is_grad_enabled():
            self.texts += len(given[0]["input_ids"])


def epochs_of(budget: float, texts_a_query: int) -> float:
    """How many epochs use up a budget, which is in epochs of three texts a query."""
    return budget * 3 / texts_a_query


def _train_ours(system: str, seed: int, case: Case, subject: Subject) -> None:
    from textrip.eval.evaluate import dev_evaluation
    from textrip.training.settings import TrainSettings
    from textrip.training.train import train

    collection, triples, encoder, folder = subject
    negatives, options = OURS[system]
    epochs = epochs_of(case.epochs, 2 + negatives)
    if options.get("sampling") == "positive":  # an epoch asks every group, and not every query
        epochs *= len({group.query_id for group in triples.groups}) / len(triples)
    settings = TrainSettings(
        epochs=epochs,
        batch_queries=case.batch_queries,
        learning_rate=case.learning_rate,
        max_length_tokens=case.max_length_tokens,
        seed=seed,
        **options,
    )
    evaluate_dev = None
    if system.startswith(AS_IT_COMES):
        evaluate_dev, _ = dev_evaluation(collection, max_documents=2500)
    train(collection, triples, encoder, Path(folder) / "model", settings=settings, evaluate_dev=evaluate_dev)


def _train_library(system: str, seed: int, case: Case, subject: Subject) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.base.training_args import BatchSamplers
    from sentence_transformers.sentence_transformer import losses

    from textrip.training.shaping import without_dropout

    collection, triples, encoder, folder = subject
    negatives = LIBRARY[system]
    texts = list(_rows(triples, collection, epochs_of(case.epochs, 2 + negatives), negatives, seed))
    common: dict[str, Any] = {
        "output_dir": folder,
        "seed": seed,
        "num_train_epochs": 1,  # the rows hold the whole budget
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": encoder.device == "cpu",
    }
    if system != DEFAULTS:
        common |= {
            "per_device_train_batch_size": case.batch_queries,
            "learning_rate": case.learning_rate,
            "lr_scheduler_type": "constant_with_warmup",
            "warmup_steps": round(0.1 * len(texts) / case.batch_queries),
            "weight_decay": 0.01,
            "batch_sampler": BatchSamplers.NO_DUPLICATES,
        }
    loss = losses.MultipleNegativesRankingLoss if system.startswith(RANKING) else losses.TripletLoss

    class Trainer(SentenceTransformerTrainer):  # type: ignore[misc]
        def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
            """No card: it would ask the hub."""

    def run() -> None:
        Trainer(
            model=encoder.model,
            args=SentenceTransformerTrainingArguments(**common),
            train_dataset=Dataset.from_list(texts),
            loss=loss(encoder.model),
        ).train()

    if system != DEFAULTS:
        with without_dropout(encoder.model):
            run()
    else:
        run()


def _rows(
    triples: Any, collection: Any, epochs: float, negatives: int, seed: int
) -> Iterator[dict[str, str]]:
    """Rows of texts, drawn as our own epochs are: a query once an epoch, its positives in turn."""
    from textrip.training.batch import QuerySampler

    sampler = QuerySampler(triples.groups, batch_queries=1, seed=seed)
    left = round(epochs * len(sampler))
    epoch = 0
    while left > 0:
        sampler.set_epoch(epoch)
        for (place,) in list(sampler)[:left]:
            group = triples.groups[place]
            row = {
                "anchor": collection.query_texts[group.query_id],
                "positive": _text(collection, group.positive_id),
            }
            if negatives:
                row["negative"] = _text(collection, group.negatives[0].doc_id)
            yield row
        left -= len(sampler)
        epoch += 1


def _text(collection: Any, doc_id: str) -> str:
    return str(collection.texts[collection.doc_row[doc_id]])
