"""One system of a comparison of strategies, trained with one seed and measured (see strategies.py).

None but `textrip train, as it comes` (with what it says besides) looks at dev; the last weights are measured.
The library's losses have our batch, rate, schedule, length and no dropout; its TripletLoss is also trained as
it comes, with the trainer's defaults and the loss's own.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textrip.eval.peers.systems import (
    AS_IT_COMES,
    DEFAULTS,
    FILTERED,
    LIBRARY,
    MEASURE,
    OURS,
    RANKING,
    VARIANTS,
    Case,
)

if TYPE_CHECKING:
    from textrip.data.collection import Collection


def measure(system: str, seed: int, case: Case) -> dict[str, Any]:
    """Train one system with one seed: nDCG@10 on test, by query too, and how many texts were encoded."""
    from textrip.encoding.encoder import Encoder
    from textrip.eval.evaluate import Evaluator
    from textrip.lexical.searcher import LexicalSearcher
    from textrip.mining.mine import mine
    from textrip.mining.scoring import EncoderScorer
    from textrip.mining.settings import MineSettings
    from textrip.mining.trust import trust
    from textrip.training.rate import usual_rate

    collection = subject_of(case)
    encoder = Encoder.load(case.model, device=case.device, max_length_tokens=case.max_length_tokens)
    # The queries and negatives are the same with every seed: what a seed changes is the training.
    mining, _ = VARIANTS.get(system, ({}, {}))
    settings = MineSettings(queries=case.queries, seed=0, **mining)
    searcher = LexicalSearcher.build(collection.texts, order=collection.doc_order)
    scorer = EncoderScorer(encoder) if system in FILTERED else None
    if scorer is not None and system.startswith(AS_IT_COMES):  # as `textrip train` has it
        scorer = scorer if trust(scorer, collection, searcher, settings) else None
    triples = mine(collection, settings=settings, searcher=searcher, scorer=scorer)
    if case.learning_rate == "auto":  # the same for all: what is compared is not the rate
        case = replace(case, learning_rate=usual_rate(encoder))
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
    from textrip.data.leaks import without_held_out
    from textrip.data.split import with_splits

    collection = read(case.data)
    if case.held_out is None:
        return with_splits(without_held_out(collection))  # as `prepare` does
    known = {**collection.qrels.get("train", {}), **collection.qrels.get("dev", {})}
    return without_held_out(with_splits(replace(collection, qrels={"train": known}), test=case.held_out))


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
    from textrip.eval.dev import dev_evaluation
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
        evaluate_dev = dev_evaluation(collection, max_documents=2500)
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
