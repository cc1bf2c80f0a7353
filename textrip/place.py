"""Where a path leads, also when the folder that the process stands in is moved or replaced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textrip.errors import InputError


def place_of(path: str | Path) -> Path:
    """A path that does not go by the working directory; where it ends in a symbolic link, the link's own.

    Raises:
        InputError: it begins at the working directory, which is gone.
    """
    try:
        whole = Path(path).absolute()
        return whole.resolve() if whole.name == ".." else whole.parent.resolve() / whole.name
    except (OSError, RuntimeError) as error:  # the latter is a circle of links
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"{path}: cannot be found from the working directory ({str(reason).lower()}); "
            "go to a folder that is there, or give the whole path"
        ) from None


def named(path: str | Path) -> Path:
    """A path that ends in a name: `.` and `..` as the place that they lead to."""
    path = Path(path)
    return place_of(path) if path.name in {"", ".."} else path


@contextmanager
def standing() -> Iterator[None]:
    """Where what is done inside replaces the folder that the process stands in, it stands in the new one."""
    before = _standing_in()
    yield
    if before is not None and _standing_in() is None:
        with suppress(OSError):
            os.chdir(before)


def _standing_in() -> Path | None:
    """The working directory; None where it is gone."""
    with suppress(OSError):
        return Path.cwd()
    return None
