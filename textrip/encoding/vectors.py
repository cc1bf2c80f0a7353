"""Vectors on disk with the identity of their encoder: .npy (and a .json beside it) or Parquet."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.errors import InputError, first_line
from textrip.files import read_json, sha256, write_json
from textrip.npy_rows import npy_rows
from textrip.place import place_of, require_utf8
from textrip.replacing import replacing

KIND = "textrip-vectors"
FORMAT = 1
SUFFIXES = (".npy", ".parquet")
_FINGERPRINT_KEY = b"textrip.fingerprint"
_FORMER = "former"


@dataclass(frozen=True)
class Vectors:
    """Unit vectors (n, d) float32, the ids of their texts, and their encoder's fingerprint."""

    ids: list[str]
    matrix: NDArray[np.float32]
    fingerprint: str


def sidecar(path: Path) -> Path:
    """The JSON file beside an .npy file."""
    return path.with_name(path.name + ".json")


def refuse_suffix(path: str | Path) -> Path:
    """The path, or InputError where its suffix names no format of vectors."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: has suffix {path.suffix!r}, {' or '.join(SUFFIXES)} was expected")
    return path


def refuse_foreign_sidecar(path: Path) -> None:
    """Raise InputError where what is to be said of vectors would take the place of somebody else's file."""
    beside = sidecar(path)
    if path.suffix != ".npy" or not beside.exists():
        return
    try:
        found = json.loads(beside.read_bytes())
    except (OSError, ValueError, RecursionError):
        ours = path.exists()  # what is damaged goes with the vectors, which are looked after
    else:
        ours = isinstance(found, dict) and found.get("kind") == KIND
    if not ours:
        raise InputError(
            f"{beside} is no description of vectors by textrip, and to write {path.name} would replace it; "
            "name another place, or move it away"
        )


def write_vectors(
    path: str | Path,
    ids: Iterable[str],
    windows: Iterable[NDArray[np.float32]],
    *,
    fingerprint: str,
    encoder: str,
    force: bool = False,
) -> int:
    """Write windows of vectors as they come; returns how many rows were written.

    The same file is complete or absent: rows go to a temporary name until the last one is there. Vectors that
    stood there are, with their ids, until then.
    """
    path = refuse_suffix(path)
    refuse_foreign_sidecar(path)
    if path.suffix != ".npy":
        require_utf8(place_of(path))
        with replacing(path, force=force) as temporary:
            return _write_parquet(temporary, iter(ids), windows, fingerprint)
    former = _former(path)
    try:
        with replacing(path, force=force) as temporary:
            rows, dimension, kept_ids = _write_npy(temporary, iter(ids), windows)
            about = {
                "kind": KIND, "format": FORMAT, "encoder": encoder, "fingerprint": fingerprint,
                "rows": rows, "dimension": dimension, "sha256": sha256(temporary), "ids": kept_ids,
            }  # fmt: skip
            # Two files cannot be renamed at once: until the second is, the first says what it was, too.
            _write_about(path, about if former is None else {**about, _FORMER: former})
    except BaseException:
        if former is None and not path.exists():
            sidecar(path).unlink(missing_ok=True)
        raise
    if former is not None:
        _write_about(path, about)
    return rows


def _write_about(path: Path, about: dict[str, Any]) -> None:
    with replacing(sidecar(path), force=True) as temporary:
        write_json(temporary, about)


def _former(path: Path) -> dict[str, Any] | None:
    """What is said of the vectors that stand at a path; None where nothing is."""
    with suppress(InputError):
        about = read_json(sidecar(path), kind=KIND, version=FORMAT)
        # Of two that a stop left, the vectors tell which; of one nothing has to be read of them.
        return _about(path) if _FORMER in about else about
    return None


def _about(path: Path) -> dict[str, Any]:
    """What the file beside says of the vectors that are there."""
    about = read_json(sidecar(path), kind=KIND, version=FORMAT)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    digest = sha256(path)
    found = next(
        (each for each in (about, about.get(_FORMER)) if each and each.get("sha256") == digest), None
    )
    if found is None:
        raise InputError(f"{path}: does not match {sidecar(path).name}; the file is damaged, encode again")
    return dict(found)


def _write_npy(
    path: Path, ids: Iterator[str], windows: Iterable[NDArray[np.float32]]
) -> tuple[int, int, list[str]]:
    kept: list[str] = []
    with npy_rows(path) as written:
        for window in windows:
            kept.extend(next(ids) for _ in range(len(window)))
            written.write(window)
    return written.rows, written.dimension, kept


def _write_parquet(
    path: Path, ids: Iterator[str], windows: Iterable[NDArray[np.float32]], fingerprint: str
) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    writer: Any = None
    try:
        for window in windows:
            rows, dimension = rows + window.shape[0], window.shape[1]
            if writer is None:
                fields = [("id", pa.string()), ("vector", pa.list_(pa.float32(), dimension))]
                schema = pa.schema(fields, metadata={_FINGERPRINT_KEY: fingerprint.encode()})
                writer = pq.ParquetWriter(path, schema, write_page_checksum=True)
            flat = pa.array(np.ascontiguousarray(window, dtype=np.float32).ravel())
            vectors = pa.FixedSizeListArray.from_arrays(flat, dimension)
            names = pa.array([next(ids) for _ in range(len(window))], pa.string())
            writer.write_table(pa.table([names, vectors], schema=schema))
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise InputError("there is nothing to encode; at least one text was expected")
    return rows


def read_vectors(path: str | Path) -> Vectors:
    """Read what `write_vectors` wrote.

    Raises:
        InputError: the file is missing, damaged, or not of textrip's making.
    """
    path = refuse_suffix(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return _read_npy(path) if path.suffix == ".npy" else _read_parquet(path)


def _read_npy(path: Path) -> Vectors:
    about = _about(path)
    matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    return Vectors(about["ids"], matrix, about["fingerprint"])


def _read_parquet(path: Path) -> Vectors:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        require_utf8(path)
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a Parquet file that can be read: {first_line(error)}") from None
    metadata = table.schema.metadata or {}
    if _FINGERPRINT_KEY not in metadata or table.column_names != ["id", "vector"]:
        raise InputError(f"{path}: holds no vectors of textrip")
    vectors = table.column("vector").combine_chunks()
    matrix = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(vectors), -1)
    return Vectors(table.column("id").to_pylist(), matrix, metadata[_FINGERPRINT_KEY].decode())
