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
    """A path that ends in a name: `.` and `..` as the place that they lead to.

    Raises:
        InputError: it is no path, or holds what no name can.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"a path is {path!r}, a text or a Path was expected")
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: holds the character 0, which no name can; name another place")
    path = Path(path)
    return place_of(path) if path.name in {"", ".."} else path


def from_anywhere(path: str) -> str:
    """A path by which what is there is found from any folder; the name of what is not there, as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path


def require_utf8(path: Path) -> None:
    """Raise InputError where no model, study or Parquet file can be: their libraries take text for a path."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: this name is not UTF-8, and no model can be read or written there, nor a Parquet file; "
            "rename it, or name another place"
        ) from None


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
