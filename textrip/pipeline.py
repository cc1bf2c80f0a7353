"""From raw text to a gated, indexed searcher: the rooms in the order of the data, in one call."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textrip.clustering.cluster import Cluster, cluster_vectors
from textrip.data.check import Finding, leaking, require_sound, truncation
from textrip.data.check import check as check_collection
from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.data.labels import by_label as by_label_of
from textrip.data.labels import thinned
from textrip.data.pairs import with_queries
from textrip.data.split import with_splits
from textrip.encoding.encoder import Encoder
from textrip.encoding.load import DEFAULT_ENCODER
from textrip.errors import InputError
from textrip.eval.evaluate import Evaluation, Evaluator, dev_evaluation
from textrip.eval.significance import Difference, paired_difference
from textrip.files import refuse_existing, replacing, write_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.check import check_triples
from textrip.mining.filters import DENOISED
from textrip.mining.mine import mine
from textrip.mining.scoring import EncoderScorer
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.mining.trust import trust
from textrip.progress import say
from textrip.retrieval.index import Index
from textrip.rounds import DENSE_SHARE, train_in_rounds
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.train import CHECKPOINT_MINUTES
from textrip.training.train import train as train_encoder
from textrip.training.tune import Tuning
from textrip.training.tune import tune as search_settings

Verdict = Literal["IMPROVED", "NO DIFFERENCE", "REGRESSION"]

KIND = "textrip-report"
FORMAT = 1
# A dev split is measured before training and after every epoch: over a larger corpus that would take
# longer than the training itself.
DEV_DOCUMENTS = 2500
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


def prepare(collection: Collection) -> Collection:
    """A collection that can be trained on: with queries, and with the splits that it lacks.

    The cut is a function of the data alone, whatever the seed of a run: what one command held out, no
    other trains on.
    """
    collection, made = with_queries(collection)
    if made:
        say(
            "no judgments given: training pairs made by rule: "
            + ", ".join(f"{rule} {count:,}" for rule, count in made.items())
        )
    before = set(collection.qrels)
    collection = with_splits(collection)
    cut = [f"{name} {len(qrels):,}" for name, qrels in collection.qrels.items() if name not in before]
    if cut:
        say(f"cut from train: {', '.join(cut)} queries")
    return without_held_out(collection)


def without_held_out(collection: Collection) -> Collection:
    """The collection without the queries of train whose text dev or test asks; said where there are some."""
    found = leaking(collection)
    if not found:
        return collection
    say(f"left out of train: {len(found):,} queries whose text is asked in dev or test")
    train = {query: judged for query, judged in collection.qrels["train"].items() if query not in found}
    if not train:
        raise InputError(f"{collection.name}: every query of train is asked in dev or test, too")
    return replace(collection, qrels={**collection.qrels, "train": train})


def check(
    collection: Collection,
    *,
    triples: Triples | None = None,
    encoder: Encoder | None = None,
    near: bool = True,
) -> list[Finding]:
    """What is wrong with a collection, and with triples of it; errors first.

    Args:
        collection: As it was read: what `prepare` would make of it is not looked at.
        triples: Mined from it.
        encoder: Says which share of the texts it would cut.
        near: Also look for near-duplicates.
    """
    found = check_collection(collection, near=near)
    if triples is not None:
        found += check_triples(triples, collection)
    if encoder is not None:
        found += truncation(
            collection, lambda texts: encoder.count_tokens(texts, cut=False), encoder.max_length_tokens
        )
    return sorted(found, key=lambda finding: finding.level != "error")


def prepare_labels(collection: Collection) -> Collection:
    """Labelled texts with the splits that they lack, as a collection that is searched by label."""
    prepared = by_label_of(collection)
    asked = ", ".join(f"{name} {len(qrels):,}" for name, qrels in prepared.qrels.items())
    say(
        f"by label: {len(prepared.corpus):,} texts of {len(set(prepared.labels)):,} labels to train on and "
        f"to find, asked by {asked}"
    )
    return prepared


def train(
    data: str | Path | Collection,
    output: str | Path,
    *,
    triples: Triples | None = None,
    model: str | Path | Encoder = DEFAULT_ENCODER,
    settings: TrainSettings | None = None,
    mining: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    dev_documents: int = DEV_DOCUMENTS,
    by_label: bool = False,
    rounds: int = 1,
    dense_share: float = DENSE_SHARE,
    device: str = "auto",
    run: RunFolder | None = None,
    resume: bool = False,
    request: dict[str, Any] | None = None,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    tensorboard: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Fine-tune an encoder on a collection with triplet loss; triples are mined where none are given.

    The dev split decides which epoch's weights are saved; dev and test are cut from train where they
    are missing (see `prepare`), and nothing of them is trained on.

    Args:
        data: A collection, or what `read` takes.
        output: The folder to write.
        triples: Mined triples; texts and judgments still come from `data`.
        model: The base encoder, or its name or folder.
        settings: How to train.
        mining: How to mine, where no triples are given.
        analyzer: BM25's.
        dev_documents: The dev split searches at most so many documents (0: the whole corpus).
        by_label: Train on the labels of the texts, in batches of some labels with some texts each; nothing
            is mined. Dev and test are texts that are to find those of their label (see data/labels.py).
        rounds: With 2 and more, mine again with what was tuned, and train again (see rounds.py).
        dense_share: Of a later round's negatives, so many come from the tuned encoder's own ranking.
        device: auto, cpu, cuda or mps.
        run: The folder of the unfinished run; OUTPUT.unfinished where None.
        resume: Go on with a run that was stopped, with the same arguments.
        request: Saved in the run's folder for the caller.
        checkpoint_minutes: So often a checkpoint is saved, besides after every epoch.
        tensorboard: Also write the log for TensorBoard.
        force: Overwrite `output`, and an unfinished run of it.

    Returns:
        The manifest, which also lies in `output`.

    Raises:
        InputError: data, settings or triples that cannot be used; before any training.
    """
    refuse_existing(output, force=force)
    settings = settings or TrainSettings()
    collection = data if isinstance(data, Collection) else read(data)
    if not by_label:
        require_sound(check(collection, triples=triples, near=False), force=force)
    collection = prepare_labels(collection) if by_label else prepare(collection)
    encoder = model if isinstance(model, Encoder) else Encoder.load(model, device=device)
    searcher = None
    if by_label:
        if triples is not None:
            raise InputError("by_label trains on labels, and triples were given: one of them was expected")
    elif triples is None and resume and run is not None and run.has_triples:
        triples = run.triples()
    elif triples is None:
        searcher = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
        reading = Encoder(encoder.model, encoder.name, max_length_tokens=settings.max_length_tokens)
        triples = _mined(
            collection, mining or MineSettings(seed=settings.seed), searcher, reading, device=device
        )
    else:
        triples = _without_dev(triples, collection)
    if by_label:
        evaluate_dev, searched = dev_evaluation(thinned(collection, dev_documents), max_documents=0)
    else:
        evaluate_dev, searched = dev_evaluation(collection, max_documents=dev_documents, searcher=searcher)
    if searched < len(collection.corpus):
        which = "evenly drawn" if by_label else "judged ones and BM25's best"
        say(f"dev searches {searched:,} of {len(collection.corpus):,} documents: {which}")
    options: dict[str, Any] = {
        "settings": settings, "evaluate_dev": evaluate_dev, "run": run, "resume": resume, "request": request,
        "checkpoint_minutes": checkpoint_minutes, "tensorboard": tensorboard, "force": force,
    }  # fmt: skip
    if rounds == 1:
        return train_encoder(collection, triples, encoder, output, **options)
    if triples is None:
        raise InputError("rounds mine with what was tuned, and by_label mines nothing: leave one of them out")
    if searcher is None:
        searcher = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
    return train_in_rounds(
        collection, triples, encoder, output, rounds=rounds, dense_share=dense_share, searcher=searcher,
        mining=mining or MineSettings(seed=settings.seed), **options,
    )  # fmt: skip


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
    device: str = "auto",
    trust_remote_code: bool = False,
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
        minutes: No trial begins after so much time.
        dev_documents: The dev split searches at most so many documents (0: the whole corpus).
        device: auto, cpu, cuda or mps.
        trust_remote_code: Run code that the model brings along. Only for models that you trust.

    Raises:
        InputError: data or settings that cannot be used, or a folder that holds something else.
    """
    settings = settings or TrainSettings()
    collection = prepare(data if isinstance(data, Collection) else read(data))
    searcher = LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
    mining = mining or MineSettings(seed=settings.seed, negatives=4)
    evaluate_dev, _ = dev_evaluation(collection, max_documents=dev_documents, searcher=searcher)
    encoder = Encoder.load(
        model,
        device=device,
        max_length_tokens=settings.max_length_tokens,
        trust_remote_code=trust_remote_code,
    )
    return search_settings(
        collection,
        _mined(collection, mining, searcher, encoder, device=device),
        lambda: Encoder.load(model, device=device, trust_remote_code=trust_remote_code),
        folder,
        evaluate_dev=evaluate_dev,
        settings=settings,
        trials=trials,
        minutes=minutes,
    )


def _mined(
    collection: Collection,
    settings: MineSettings,
    searcher: LexicalSearcher,
    encoder: Encoder,
    *,
    device: str,
    vectors: NDArray[np.float32] | None = None,
) -> Triples:
    """Mine for an encoder that is to be trained: by default it filters, as it is now (see MineSettings)."""
    scorer = None
    if settings.denoise == "auto":
        scorer = EncoderScorer(encoder, vectors)
        known = trust(scorer, collection, searcher, settings)
        if not known:
            say(
                f"the negatives are not filtered: {encoder.name} puts a relevant document above a random one "
                f"in {known.model:.0%} of {known.pairs} cases, BM25 in {known.bm25:.0%}"
            )
            scorer = None
    triples = mine(collection, settings=settings, searcher=searcher, scorer=scorer, device=device)
    left_out = triples.provenance["left out"].get(DENOISED, 0)
    say(
        f"mined {triples.count:,} triples in {len(triples):,} groups"
        + (f"; {left_out:,} candidates left out: {encoder.name} finds them relevant" if left_out else "")
    )
    return triples


def _without_dev(triples: Triples, collection: Collection) -> Triples:
    """Triples without the queries that dev or test judge: nothing is trained on what measures it."""
    triples.require(collection)
    held_out = {
        query_id for split, qrels in collection.qrels.items() if split != "train" for query_id in qrels
    } | set(leaking(collection))
    kept = [group for group in triples.groups if group.query_id not in held_out]
    if len(kept) < len(triples):
        say(f"left out {len(triples) - len(kept):,} groups whose queries are held out in dev or test")
    return replace(triples, groups=kept)


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
    refuse_existing(output, force=force)
    run = RunFolder.beside(output)
    run.refuse_unfinished(force=force)
    settings = settings or TrainSettings()
    with replacing(output, force=force) as folder:
        folder.mkdir()
        stage("reading")
        given = data if isinstance(data, Collection) else read(data)
        require_sound(check(given, near=False), force=force)
        collection = prepare(given)
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
        mining = mining or MineSettings(seed=settings.seed)
        triples = _mined(collection, mining, searcher, encoder, device=device, vectors=untuned)
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
        write_json(folder / "report.json", {"kind": KIND, "format": FORMAT, **done.to_dict()})
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
    made = folder.with_name("made-questions")
    with Index.build(collection, encoder, made, analyzer=analyzer, vectors=vectors, onnx=False) as asked:
        fusion = asked.tune_fusion(collection)
    shutil.rmtree(made)
    with Index.build(given, encoder, folder, analyzer=analyzer) as index:
        index.note(fusion=asdict(fusion))


def _difference(evaluation: Evaluation) -> Difference:
    before, after = (evaluation[system].values["nDCG@10"] for system in ("untuned", "tuned"))
    return paired_difference(before, after)


def _verdict(difference: Difference) -> Verdict:
    if difference.p >= _ALPHA:
        return "NO DIFFERENCE"
    return "IMPROVED" if difference.mean > 0 else "REGRESSION"


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
        k: How many clusters; sqrt(n / 2) where None.
        model: Encodes a collection; an index has vectors.
        device: auto, cpu, cuda or mps.
        seed: The same seed gives the same clusters.
    """
    if isinstance(source, str | Path) and (Path(source) / "index.json").is_file():
        source = Index.open(source)
    if isinstance(source, Index):
        texts = (stored.document.full_text for stored in source.store)
        return cluster_vectors(source.doc_ids, texts, source.vectors, k=k, seed=seed)
    collection = source if isinstance(source, Collection) else read(source)
    vectors = Encoder.load(model, device=device).encode(collection.texts, progress="encoding documents")
    return cluster_vectors(collection.doc_ids, collection.texts, vectors, k=k, seed=seed)
