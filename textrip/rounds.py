"""Training in rounds: what the tuned encoder still takes for relevant is mined, and trained on.

The negatives of ANCE (Xiong et al., 2021, arXiv 2007.00808), from one trained encoder at a time and not from
one that is being trained: a round begins with the base, and learns from BM25's negatives and from those that
the round before it could not tell from the relevant. The round that is best on dev is kept.

    MODEL.unfinished/
      run.json              what was asked
      triples.parquet       of the first round
      round-1/              a model: complete or absent
      round-2.unfinished/   a run like any other (run_folder.py)
"""

import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.kept import keeping_in
from textrip.errors import DamagedError, InputError
from textrip.files import as_json, write_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.dense import DenseRanker
from textrip.mining.mine import mine
from textrip.mining.scoring import EncoderScorer
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.mining.verdicts import Verdicts
from textrip.progress import say
from textrip.replacing import remove_half_written, replacing
from textrip.training.dev import DEV_MEASURE, DevEvaluation
from textrip.training.diagnosis import DivergedError
from textrip.training.run_folder import MANIFEST, RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import as_trained
from textrip.training.train import read_manifest, train
from textrip.writable import refuse_taking_away

# Of the negatives of a later round, so many come from the encoder of the one before.
DENSE_SHARE = 0.5
# What tells one way of mining from another.
_OF_MINING = (
    "negatives", "random", "depth", "skip", "most_score", "least_score", "sample", "near_duplicates",
    "positives", "per_document",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How many rounds, and how the later ones mine.

    Attributes:
        count: At least 2.
        dense_share: Of the negatives of a later round that come from the encoder's own ranking.
        mining: How to mine in later rounds; the filter is the tuned encoder where it says auto. They have at
            least two negatives, and at least one of the tuned encoder's; what share and random ones leave is
            BM25's.

    Raises:
        InputError: a share that is none, fewer than 2 rounds, or more random negatives than that leaves.
    """

    count: int
    dense_share: float = DENSE_SHARE
    mining: MineSettings

    def __post_init__(self) -> None:
        if self.count < 2 or not 0 < self.dense_share <= 1:
            raise InputError(
                f"rounds is {self.count} and dense_share {self.dense_share:g}; at least 2 and a share above "
                "0 and up to 1 were expected"
            )
        negatives = max(2, self.mining.negatives)
        if self.mining.random >= negatives:
            raise InputError(
                f"random is {self.mining.random} of {negatives} negatives, and a later round wants one of "
                "the tuned encoder's besides: lower --random or raise --negatives"
            )

    def say_what_differs(self, triples: Triples, analyzer: Analyzer) -> None:
        """Say how later rounds mine otherwise than triples were mined that somebody else mined."""
        mined = triples.provenance.get("settings") or {}
        pairs = {name: (mined[name], getattr(self.mining, name)) for name in _OF_MINING if name in mined}
        known = triples.provenance.get("analyzer") or {}
        pairs["stemmer"] = known.get("stemmer", analyzer.stemmer), analyzer.stemmer
        differ = [f"{name} {now} (there {then})" for name, (then, now) in pairs.items() if then != now]
        if differ:
            say(f"later rounds mine otherwise than the triples were mined: {', '.join(differ)}")

    @classmethod
    def wanted(
        cls, count: int, dense_share: float, mining: MineSettings, *, by_label: bool = False
    ) -> "Rounds | None":
        """The rounds that were asked for; None for a single one.

        Raises:
            InputError: a share of dense negatives, and no later round that would have them; or a training by
                label, which has none.
        """
        if count == 1 and dense_share == DENSE_SHARE:
            return None
        if count == 1:
            raise InputError(
                f"dense_share is {dense_share:g} and rounds 1: only later rounds have dense negatives; at "
                f"least 2 rounds were expected, or a share of {DENSE_SHARE:g}"
            )
        if by_label:
            raise InputError(
                "rounds mine with what was tuned, and by_label mines nothing: leave one of them out"
            )
        return cls(count=count, dense_share=dense_share, mining=mining)

    def later(self, model: str) -> MineSettings:
        """How a later round mines with an encoder of this name."""
        negatives = max(2, self.mining.negatives)
        wanted = math.floor(self.dense_share * negatives + 0.5)  # the nearest whole number
        dense = max(1, min(negatives - self.mining.random, wanted))
        # Where BM25 gives no negative any more, the windows of its scores were the first round's.
        windows = self.mining if negatives > self.mining.random + dense else MineSettings
        return replace(
            self.mining, negatives=negatives, dense=dense, dense_model=model,
            most_score=windows.most_score, least_score=windows.least_score,
        )  # fmt: skip


def train_in_rounds(
    collection: Collection,
    triples: Triples,
    encoder: Encoder,
    output: str | Path,
    *,
    rounds: Rounds,
    searcher: LexicalSearcher,
    evaluate_dev: DevEvaluation,
    dev_search: dict[str, Any] | None = None,
    settings: TrainSettings,
    run: RunFolder | None = None,
    resume: bool = False,
    request: dict[str, Any] | None = None,
    force: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Train, mine with what was trained, and train the base again; keep the round that is best on dev.

    Each round mines with the encoder of the one before it. `output` is written in the end; until then the
    rounds lie in the run's folder, and a run that was killed goes on with the round it was in.

    Args:
        collection: What is trained on.
        triples: Of the first round.
        encoder: The base; its weights stay as they are.
        output: The folder to write.
        rounds: How many, and how to mine.
        searcher: BM25 of the collection.
        evaluate_dev: nDCG@10 of an encoder on dev.
        dev_search: What dev's figures are of (see `train`).
        settings: How to train.
        run: The run's folder; OUTPUT.unfinished where None.
        resume: Go on with a run that was stopped.
        request: Saved in the run's folder for the caller.
        force: Overwrite `output`, and an unfinished run of it.
        options: Of `train`.

    Returns:
        The best round's manifest, with the dev figure of every round under `rounds`.

    Raises:
        InputError: as `train` does.
    """
    refuse_taking_away(output, force=force, mark=MANIFEST)
    run = run or RunFolder.beside(output)
    verdicts = Verdicts.from_dict(triples.provenance.get("verdicts"))
    parts = _Parts(collection, as_trained(encoder, settings), rounds, searcher, run, verdicts)
    rounds.say_what_differs(triples, searcher.analyzer)
    asked = parts.asked(triples, settings) | {"dev_search": dev_search}
    begun = asked if resume else {**asked, "request": request}
    done: list[dict[str, Any]] = []
    with run.held(begun, resume=resume, force=force, triples=triples):
        remove_half_written(output)  # of a process that was killed
        try:
            for number in range(1, rounds.count + 1):
                manifest = parts.finished(number)
                if manifest is None:
                    unfinished = parts.unfinished(number)
                    going_on = unfinished.has_triples
                    unfinished.mined = run.mined or number > 1
                    if going_on:
                        triples = unfinished.triples()
                    elif number > 1:
                        triples = parts.mine(number)
                    manifest = train(
                        collection, triples, parts.fresh(), parts.folder(number), settings=settings,
                        evaluate_dev=evaluate_dev, dev_search=dev_search, run=unfinished, resume=going_on,
                        force=True, **options,
                    )  # fmt: skip
                done.append(manifest)
                _say_how_it_went(done)
            best = parts.write_best(done, Path(output), force=force)
        except BaseException as stopped:
            _leave(parts, done, stopped)
            raise
        run.remove()
    return best


@dataclass(frozen=True)
class _Parts:
    """What the rounds share, and where each lies."""

    collection: Collection
    base: Encoder
    rounds: Rounds
    searcher: LexicalSearcher
    run: RunFolder
    verdicts: Verdicts  # of the first round's triples: what a person rejected stays out of later ones

    def asked(self, triples: Triples, settings: TrainSettings) -> dict[str, Any]:
        """What a resumed run must have in common with the one that was begun."""
        asked = {
            "base": self.base.fingerprint,
            "collection_sha256": self.collection.fingerprint,
            "triples_sha256": triples.fingerprint,
            "settings": asdict(settings),
            "rounds": asdict(self.rounds),
            "analyzer": self.searcher.analyzer.to_dict(),
        }
        return as_json(asked)

    def folder(self, number: int) -> Path:
        """Where a round's model lies."""
        return self.run.path / f"round-{number}"

    def unfinished(self, number: int) -> RunFolder:
        """The run of a round."""
        return RunFolder(self.run.path / f"round-{number}.unfinished", part_of=self.run)

    def finished(self, number: int) -> dict[str, Any] | None:
        """The manifest of a round that is complete."""
        folder = self.folder(number)
        if not folder.is_dir():
            return None
        try:
            return read_manifest(folder)
        except DamagedError as error:
            say(f"{error}: the round is trained again")
            shutil.rmtree(folder)
            return None

    def fresh(self) -> Encoder:
        """The base, to be trained."""
        return self.base.copy()

    def mine(self, number: int) -> Triples:
        """The triples of a later round, with what the round before it tuned."""
        say(f"round {number}: mining with what round {number - 1} tuned")
        trust_remote_code = self.base.model.trust_remote_code  # as the user chose for the base
        tuned = Encoder.load(
            self.folder(number - 1), device=self.base.device, trust_remote_code=trust_remote_code
        )
        settings = self.rounds.later(self.base.name)
        with keeping_in(self.run.vectors):
            return mine(
                self.collection, settings=settings, searcher=self.searcher, verdicts=self.verdicts,
                device=self.base.device,
                scorer=EncoderScorer(tuned) if settings.denoise == "auto" else None,
                dense=DenseRanker(tuned, self.collection, nearest=settings.dense_nearest),
            )  # fmt: skip

    def write_best(self, done: list[dict[str, Any]], output: Path, *, force: bool) -> dict[str, Any]:
        """Move the round that is best on dev to its place; its manifest, which tells of all rounds."""
        best = done[_best(done)] | {
            "rounds": [_entry(number, manifest) for number, manifest in enumerate(done, start=1)]
        }
        folder = self.folder(_best(done) + 1)
        with replacing(folder / MANIFEST, force=True) as temporary:
            write_json(temporary, best)
        with replacing(output, force=force) as temporary:
            shutil.copytree(folder, temporary)  # the run has it until all is there
        return best


def _entry(number: int, manifest: dict[str, Any]) -> dict[str, Any]:
    score = max(entry[DEV_MEASURE] for entry in manifest["dev"])
    return {"round": number, "triples": manifest["data"]["triples"], DEV_MEASURE: score}


def _best(done: list[dict[str, Any]]) -> int:
    """Which is best on dev: of equals the first."""
    scores = [_entry(number, manifest)[DEV_MEASURE] for number, manifest in enumerate(done)]
    return scores.index(max(scores))


def _say_how_it_went(done: list[dict[str, Any]]) -> None:
    number = len(done)
    verdict = "the best so far" if _best(done) == number - 1 else "not better: an earlier round is kept"
    if number > 1:
        say(f"round {number}: dev {DEV_MEASURE} {_entry(number, done[-1])[DEV_MEASURE]:.4f}, {verdict}")


def _leave(parts: _Parts, done: list[dict[str, Any]], stopped: BaseException) -> None:
    """Say what is left of rounds that stop here; remove what is not worth going on with."""
    stopped_in = parts.unfinished(len(done) + 1)
    if not done:
        if not stopped_in.path.exists():
            parts.run.remove()
        return
    best = parts.folder(_best(done) + 1)
    # An end that the training itself noted holds for the rounds.
    if isinstance(stopped, DivergedError) or parts.run.whole.ended is not None:
        parts.run.end(stopped, kept=best)
    elif not stopped_in.path.exists():  # what exists said it
        parts.run.say_way_on()
    parts.run.say_kept(f"the best round so far on dev is kept: {best}")
