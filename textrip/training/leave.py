"""What is left of a training that stops, and what is said of it."""

import shlex

from textrip.errors import InputError
from textrip.progress import say
from textrip.training.diagnosis import DivergedError, OutOfMemoryError
from textrip.training.run_folder import RunFolder


def is_hopeless(run: RunFolder, stopped: BaseException) -> bool:
    """Whether to go on with the same would come to the same end.

    A run that has a checkpoint has shown that its settings can be used and fit into the memory.
    """
    if isinstance(stopped, DivergedError):
        return True
    return isinstance(stopped, OutOfMemoryError | InputError) and not run.checkpoints


def leave(run: RunFolder, stopped: BaseException, *, resumed: bool) -> None:
    """Say what is left of a run that stops here; remove it where nobody would miss it."""
    best = run.newest_best()
    hopeless = is_hopeless(run, stopped)
    resumable = bool(run.checkpoints) and not hopeless
    if best is None and not resumable and not _has_triples_to_keep(run, stopped, resumed=resumed):
        if not isinstance(stopped, Exception):  # somebody stopped it
            say("no checkpoint was written yet: nothing is kept (--checkpoint-minutes says how often one is)")
        run.remove()
        return
    if run.has_triples and not run.checkpoints:
        run.say_kept(f"no checkpoint was written yet; the triples are kept: {run.triples_file}")
    if hopeless:
        run.end(stopped, kept=best)
    else:
        run.say_way_on()
    asks_for_others = hopeless or isinstance(stopped, OutOfMemoryError)
    if asks_for_others and run.has_triples and run.whole.begun_by == "train":
        triples = shlex.quote(str(run.triples_file))
        run.say_kept(f"with other settings: textrip train {triples} --data DATA -o MODEL")
    if best is not None:
        run.say_kept(f"the best weights so far on dev are kept: {best}")


def _has_triples_to_keep(run: RunFolder, stopped: BaseException, *, resumed: bool) -> bool:
    """Whether there are triples that a new run would have to mine again.

    Those that were handed in are kept for who stopped it and not after an error, which is often a reason
    to begin with other settings.
    """
    return run.has_triples and (run.mined or resumed or not isinstance(stopped, Exception))
