"""What can go wrong, as one tree.

    TextripError
    ├── InputError             what was given cannot be used: a file, a line, a setting (exit 2)
    │   ├── DamagedError       what was written is not what is read
    │   ├── MismatchError      two good things that do not belong together: an index and another encoder
    │   └── MissingDependencyError   an optional package is not installed; the message says which
    ├── OfflineError           something is only on the network, and there is none (exit 2)
    └── StorageError           the disk refused: full, read-only, an I/O error (exit 2)

Every message says what was found, what was wanted and what to do next. An `assert` is for our own
mistakes only.
"""

import errno
from functools import partial
from pathlib import Path
from typing import Any

_RAN_OUT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class TextripError(Exception):
    """The root: catch this to catch everything that textrip raises on purpose."""


class InputError(TextripError):
    """What was given cannot be used."""

    @classmethod
    def at(cls, source: str, line: int | None, reason: str) -> "InputError":
        """An error at one line of a file, printed as `file:line: reason`."""
        where = source if line is None else f"{source}:{line}"
        return cls(f"{where}: {' '.join(reason.split())}")  # what was found may hold line ends


class NotFiniteError(InputError):
    """An encoder gives vectors that are no numbers."""


class DamagedError(InputError):
    """What was written is not what is read."""


class MismatchError(InputError):
    """Two things that are each in order and do not belong together."""


class MissingDependencyError(InputError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, *, purpose: str, extra: str) -> None:
        self._given = package, purpose, extra
        super().__init__(f"{purpose} needs the package {package}; install it: pip install 'textrip[{extra}]'")

    def __reduce__(self) -> tuple[Any, ...]:
        """How it comes out of another process: by default a keyword would be missing."""
        package, purpose, extra = self._given
        return partial(MissingDependencyError, purpose=purpose, extra=extra), (package,)


class OfflineError(TextripError):
    """Something is only on the network, and the network is away or not allowed."""


class StorageError(TextripError):
    """The disk refused: full, read-only, or an I/O error; or the process may open no more files."""


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def blame_no_file(error: OSError, path: Path) -> None:
    """Raise StorageError where the process has run out of files or memory: the file may be whole."""
    if error.errno in _RAN_OUT:
        raise StorageError(f"{path}: {reason_of(error)}") from error


def require_handles(path: Path) -> None:
    """Raise StorageError where the process may open no more files, for libraries that do not say so."""
    try:
        path.open("rb").close()
    except OSError as error:
        blame_no_file(error, path)


def reason_of(error: OSError) -> str:
    """What the system says, as the end of a line of ours."""
    if error.errno == errno.EMFILE:
        return "too many open files in this process; close what is not needed, or allow more (ulimit -n)"
    if error.errno is None:  # NumPy counts what it wrote
        return f"the disk took a part only ({error}); is it full?"
    return (error.strerror or str(error)).lower()
