"""From raw text to a gated, indexed searcher: the rooms in the order of the data, in one call."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.data.collection import Collection
from textrip.data.formats import collection_of
from textrip.encoding.encoder import Encoder
from textrip.encoding.kept import keeping_in
from textrip.encoding.load import DEFAULT_ENCODER, require_models
from textrip.errors import DamagedError, InputError
from textrip.eval.evaluate import Evaluation, Evaluator, heed_own_documents
from textrip.eval.significance import Difference, paired_difference
from textrip.files import as_json, write_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.pipeline.check import require_trainable
from textrip.pipeline.gate import Verdict, difference_of, verdict_of
from textrip.pipeline.indexed import index_given
from textrip.pipeline.mined import mined
from textrip.pipeline.prepare import prepare_to_mine
from textrip.pipeline.train import DEV_DOCUMENTS, train
from textrip.progress import say
from textrip.replacing import remove_half_written, replacing
from textrip.retrieval.staging import say_what_goes
from textrip.rounds import DENSE_SHARE, Rounds
from textrip.training.leave import is_hopeless
from textrip.training.requirements import refuse_what_is_for_labels, require_fitting_encoder
from textrip.training.run_folder import REPORT, RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import as_trained
from textrip.training.train import read_manifest, space_for
from textrip.typed import require_whole, typed_arguments

KIND = "textrip-report"
FORMAT = 1
# Of the options, what a run that goes on must have in common with the one that was begun, as it is.
_ASKED = ("dev_documents", "without_own_id", "rounds", "dense_share")


@dataclass(frozen=True)
class Hybrid:
    """What hybrid search, by the fusion that was tuned on dev, is on test beside dense search.

    Attributes:
        against: The system whose encoder the index has: tuned, or untuned after a REGRESSION.
        weight: Of the dense score; None where the index fuses by ranks.
        difference: Of nDCG@10, query by query.
    """

    against: str
    weight: float | None
    difference: Difference


@dataclass(frozen=True)
class Fit:
    """What `fit` made, and what it measured on the test split."""

    folder: Path
    evaluation: Evaluation
    difference: Difference
    verdict: Verdict
    manifest: dict[str, Any]
    hybrid: Hybrid

    def to_dict(self) -> dict[str, Any]:
        """The evaluation's report with the verdict and the paired differences."""
        return {
            **self.evaluation.to_dict(),
            "verdict": self.verdict,
            "difference": asdict(self.difference),
            "hybrid": asdict(self.hybrid),
        }


@typed_arguments
def fit(
    data: str | Path | Collection,
    output: str | Path,
    *,
    model: str | Path = DEFAULT_ENCODER,
    settings: TrainSettings | None = None,
    mining: MineSettings | None = None,
    analyzer: Analyzer | None = None,
    dev_documents: int = DEV_DOCUMENTS,
    without_own_id: bool = False,
    rounds: int = 1,
    dense_share: float = DENSE_SHARE,
    device: str = "auto",
    run: RunFolder | None = None,
    resume: bool = False,
    request: dict[str, Any] | None = None,
    force: bool = False,
    stage: Callable[[str], None] = say,
) -> Fit:
    """Split, mine, train, evaluate, gate and index: `output` gets triples, model, index and report.

    The index is built with the tuned encoder, or with the base where the test split says REGRESSION. What
    is stopped or killed goes on with `resume`: nothing is encoded, mined or trained twice.

    Args:
        data: A collection, or what `read` takes.
        output: The folder to write; complete or absent.
        model: The base encoder's name or folder.
        settings: How to train.
        mining: How to mine.
        analyzer: BM25's.
        dev_documents: The dev split searches at most so many documents (0: the whole corpus).
        without_own_id: Where queries are documents of the corpus, a query's own is no answer, on dev and on
            test (see Evaluator).
        rounds: With 2 and more, mine again with what was tuned, and train again, as in `train`.
        dense_share: Of a later round's negatives, so many come from the tuned encoder's own ranking.
        device: auto, cpu, cuda or mps.
        run: The folder of what is not finished; OUTPUT.unfinished where None.
        resume: Go on with what was stopped, with the same arguments.
        request: Saved in the run's folder for the caller, who may want it to resume.
        force: Overwrite `output`, and an unfinished run of it.
        stage: Told what begins.

    Raises:
        InputError: data or settings that cannot be used.
        MismatchError: the run to resume was begun with something else.
        StorageError: another process is at work in the run's folder; the disk is full, or refused.
    """
    require_whole("dev_documents", dev_documents, least=0)
    run = run or RunFolder.beside(output, of="fit")
    run.refuse_early(output, resume=resume, force=force, mark=REPORT, read=[data])
    settings = settings or TrainSettings()
    refuse_what_is_for_labels(settings, by_label=False)
    mining = mining or MineSettings(seed=settings.seed)
    Rounds.wanted(rounds, dense_share, mining)  # refused now, and not after the mining
    require_models(model, *mining.models, device=device, max_length_tokens=settings.max_length_tokens)
    stage("reading")
    given = collection_of(data)
    say_what_goes(Path(output) / "index", given)
    require_trainable(given, "dev", "test", force=force)
    collection = prepare_to_mine(given, mining.split)
    options: dict[str, Any] = {
        "settings": settings, "mining": mining, "analyzer": analyzer, "dev_documents": dev_documents,
        "without_own_id": without_own_id, "rounds": rounds, "dense_share": dense_share,
    }  # fmt: skip
    for split in ("dev", "test") if without_own_id else ("test",):  # the training speaks of dev
        heed_own_documents(collection, split, without=without_own_id)
    way = _Way(given, collection, model, device, run, options, stage, resume)
    require_fitting_encoder(way.base, settings)
    if not resume:
        run.require_space(space_for(way.base))
    begun = way.asked() if resume else {**way.asked(), "request": request}
    with run.held(begun, resume=resume, force=force):
        try:
            remove_half_written(output)  # of a process that was killed
            done = way.go(output, force=force)
        except BaseException as stopped:
            way.leave(stopped)
            raise
        run.remove()
    return done


def _hybrid(evaluation: Evaluation, *, against: str) -> Hybrid:
    dense, fused = (evaluation[system].values["nDCG@10"] for system in (against, "hybrid"))
    weight = evaluation.provenance["systems"]["hybrid"]["fusion"]["weight"]
    return Hybrid(against, weight, paired_difference(dense, fused))


@dataclass
class _Way:
    """One fit, and where each part of it lies until all are there.

    OUTPUT.unfinished/
      run.json           what was asked
      vectors/           what was encoded (encoding/kept.py)
      triples.parquet    complete or absent, as all below
      model.unfinished/  the training (run_folder.py)
      model/
    """

    given: Collection
    collection: Collection
    model: str | Path
    device: str
    run: RunFolder
    options: dict[str, Any]
    stage: Callable[[str], None]
    resumed: bool

    def __post_init__(self) -> None:
        self.settings: TrainSettings = self.options["settings"]
        self.base = self.load(self.model)
        self.tuned_folder = self.run.path / "model"
        self.trains = False  # until this process does
        self.training = RunFolder(self.run.path / "model.unfinished", part_of=self.run)

    def load(self, folder: str | Path) -> Encoder:
        """An encoder, by the name of the base."""
        encoder = Encoder.load(folder, device=self.device, max_length_tokens=self.settings.max_length_tokens)
        encoder.name = str(self.model)
        return encoder

    def asked(self) -> dict[str, Any]:
        """What a resumed one must have in common with the one that was begun."""
        asked = {
            "base": self.base.fingerprint,
            "collection_sha256": self.given.fingerprint,
            **{name: self.options[name] for name in _ASKED},
            "settings": asdict(self.settings),
            "mining": asdict(self.options["mining"]),
            "analyzer": (self.options["analyzer"] or Analyzer()).to_dict(),
        }
        return as_json(asked)

    def go(self, output: str | Path, *, force: bool) -> Fit:
        """Take all the stages that are not taken yet, and write the output."""
        analyzer = self.options["analyzer"]
        with keeping_in(self.run.vectors):
            test, searcher, untuned = self.measure_untuned()
            triples = self.triples(searcher, untuned)
        self.stage("training")
        manifest = self.tune(triples)
        with keeping_in(self.run.vectors):
            self.stage("measuring the tuned encoder on test")
            encoder = self.load(self.tuned_folder)
            started = time.perf_counter()
            vectors = encoder.encode(self.collection.texts, progress="encoding documents")
            test.vectors(encoder, vectors, name="tuned", started=started)
        difference = difference_of(test.evaluation())
        verdict = verdict_of(difference)
        kept = "tuned"
        if verdict == "REGRESSION":
            say("the tuned encoder is worse on test: the index is built with the base encoder")
            encoder, vectors, kept = self.load(self.model), untuned, "untuned"
        self.stage("indexing")
        with replacing(output, force=force) as folder:
            folder.mkdir()
            index_given(
                self.given, self.collection, encoder, folder / "index", analyzer=analyzer, vectors=vectors,
                without_own_id=self.options["without_own_id"],
                measure=lambda index: test.searched(index, "hybrid", name="hybrid"),
            )  # fmt: skip
            evaluation = test.evaluation()
            evaluation.provenance["resumed"] = self.resumed  # seconds are of what was left to do
            done = Fit(
                Path(output), evaluation, difference, verdict, manifest, _hybrid(evaluation, against=kept)
            )
            triples.write(folder / "triples.parquet")
            shutil.copytree(self.tuned_folder, folder / "model")  # the run has it until all is there
            write_json(folder / REPORT, {"kind": KIND, "format": FORMAT, **done.to_dict()})
        return done

    def measure_untuned(self) -> tuple[Evaluator, LexicalSearcher, NDArray[np.float32]]:
        """BM25 and the base on test; BM25's index, and the base's (n, d) vectors of the corpus."""
        started = time.perf_counter()
        searcher = LexicalSearcher.build(
            self.collection.texts, analyzer=self.options["analyzer"], order=self.collection.doc_order
        )
        searcher_seconds = time.perf_counter() - started
        self.stage("measuring BM25 and the untuned encoder on test")
        test = Evaluator(
            self.collection, "test", searcher=searcher, searcher_seconds=searcher_seconds,
            without_own_id=self.options["without_own_id"],
        )  # fmt: skip
        test.bm25()
        started = time.perf_counter()
        untuned = self.base.encode(self.collection.texts, progress="encoding documents")
        test.vectors(self.base, untuned, name="untuned", started=started)
        return test, searcher, untuned

    def triples(self, searcher: LexicalSearcher, untuned: NDArray[np.float32]) -> Triples:
        """What is trained on, mined now or before."""
        self.stage("mining")
        if self.run.has_triples:
            try:
                found = self.run.triples()
                if self._mined_for_this(found):
                    return found
                say(f"{self.run.triples_file}: was mined from something else: mined again")
            except InputError as error:
                say(f"{error}: mined again")
        settings = self.settings
        prompted = settings.query_prompt is not None or settings.document_prompt is not None
        triples = mined(
            self.collection, self.options["mining"], searcher, as_trained(self.base, settings),
            device=self.device, vectors=None if prompted else untuned,
        )  # fmt: skip
        triples.write(self.run.triples_file, force=True)
        return triples

    def _mined_for_this(self, triples: Triples) -> bool:
        """The run's seal says what was asked, and not what lies beside it."""
        asked, about = self.asked(), triples.provenance
        return (about.get("collection_sha256"), about.get("settings"), about.get("analyzer")) == (
            self.collection.fingerprint, asked["mining"], asked["analyzer"]
        )  # fmt: skip

    def tune(self, triples: Triples) -> dict[str, Any]:
        """The manifest of the tuned encoder, trained now or before."""
        if self.tuned_folder.exists():
            try:
                return read_manifest(self.tuned_folder)
            except DamagedError as error:
                say(f"{error}: trained again")
                shutil.rmtree(self.tuned_folder)
        self.trains = True
        return train(
            self.collection, self.tuned_folder, triples=triples, model=self.base, run=self.training,
            resume=self.training.path.exists(), **self.options,
        )  # fmt: skip

    def leave(self, stopped: BaseException) -> None:
        """Say what is left of it where it stops; remove it where nothing is."""
        made = (self.run.vectors, self.run.triples_file, self.training.path, self.tuned_folder)
        if not any(path.exists() for path in made):
            self.run.remove()
            return
        training_said = self.trains and self.training.path.exists()
        # With a tuned encoder there is something to go on with, whatever the last steps said.
        if not training_said and not self.tuned_folder.exists() and is_hopeless(self.training, stopped):
            self.run.end(stopped)
        ended = self.run.ended
        if ended is not None:
            forced = "" if ended["kept"] is None else " and --force"
            self.run.say_kept(f"ask again with other settings{forced}: what was encoded is not encoded again")
        elif not training_said:
            self.run.say_way_on()
