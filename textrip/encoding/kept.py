"""What a command that is stopped has encoded, the next one need not: every window of vectors is a file.

Inside `keeping(output)` an encoder's windows and a cross-encoder's scores lie in a folder beside the output,
each under a name that is a digest of what went in (model and texts) and one of what came out, so that
neither other texts nor a damaged file is taken for them. When the block ends well the folder is removed.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textrip.alone import LOCK, holding
from textrip.errors import InputError
from textrip.interrupt import deferring
from textrip.progress import say
from textrip.replacing import remove_half_written, replacing, storage_errors
from textrip.seal import seal_of

# Fewer texts are encoded again sooner than they are looked up.
_LEAST_TEXTS = 16

_folder: ContextVar[Path | None] = ContextVar("textrip_kept", default=None)


@contextmanager
def keeping(output: Path, *others: Path | None) -> Iterator[None]:
    """Keep what is encoded inside, beside an output, until the output is there.

    Args:
        output: The folder is `.NAME.kept` beside it; what an earlier block of the same output left is used,
            and what a killed one had half written is removed.
        others: That are written with it.

    Raises:
        StorageError: another process is writing this output.
    """
    folder = output.parent / f".{output.name}.kept"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with holding(folder, f"another process is writing {output.name}"):
            for path in filter(None, (output, *others)):
                remove_half_written(path)
            with _told(folder), keeping_in(folder):
                yield
            with deferring():  # half of it would be kept by who was not told
                shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # where it holds nothing
        raise


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say what is kept where the block fails."""
    try:
        yield
    except BaseException as error:
        if any(path.name != LOCK for path in folder.iterdir()):
            mended = "once that is mended, " if isinstance(error, InputError) else ""
            say(f"what was encoded is kept in {folder}; {mended}the same command goes on from there")
        else:  # the disk may have taken none of it
            (folder / LOCK).unlink(missing_ok=True)
        raise


@contextmanager
def keeping_in(folder: Path) -> Iterator[None]:
    """Keep what is encoded inside in a folder, which stays there."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def is_keeping() -> bool:
    """Whether `once` keeps anything."""
    return _folder.get() is not None


def once(
    about: Sequence[str], texts: Sequence[str], work: Callable[[], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], bool]:
    """What `work` gives for these texts, kept or worked out; and whether it had been kept.

    Args:
        about: All else that moves the result: the model's fingerprint, its precision, the kind of text.
        texts: One for each row of the result.
        work: Gives (n, ...) float32 for n texts.
    """
    folder = _folder.get()
    if folder is None or len(texts) < _LEAST_TEXTS:
        return work(), False
    name = _name(*about, *texts)
    for path in folder.glob(f"{name}-*.npy"):
        found = _read(path)
        if found is not None and len(found) == len(texts):
            return found, True
    result = np.ascontiguousarray(work(), dtype=np.float32)
    with (
        replacing(folder / f"{name}-{_name(result.tobytes())}.npy", force=True) as temporary,
        temporary.open("wb") as stream,
    ):
        np.save(stream, result, allow_pickle=False)
    return result, False


def _read(path: Path) -> NDArray[np.float32] | None:
    try:
        found: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if path.stem.partition("-")[2] == _name(found.tobytes()) else None


def _name(*values: str | bytes) -> str:
    # A text that is none, with a lone surrogate, has a name too; what is done with it is the encoder's.
    given = (value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value for value in values)
    return seal_of(*given).hex()
