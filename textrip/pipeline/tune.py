"""The search for settings, from a collection to a study."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from textrip.data.collection import Collection
from textrip.data.formats import collection_of
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import DEFAULT_ENCODER, require_models
from textrip.errors import InputError
from textrip.eval.dev import dev_evaluation
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.settings import MineSettings
from textrip.pipeline.check import require_trainable
from textrip.pipeline.mined import mined
from textrip.pipeline.prepare import prepare_to_mine
from textrip.pipeline.train import DEV_DOCUMENTS
from textrip.training.requirements import refuse_what_is_for_labels
from textrip.training.settings import TrainSettings
from textrip.training.shaping import as_trained
from textrip.training.tune import Tuning, refuse_other
from textrip.training.tune import tune as search_settings
from textrip.typed import require_whole, typed_arguments


@typed_arguments
def tune(
    data: str | Path | Collection,
    folder: str | Path,
    *,
    model: str | Path = DEFAULT_ENCODER,
    settings: TrainSettings | None = None,
    mining: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    trials: int = 20,
    minutes: float | None = None,
    dev_documents: int = DEV_DOCUMENTS,
    without_own_id: bool = False,
    device: str = "auto",
    trust_remote_code: bool = False,
    force: bool = False,
    after_trial: Callable[[Tuning], None] | None = None,
) -> Tuning:
    """Search for settings on the dev split; the test split is not looked at (see training/tune.py).

    Args:
        data: A collection, or what `read` takes.
        folder: Holds the study; one that is there goes on.
        model: The base encoder's name or folder.
        settings: What is not searched for; `epochs` is the most of a trial.
        mining: How to mine; `negatives` is the most of a trial.
        analyzer: BM25's.
        trials: How many trainings there are to be in the end.
        minutes: No trial begins after so much time, mining not counted; one that runs then ends at its next
            measurement of dev.
        dev_documents: The dev split searches at most so many documents (0: the whole corpus).
        without_own_id: Where queries are documents of the corpus, a query's own is no answer on dev (see
            Evaluator).
        device: auto, cpu, cuda or mps.
        trust_remote_code: Run code that the model brings along. Only for models that you trust.
        force: Search in spite of errors that `check` finds.
        after_trial: Told what is found so far, after each trial.

    Raises:
        InputError: data or settings that cannot be used, or a folder that holds something else.
        MismatchError: the study in the folder was begun with something else.
        StorageError: another process searches in the folder.
    """
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes:g}, a number above 0 was expected")
    require_whole("dev_documents", dev_documents, least=0)
    settings = settings or TrainSettings()
    refuse_what_is_for_labels(settings, by_label=False)
    mining = mining or MineSettings(seed=settings.seed, negatives=4)
    asked = {"settings": asdict(settings), "mining": asdict(mining)}
    refuse_other(folder, asked)  # now, and not after the mining
    require_models(model, *mining.models, device=device, max_length_tokens=settings.max_length_tokens)
    given = collection_of(data)
    require_trainable(given, "dev", force=force)
    collection = prepare_to_mine(given, mining.split)
    refuse_other(folder, {"collection_sha256": collection.fingerprint})
    searcher = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
    evaluate_dev = dev_evaluation(
        collection, max_documents=dev_documents, searcher=searcher, without_own_id=without_own_id
    )
    cut = evaluate_dev.documents < len(collection.corpus)
    encoder = Encoder.load(
        model,
        device=device,
        max_length_tokens=settings.max_length_tokens,
        trust_remote_code=trust_remote_code,
    )
    return search_settings(
        collection,
        mined(collection, mining, searcher, as_trained(encoder, settings), device=device),
        lambda: Encoder.load(model, device=device, trust_remote_code=trust_remote_code),
        folder,
        evaluate_dev=evaluate_dev,
        settings=settings,
        trials=trials,
        minutes=minutes,
        dev={
            "dev_documents": evaluate_dev.documents,
            "analyzer": searcher.analyzer.to_dict() if cut else None,
            "without_own_id": without_own_id,
        },
        asked=asked,
        after_trial=after_trial,
    )
