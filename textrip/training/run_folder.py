"""The folder of a run that is not finished: what it was asked, its checkpoints, its best weights.

    MODEL.unfinished/
      run.json            what was asked; a resumed run must ask the same
      log.jsonl           a line every few steps
      checkpoint-120/     weights, optimiser, schedule, random states (checkpoints.py)
      best-80/            the best weights on dev, an ordinary sentence-transformers folder
      ended.json          where to go on would come to the same end: why, and what is worth keeping
      .lock               held by the process that trains (alone.py)

Everything is written under another name, synced and renamed: a checkpoint that was killed in the middle
does not exist.
"""

import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from textrip import processes
from textrip.alone import LOCK, holding, refuse_held
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, StorageError
from textrip.files import STDIN, read_json, write_sealed_json
from textrip.mining.triples import Triples
from textrip.place import named
from textrip.progress import say
from textrip.replacing import replacing
from textrip.training.begun import require_same
from textrip.training.checkpoints import Checkpoints
from textrip.training.lora import without_adapters
from textrip.training.names import BY_STRATEGY
from textrip.writable import refuse_existing, refuse_taking_away

KIND = "textrip-run"
# In the folder of a model.
MANIFEST = "manifest.json"
# In the folder of a fit.
REPORT = "report.json"
FORMAT = 2
_RUN = "run.json"
_TRIPLES = "triples.parquet"
_VECTORS = "vectors"
_ENDED = "ended.json"
_HELD = "another process is training there; wait for it, or name another output"


class RunFolder:
    """An unfinished run on disk.

    Args:
        path: The folder.
        part_of: The run that this one is a part of: one of rounds, or the training of a fit.
        of: What is called to go on with it: "train" or "fit".
        passing: Its place goes with the process, and nobody goes on with it.

    Attributes:
        checkpoints: What was saved of it on the way.
        mined: Its triples were mined for it and lie nowhere else, so that it is worth keeping without a
            checkpoint, whatever stops it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        part_of: "RunFolder | None" = None,
        of: str = "train",
        passing: bool = False,
    ) -> None:
        self.path = Path(path)
        self.passing = passing
        self.part_of = part_of
        self.of = of
        self.mined = False
        self.checkpoints = Checkpoints(self.path)

    @property
    def way_on(self) -> str:
        """What is to be called to go on with this run."""
        try:
            request = self.asked()["request"]
        except InputError:  # what is damaged is said to who resumes it
            request = {}
        if request is not None:
            piped = "cat DATA | " if STDIN in (request.get("source"), request.get("data")) else ""
            return f"{piped}textrip {self.begun_by} --resume {shlex.quote(str(self.path))}"
        return f"textrip.{self.begun_by} with the same arguments and resume=True"

    @property
    def whole(self) -> "RunFolder":
        """The run that this one is a part of; itself where it is of none."""
        return self if self.part_of is None else self.part_of.whole

    def say_kept(self, what: str) -> None:
        """Say what is left in this run's folder, where it stays."""
        if not self.whole.passing:
            say(what)

    def end(self, why: BaseException, *, kept: Path | None = None) -> None:
        """Note that it came to an end that it would come to again: another one may take its place.

        Args:
            why: What ended it.
            kept: Weights that are worth keeping: what takes its place has to be forced.
        """
        ended = {"why": str(why), "kept": None if kept is None else str(kept)}
        if processes.is_first():
            # Where the disk refuses it, what ended the run is what is to be told.
            with suppress(StorageError), replacing(self.whole.path / _ENDED, force=True) as temporary:
                write_sealed_json(temporary, {"kind": KIND, "format": FORMAT, **ended})

    @property
    def ended(self) -> dict[str, Any] | None:
        """What `end` noted; what is damaged tells nothing, and the run counts as one to go on with."""
        try:
            return read_json(self.path / _ENDED, kind=KIND, version=FORMAT, sealed=True)
        except InputError:
            return None

    def say_way_on(self) -> None:
        """Say what is to be called to go on with this run, where somebody could."""
        self.say_kept(f"go on with: {self.whole.way_on}")

    @property
    def begun_by(self) -> str:
        """Train or fit: what began this one may be the other one of them."""
        try:
            return str(self.asked()["of"])
        except InputError:
            return self.of

    @classmethod
    def beside(cls, output: str | Path, *, of: str = "train", passing: bool = False) -> "RunFolder":
        """The run folder of what is to be written to `output`."""
        output = named(output)
        return cls(output.with_name(f"{output.name}.unfinished"), of=of, passing=passing)

    def refuse_early(
        self, output: str | Path, *, resume: bool, force: bool, mark: str, read: Iterable[Any] = ()
    ) -> None:
        """Raise InputError or StorageError for what could not be written in the end, before anything is read.

        Args:
            output: What the run is to become.
            resume: It is to go on, and not to begin.
            force: As `refuse_taking_away` has it, as `mark` and `read`.
            mark: The file that tells such an output.
            read: What is read for it.
        """
        if resume:
            self.refuse_held()
            if Path(output).exists() and not force:
                raise InputError(
                    f"{output} exists: move it away, or overwrite it with --force; where it is what "
                    f"{self.path} was to become, remove that"
                )
        refuse_taking_away(output, force=force, mark=mark, read=read)
        refuse_existing(self.path, force=True)
        if not resume:
            self.refuse_unfinished(force=force)

    def refuse_unfinished(self, *, force: bool) -> None:
        """Raise InputError where a run is there that could go on, StorageError where one goes on now."""
        if not self.path.exists():
            return
        self.refuse_held()
        ended = self.ended
        if not force and ended is not None and ended["kept"] is not None:
            raise InputError(
                f"{self.path} holds what is left of a run that ended ({ended['why']}), with the weights "
                f"{ended['kept']}; begin anew with other settings and --force, which removes them"
            )
        if not force and ended is None:
            raise InputError(
                f"{self.path} holds a run that was not finished; go on with {self.way_on}, "
                "or begin anew with --force"
            )
        refuse_taking_away(self.path, force=True, mark=_RUN)

    def refuse_held(self) -> None:
        """Raise StorageError where another process trains in this folder; one of a run's processes asks."""
        if processes.is_first():
            refuse_held(self.path, _HELD)

    @contextmanager
    def held(
        self,
        asked: dict[str, Any],
        *,
        resume: bool = False,
        force: bool = False,
        triples: Triples | None = None,
    ) -> Iterator[None]:
        """Begin the run, or go on with it, and keep others out until the block ends.

        It keeps the triples, so that a run that goes on need not mine them again.

        Raises:
            InputError: an unfinished run is there, and `force` is not set.
            MismatchError: what is to go on was begun with something else.
            StorageError: another process trains there, or the disk refused.
        """
        if not processes.is_first():
            yield
            return
        if resume:
            self.asked()  # who else went on with it may have come to its end by now
        else:
            self._begin(asked, force=force, triples=triples)
        try:
            # A round is part of a run that is held.
            with holding(self.path, _HELD) if self.part_of is None else nullcontext():
                if resume:  # it may be another one than a while ago
                    self.require(asked)
                    (self.path / _ENDED).unlink(missing_ok=True)
                yield
        finally:
            if not (self.path / _RUN).exists():  # it was removed, all but the lock
                shutil.rmtree(self.path, ignore_errors=True)

    def _begin(self, asked: dict[str, Any], *, force: bool, triples: Triples | None) -> None:
        self.refuse_unfinished(force=force)
        if triples is not None and self._holds(triples):
            self.mined = True  # they lie here alone, as the run said that gives way now
        with replacing(self.path, force=force or self.ended is not None) as new:
            new.mkdir()
            if triples is not None:
                triples.write(new / _TRIPLES)
            write_sealed_json(new / _RUN, {"kind": KIND, "format": FORMAT, "of": self.of, **asked})
            self.refuse_held()  # who goes on with the one that is about to give way
            if self.vectors.is_dir():  # by their content they serve whatever is asked now
                self.vectors.rename(new / _VECTORS)

    def _holds(self, triples: Triples) -> bool:
        try:
            return self.has_triples and self.triples().fingerprint == triples.fingerprint
        except InputError:
            return False

    @property
    def is_one(self) -> bool:
        """Whether there is a run."""
        return (self.path / _RUN).is_file()

    @property
    def vectors(self) -> Path:
        """Where what is encoded is kept (encoding/kept.py)."""
        return self.path / _VECTORS

    @property
    def has_triples(self) -> bool:
        """Whether the run has its triples by now."""
        return self.triples_file.is_file()

    def triples(self) -> Triples:
        """What is trained on; of a training `require` compares their digest."""
        return Triples.read(self.triples_file)

    @property
    def triples_file(self) -> Path:
        """Where they lie."""
        return self.path / _TRIPLES

    def asked(self) -> dict[str, Any]:
        """What the run was begun with.

        Raises:
            InputError: this is no run's folder, or it is damaged.
        """
        if not self.path.is_dir():
            raise InputError(
                f"{self.path}: no such folder; --resume takes OUTPUT.unfinished of a stopped run"
            )
        if not (self.path / _RUN).exists():
            for mark, what in ((MANIFEST, "model"), (REPORT, "fit")):
                if (self.path / mark).exists():
                    raise InputError(
                        f"{self.path}: is a finished {what}, and nothing of it is left to be done"
                    )
        found = read_json(self.path / _RUN, kind=KIND, version=FORMAT, sealed=True)
        return _of_today(found) if found["format"] == 1 else found

    def require(self, asked: dict[str, Any]) -> None:
        """Raise MismatchError where a run was begun with something else."""
        require_same(self.asked(), asked, place=self.path, kind="run")

    def require_collection(self, collection: Collection) -> None:
        """Raise MismatchError where a run was begun with other texts or judgments."""
        self.require({"collection_sha256": collection.fingerprint})

    def require_space(self, wanted: int) -> None:
        """Raise StorageError where the disk has less than so many bytes left."""
        folder = next(folder for folder in self.path.absolute().parents if folder.exists())
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise StorageError(
                f"{folder} has {free / 1e6:,.0f} MB left; the run needs {wanted / 1e6:,.0f} MB for "
                "checkpoints and the model"
            )

    def best(self, step: int) -> Path:
        """Where the best weights lie that were reached at a step."""
        return self.path / f"best-{step}"

    def keep_best(self, encoder: Encoder, step: int) -> None:
        """Write the encoder's weights as the best so far.

        Earlier ones stay until a checkpoint knows of these: see `prune`.
        """
        with replacing(self.best(step), force=True) as temporary:
            Encoder(without_adapters(encoder.model), encoder.name).save(temporary)

    def newest_best(self) -> Path | None:
        """The best weights on dev that are not the untuned ones."""
        found = [path for path in self.path.glob("best-*") if path != self.best(0)]
        return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)

    def prune(self, best_step: int | None) -> None:
        """Remove the best weights of other steps, and what a killed process left half-written."""
        if not processes.is_first():
            return
        for path in self.path.iterdir():
            stale = path.name.startswith("best-") and (best_step is None or path != self.best(best_step))
            if stale or (path.name.startswith(".") and path.name != LOCK):
                shutil.rmtree(path, ignore_errors=True)

    def remove(self) -> None:
        """The run is finished, or not worth going on with.

        Inside `held`, at whose end the folder goes with its lock: a network's disk keeps an open file.
        """
        if not processes.is_first():
            return
        for path in self.path.iterdir() if self.path.exists() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in {LOCK, _RUN}:
                path.unlink(missing_ok=True)
        (self.path / _RUN).unlink(missing_ok=True)  # last: without it nobody knows what the rest is


def _of_today(found: dict[str, Any]) -> dict[str, Any]:
    """What was asked by format 1: one of fit was a training's, and a strategy had another name."""
    request = found.get("request") or {}
    request.pop("of_fit", None)
    for settings in (found.get("settings"), request.get("settings")):
        if settings and settings["loss"] not in BY_STRATEGY and settings["strategy"] == "batch-hard":
            settings["strategy"] = "batch-all"
    return {**found, "of": "train"}
