"""The study of a search on disk: optuna's journal, a line of JSON for whatever happens.

Optuna locks it by a link that a killed process leaves behind, and the next one waits for; here whoever reads
or writes it holds the folder (alone.py), a lock that goes with its process.
"""

import os
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from textrip.errors import DamagedError, TextripError
from textrip.files import cut_half_line
from textrip.progress import say
from textrip.replacing import storage_errors

JOURNAL = "study.jsonl"
_STUDY = "textrip-tune"


def load_study(folder: Path) -> optuna.Study:
    """The study of a folder that is held; a new one where there is none.

    What a process was writing when it was killed is left out: it was told to nobody.

    Raises:
        DamagedError: a line before the last one is none that was written, or of something else.
        StorageError: the disk refused.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what matters is said by textrip
    path = folder / JOURNAL
    with storage_errors(path):
        if path.is_file() and cut_half_line(path):  # optuna would write on behind it, in the same line
            say(f"{path}: the last line, which was cut off as it was written, is left out")
        (folder / f"{JOURNAL}.lock").unlink(missing_ok=True)  # optuna's own, of an earlier textrip
        try:
            storage = JournalStorage(_Journal(path))
        except (OSError, TextripError):
            raise
        except Exception as error:  # a line that optuna never wrote is an error of whatever kind there
            raise DamagedError(
                f"{path}: holds what no search wrote ({type(error).__name__}): the file is damaged; name "
                "another folder"
            ) from error
        return optuna.create_study(
            study_name=_STUDY,
            storage=storage,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
            direction="maximize",
            load_if_exists=True,
        )


class _Journal(JournalFileBackend):
    """Optuna's, which tells what the disk refuses, and keeps nothing of what it took a part of."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=_Held(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        before = self._path.stat().st_size
        with storage_errors(self._path):
            try:
                super().append_logs(logs)
            except OSError:
                os.truncate(self._path, before)
                raise


class _Held(JournalFileOpenLock):
    """No lock: the folder is held already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass
