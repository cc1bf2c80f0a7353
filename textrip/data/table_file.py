"""The tables of a folder by their names: any format, plain or packed, and one for each meaning."""

from collections.abc import Sequence
from pathlib import Path

from textrip.data.finding import Finding, many, some
from textrip.data.rows import FORMATS
from textrip.errors import InputError
from textrip.files import COMPRESSIONS

# In the order in which they are read.
SPLITS = ("train", "dev", "test")
# Other names under which the development split goes.
_DEV = ("dev", "validation", "valid", "val")


def split_of(stem: str) -> str:
    """The split that a file's name says."""
    return "dev" if stem in _DEV else stem


def stems_of(split: str) -> tuple[str, ...]:
    """The names that a split's file may have."""
    return _DEV if split == "dev" else (split,)


def table_stem(path: Path) -> str | None:
    """A table's name without its suffixes, `train` for `train.tsv.gz`; None for another file."""
    name = path.name
    for packed in COMPRESSIONS:
        name = name.removesuffix(packed)
    stem, dot, suffix = name.rpartition(".")
    return stem if dot + suffix in FORMATS else None


def tables_in(folder: Path) -> list[str]:
    """The names of a folder's tables; what ends in .json may be anything."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".json")
    return [name for name in names if not name.startswith(".") and table_stem(folder / name) is not None]


def tables_not_read(folder: Path, names: Sequence[str], beside: str) -> list[Finding]:
    """Tables of a folder that nothing reads, and beside what they lie: who put them there waits for them."""
    if not names:
        return []
    what = many(len(names), "table is", "tables are")
    return [
        Finding("warning", "tables-not-read", len(names), f"{folder}: {what} not read{beside}", some(names))
    ]


def the_table(folder: Path, stems: Sequence[str], what: str) -> Path | None:
    """The table of a folder that has one of these names; None where there is none.

    Raises:
        InputError: there are two.
    """
    names = (
        f"{stem}{suffix}{packed}" for stem in stems for suffix in FORMATS for packed in ("", *COMPRESSIONS)
    )
    return the_one([folder / name for name in names if (folder / name).is_file()], what)


def the_one(paths: Sequence[Path], what: str) -> Path | None:
    """The only one of these files that hold the same; None of none.

    Raises:
        InputError: there are two: nobody knows which is out of date.
    """
    if len(paths) > 1:
        first, second = paths[:2]
        raise InputError(
            f"{first.parent}: {first.name} and {second.name} both hold {what}; remove the one that is out of "
            "date"
        )
    return paths[0] if paths else None
