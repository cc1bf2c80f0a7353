"""Checkpoints in the folder of a run: each is complete or absent, and sealed.

    checkpoint-120/     weights, optimiser, schedule, random states
      checkpoint.json   the step's memory, and the digests of all files

Everything is written under another name, synced and renamed: a checkpoint that was killed in the middle
does not exist.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textrip.errors import InputError
from textrip.files import digests, read_json, write_sealed_json
from textrip.progress import say
from textrip.replacing import replacing
from textrip.stamps import require_digests

KIND = "textrip-checkpoint"
FORMAT = 2
# A checkpoint is kept until the one after it is complete.
_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)")
_SEAL = "checkpoint.json"


class Checkpoints:
    """Those of one run.

    Args:
        folder: The run's; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __bool__(self) -> bool:
        return bool(self.complete())

    def complete(self) -> list[Path]:
        """Their folders, the newest first."""
        if not self._folder.is_dir():
            return []
        found = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: -int(path.name.rpartition("-")[2]))

    @contextmanager
    def writing(self, step: int, memory: dict[str, Any]) -> Iterator[Path]:
        """Yield a folder that becomes this step's checkpoint; the trainer writes to checkpoint-STEP in it."""
        name = f"checkpoint-{step}"
        with replacing(self._folder / name, force=True) as temporary:
            temporary.mkdir()
            yield temporary
            for path in list((temporary / name).iterdir()):
                path.rename(temporary / path.name)
            (temporary / name).rmdir()
            sealed = {"kind": KIND, "format": FORMAT, "memory": memory, "files": digests(temporary)}
            write_sealed_json(temporary / _SEAL, sealed)
        for path in self.complete()[_KEPT:]:
            shutil.rmtree(path)

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest that is in order, and its memory; damaged ones are passed over, aloud."""
        for path in self.complete():
            try:
                sealed = read_json(path / _SEAL, kind=KIND, version=FORMAT, sealed=True)
                require_digests(path, sealed["files"], remedy="the checkpoint is damaged", fully=True)
            except InputError as error:
                say(f"passed over: {error}")
            else:
                return path, dict(sealed["memory"])
        return None
