"""Fine-tuning, from a collection to a folder."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textrip import processes
from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.data.formats import collection_of
from textrip.data.labels import thinned
from textrip.encoding.encoder import Encoder
from textrip.encoding.kept import keeping
from textrip.encoding.load import DEFAULT_ENCODER, require_models
from textrip.errors import InputError
from textrip.eval.dev import DevSearch, dev_evaluation
from textrip.eval.evaluate import heed_own_documents
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.pipeline.check import require_trainable
from textrip.pipeline.mined import mined, without_dev
from textrip.pipeline.prepare import prepare, prepare_labels, prepare_to_mine
from textrip.place import named
from textrip.progress import say
from textrip.rounds import DENSE_SHARE, Rounds, train_in_rounds
from textrip.training.material import LabelledTexts
from textrip.training.requirements import refuse_what_is_for_labels, require_fitting_encoder
from textrip.training.run_folder import MANIFEST, RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import as_trained
from textrip.training.train import CHECKPOINT_MINUTES, refuse_what_is_for_one, space_for
from textrip.training.train import train as train_encoder
from textrip.typed import require_whole, typed_arguments
from textrip.writable import refuse_existing, refuse_taking_away

# A dev split is measured before training and after every epoch: over a larger corpus that would take
# longer than the training itself.
DEV_DOCUMENTS = 2500


@typed_arguments
def train(
    data: str | Path | Collection,
    output: str | Path,
    *,
    triples: Triples | None = None,
    model: str | Path | Encoder = DEFAULT_ENCODER,
    trust_remote_code: bool = False,
    settings: TrainSettings | None = None,
    mining: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    dev_documents: int = DEV_DOCUMENTS,
    without_own_id: bool = False,
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
        model: The base encoder, or its name or folder. An `Encoder` becomes what is saved (weights, length,
            prompts) when all is done, and stays as it is where the training stops: load the base anew to
            compare with it. It is copied for that; by a name or folder there is one in memory.
        trust_remote_code: Run code that the model brings along. Only for models that you trust.
        settings: How to train.
        mining: How to mine, where no triples are given.
        analyzer: BM25's.
        dev_documents: The dev split searches at most so many documents (0: the whole corpus).
        without_own_id: Where queries are documents of the corpus, a query's own is no answer on dev (see
            Evaluator).
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
    require_whole("dev_documents", dev_documents, least=0)
    refuse_taking_away(output, force=force, mark=MANIFEST, read=[data])
    settings = settings or TrainSettings()
    refuse_what_is_for_one(settings, rounds=rounds)
    refuse_what_is_for_labels(settings, by_label=by_label)
    mining = mining or MineSettings(seed=settings.seed)
    several = Rounds.wanted(rounds, dense_share, mining, by_label=by_label)
    run = run or RunFolder.beside(output)
    refuse_existing(run.path, force=True)
    if by_label:
        refuse_beside_labels(triples, without_own_id=without_own_id)
    given = triples is not None
    mines = not by_label and not given and not (resume and run.has_triples)
    require_models(
        model, *(mining.models if mines else ()), device=device, max_length_tokens=settings.max_length_tokens
    )
    collection = collection_of(data)
    if by_label:
        collection = prepare_labels_to_train(collection)
    else:
        require_trainable(collection, "dev", triples=triples, force=force)
        collection = prepare_to_mine(collection, mining.split) if mines else prepare(collection)
        if without_own_id:
            heed_own_documents(collection, "dev", without=True)  # now, and not after the mining
    encoder = _base(model, device=device, trust_remote_code=trust_remote_code)
    require_fitting_encoder(encoder, settings)
    searcher = None
    if mines:
        run.require_space(space_for(encoder))  # now, and not after the mining
        searcher = _bm25(collection, analyzer)
        # What the filter's encoder said of a document; of several processes each would take away the others'.
        with keeping(named(output)) if processes.count() == 1 else nullcontext():
            triples = mined(collection, mining, searcher, as_trained(encoder, settings), device=device)
        run.mined = True
    elif triples is not None:
        triples = without_dev(triples, collection)
    elif not by_label:
        run.require_collection(collection)  # what is said of triples from other texts would be no help
        triples = run.triples()
    cut = not by_label and 0 < dev_documents < len(collection.corpus)
    if searcher is None and (cut or several is not None):  # dev's pool is that of the first half of a run
        searcher = _bm25(collection, analyzer)
    dev = _dev(
        collection, searcher, max_documents=dev_documents, by_label=by_label, without_own_id=without_own_id
    )
    options: dict[str, Any] = {
        "settings": settings, "evaluate_dev": dev, "dev_search": dev.about, "run": run, "resume": resume,
        "request": request, "checkpoint_minutes": checkpoint_minutes, "tensorboard": tensorboard,
        "force": force,
    }  # fmt: skip
    if several is None or triples is None or searcher is None:
        how = {"mining": asdict(mining), "analyzer": (analyzer or Analyzer()).to_dict()}
        options["mined_with"] = None if given or by_label else how
        manifest = train_encoder(collection, triples, encoder, output, **options)
    else:
        manifest = train_in_rounds(
            collection, triples, encoder, output, rounds=several, searcher=searcher, **options
        )
    if isinstance(model, Encoder):
        model.become(encoder if several is None else _saved(output, encoder))
    return manifest


def _dev(
    collection: Collection,
    searcher: LexicalSearcher | None,
    *,
    max_documents: int,
    by_label: bool,
    without_own_id: bool,
) -> DevSearch:
    """How dev is measured, over at most so many documents."""
    if by_label:
        dev = dev_evaluation(thinned(collection, max_documents), max_documents=0)
    else:
        dev = dev_evaluation(
            collection, max_documents=max_documents, searcher=searcher, without_own_id=without_own_id
        )
    if dev.documents < len(collection.corpus):
        which = "evenly drawn" if by_label else "judged ones and BM25's best"
        say(f"dev searches {dev.documents:,} of {len(collection.corpus):,} documents: {which}")
    return dev


def _base(model: str | Path | Encoder, *, device: str, trust_remote_code: bool) -> Encoder:
    """What is trained: the caller's own encoder stays as it is until all is done."""
    if isinstance(model, Encoder):
        return model.copy()
    return Encoder.load(model, device=device, trust_remote_code=trust_remote_code)


def _saved(output: str | Path, base: Encoder) -> Encoder:
    """What several rounds of training, each on a copy, left as the best."""
    trust_remote_code = base.model.trust_remote_code  # as the user chose for the base
    return Encoder.load(output, device=base.device, trust_remote_code=trust_remote_code)


def prepare_labels_to_train(collection: Collection) -> Collection:
    """As `prepare_labels`, for training.

    Raises:
        InputError: fewer than two labels have two texts to compare, or no text is left for dev.
    """
    prepared = prepare_labels(collection)
    LabelledTexts(prepared)
    if not prepared.qrels["dev"]:
        raise InputError(
            f"{collection.name}: {many(len(prepared.corpus), 'text', 'texts')} to train on leave none for "
            "dev; give more, or texts for dev of your own"
        )
    return prepared


def refuse_beside_labels(triples: Triples | None, *, without_own_id: bool) -> None:
    """Raise InputError for what a training by label has no use for."""
    if triples is not None:
        raise InputError("by_label trains on labels, and triples were given: one of them was expected")
    if without_own_id:
        raise InputError("by_label never finds a text for itself: leave without_own_id out")


def _bm25(collection: Collection, analyzer: Analyzer | None) -> LexicalSearcher:
    return LexicalSearcher.build(collection.texts, analyzer=analyzer, order=collection.doc_order)
