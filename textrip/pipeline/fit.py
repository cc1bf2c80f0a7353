"""From raw text to a gated, indexed searcher: the rooms in the order of the data, in one call."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import DEFAULT_ENCODER
from textrip.eval.evaluate import Evaluation, Evaluator
from textrip.eval.significance import Difference, paired_difference
from textrip.files import write_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.settings import MineSettings
from textrip.pipeline.check import require_trainable
from textrip.pipeline.mined import mined
from textrip.pipeline.prepare import prepare_to_mine
from textrip.pipeline.train import DEV_DOCUMENTS, train
from textrip.progress import say
from textrip.replacing import refuse_taking_away, replacing
from textrip.retrieval.index import Index
from textrip.rounds import DENSE_SHARE, Rounds
from textrip.training.requirements import refuse_what_is_for_labels
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import as_trained

Verdict = Literal["IMPROVED", "NO DIFFERENCE", "REGRESSION"]

KIND = "textrip-report"
REPORT = "report.json"
FORMAT = 1
_ALPHA = 0.05


@dataclass(frozen=True)
class Fit:
    """What `fit` made, and what it measured on the test split."""

    folder: Path
    evaluation: Evaluation
    difference: Difference
    verdict: Verdict
    manifest: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The evaluation's report with the verdict and the paired difference."""
        return {**self.evaluation.to_dict(), "verdict": self.verdict, "difference": asdict(self.difference)}


def fit(
    data: str | Path | Collection,
    output: str | Path,
    *,
    model: str | Path = DEFAULT_ENCODER,
    settings: TrainSettings | None = None,
    mining: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    dev_documents: int = DEV_DOCUMENTS,
    rounds: int = 1,
    dense_share: float = DENSE_SHARE,
    device: str = "auto",
    force: bool = False,
    request: dict[str, Any] | None = None,
    stage: Callable[[str], None] = say,
) -> Fit:
    """Split, mine, train, evaluate, gate and index: `output` gets triples, model, index and report.

    The index is built with the tuned encoder, or with the base where the test split says REGRESSION.

    Args:
        data: A collection, or what `read` takes.
        output: The folder to write; complete or absent.
        model: The base encoder's name or folder.
        settings: How to train.
        mining: How to mine.
        analyzer: BM25's.
        dev_documents: The dev split searches at most so many documents (0: the whole corpus).
        rounds: With 2 and more, mine again with what was tuned, and train again, as in `train`.
        dense_share: Of a later round's negatives, so many come from the tuned encoder's own ranking.
        device: auto, cpu, cuda or mps.
        force: Overwrite `output`.
        request: Saved in the folder of the training while it is not finished (see `train`).
        stage: Told what begins.

    Raises:
        InputError: data or settings that cannot be used.
    """
    refuse_taking_away(output, force=force, mark=REPORT, read=[data])
    run = RunFolder.beside(output)
    run.refuse_unfinished(force=force)
    settings = settings or TrainSettings()
    refuse_what_is_for_labels(settings, by_label=False)
    mining = mining or MineSettings(seed=settings.seed)
    Rounds.wanted(rounds, dense_share, mining)  # refused now, and not after the mining
    with replacing(output, force=force) as folder:
        folder.mkdir()
        stage("reading")
        given = data if isinstance(data, Collection) else read(data)
        require_trainable(given, "dev", "test", force=force)
        collection = prepare_to_mine(given, mining.split)
        started = time.perf_counter()
        searcher = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
        searcher_seconds = time.perf_counter() - started
        stage("measuring BM25 and the untuned encoder on test")
        encoder = Encoder.load(model, device=device, max_length_tokens=settings.max_length_tokens)
        test = Evaluator(collection, "test", searcher=searcher, searcher_seconds=searcher_seconds)
        test.bm25()
        started = time.perf_counter()
        untuned = encoder.encode(collection.texts, progress="encoding documents")
        test.vectors(encoder, untuned, name="untuned", started=started)
        stage("mining")
        prompted = settings.query_prompt is not None or settings.document_prompt is not None
        triples = mined(
            collection, mining, searcher, as_trained(encoder, settings), device=device,
            vectors=None if prompted else untuned,
        )  # fmt: skip
        triples.write(folder / "triples.parquet")
        stage("training")
        manifest = train(
            collection,
            folder / "model",
            triples=triples,
            model=encoder,
            settings=settings,
            mining=mining,
            analyzer=analyzer,
            dev_documents=dev_documents,
            rounds=rounds,
            dense_share=dense_share,
            run=run,
            request=request,
            force=force,
        )
        if rounds > 1:  # the best round's; what was handed in is the first one's
            encoder = Encoder.load(
                folder / "model", device=device, max_length_tokens=settings.max_length_tokens
            )
            encoder.name = str(model)
        stage("measuring the tuned encoder on test")
        started = time.perf_counter()
        vectors = encoder.encode(collection.texts, progress="encoding documents")
        test.vectors(encoder, vectors, name="tuned", started=started)
        evaluation = test.evaluation()
        difference = _difference(evaluation)
        verdict = _verdict(difference)
        if verdict == "REGRESSION":
            say("the tuned encoder is worse on test: the index is built with the base encoder")
            encoder = Encoder.load(model, device=device, max_length_tokens=settings.max_length_tokens)
            vectors = untuned
        stage("indexing")
        _index(given, collection, encoder, folder / "index", analyzer=analyzer, vectors=vectors)
        done = Fit(Path(output), evaluation, difference, verdict, manifest)
        write_json(folder / REPORT, {"kind": KIND, "format": FORMAT, **done.to_dict()})
    return done


def _index(
    given: Collection,
    collection: Collection,
    encoder: Encoder,
    folder: Path,
    *,
    analyzer: Analyzer | None,
    vectors: NDArray[np.float32],
) -> None:
    """Index what was given; hybrid's weight is tuned on `collection`, which the vectors are of.

    Where questions were made of documents (`with_queries`), the collection lacks what became questions: a
    search is to find it, and a weight tuned where it stands in its own answer would be one for copies.
    """
    if given.corpus is collection.corpus:
        with Index.build(given, encoder, folder, analyzer=analyzer, vectors=vectors) as index:
            index.tune_fusion(collection)
        return
    with Index.build(collection, encoder, folder, analyzer=analyzer, vectors=vectors, onnx=False) as asked:
        fusion = asked.tune_fusion(collection)
    # Over the other one, so that the texts that lost nothing keep their vectors.
    with Index.build(given, encoder, folder, analyzer=analyzer, force=True) as index:
        index.note(fusion=asdict(fusion))


def _difference(evaluation: Evaluation) -> Difference:
    before, after = (evaluation[system].values["nDCG@10"] for system in ("untuned", "tuned"))
    return paired_difference(before, after)


def _verdict(difference: Difference) -> Verdict:
    if difference.p >= _ALPHA:
        return "NO DIFFERENCE"
    return "IMPROVED" if difference.mean > 0 else "REGRESSION"
