"""Reading files that may be damaged: plain, gzip or zstandard, `-` for standard input, and JSON of ours."""

import gzip
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from textrip.errors import DamagedError, InputError, blame_no_file, reason_of

STDIN = "-"
COMPRESSIONS = (".gz", ".zst")
# A line longer than this is refused: a compressed file can hold one of terabytes.
MAX_LINE_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20
_CONVERT = "convert it with iconv -f {} -t UTF-8"
_SEAL = "seal_sha256"


def uncompressed_suffix(path: Path) -> str:
    """The suffix that tells the format: `.jsonl` for `corpus.jsonl.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_binary(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a plain, .gz or .zst file, or `-` for standard input, for reading bytes."""
    if str(path) == STDIN:
        yield sys.stdin.buffer
        return
    path = Path(path)
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {reason_of(error)}") from None
    with raw:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream  # type: ignore[misc]  # GzipFile is a binary stream in all but name
        elif path.suffix.lower() == ".zst":
            import pyarrow as pa

            # Not zstandard's own reader: to it a file that was cut off is one that ends.
            with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") as stream:
                yield io.BufferedReader(stream)
        else:
            yield raw


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers from 1, without line ends and byte-order mark.

    Raises:
        InputError: with file and line, for bytes that are not UTF-8, a NUL, a damaged archive or a
            line over 64 MiB.
    """
    source = str(path) if str(path) != STDIN else "<stdin>"
    number = 0
    with open_binary(path) as stream:
        while True:
            number += 1
            try:
                line = stream.readline(MAX_LINE_BYTES + 1)
            except IsADirectoryError:
                raise InputError(f"{source}: is a folder, a file was expected") from None
            except Exception as error:  # each archive format has errors of its own
                raise InputError.at(source, number, f"the archive is damaged: {error}") from None
            if not line:
                return
            if len(line) > MAX_LINE_BYTES:
                raise InputError.at(source, number, f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
            yield number, _decode(line, source, number)


def _decode(line: bytes, source: str, number: int) -> str:
    if number == 1:
        if line.startswith((b"\xff\xfe", b"\xfe\xff")):
            reason = f"the file is UTF-16, UTF-8 was expected; {_CONVERT.format('UTF-16')}"
            raise InputError.at(source, 1, reason)
        line = line.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in line:
        raise InputError.at(source, number, "a NUL byte; text was expected (is this a binary file?)")
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
        reason = f"{found} is not UTF-8; {_CONVERT.format('WINDOWS-1252')}, if it is of an older Windows"
        raise InputError.at(source, number, reason) from None


def as_json(value: dict[str, Any]) -> dict[str, Any]:
    """The same as it is when it was written and read again: lists for tuples, plain values.

    Raises:
        ValueError, TypeError: JSON has no word for a part of it.
    """
    return dict(json.loads(json.dumps(value, allow_nan=False)))


def cut_half_line(path: Path) -> bool:
    """Cut off a last line of JSON that is not whole, as a kill leaves it; whether there was one.

    Raises:
        DamagedError: another line is no JSON.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            if number < len(lines):
                raise DamagedError(
                    f"{path}:{number}: is damaged; bring the file back from a copy, or move it away"
                ) from None
        else:
            if line.endswith(b"\n"):
                continue
        os.truncate(path, sum(map(len, lines[:-1])))
        return True
    return False


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, keys in the given order, readable by a person."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    try:
        written = text.encode("utf-8")
    except UnicodeEncodeError:  # as by the name of a file that is not UTF-8
        written = (json.dumps(value, indent=2) + "\n").encode("ascii")
    path.write_bytes(written)


def write_sealed_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with a digest of itself, so that `read_json` notices a flipped byte."""
    write_json(path, {**value, _SEAL: _seal(value)})


def _seal(value: dict[str, Any]) -> str:
    plain = {name: part for name, part in value.items() if name != _SEAL}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_json(path: Path, *, kind: str, version: int, sealed: bool = False) -> dict[str, Any]:
    """Read a JSON object of ours and check its kind and format version.

    Args:
        path: The file.
        kind: What its "kind" must be.
        version: The newest "format" that can be read.
        sealed: `write_sealed_json` wrote it.

    Raises:
        DamagedError: the file is missing or damaged.
        InputError: it is of another kind, or of a newer version.
        StorageError: the process may open no more files.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        blame_no_file(error, path)
        raise DamagedError(f"{path}: {reason_of(error)}") from None
    return parse_json(content, path, kind=kind, version=version, sealed=sealed)


def parse_json(
    content: bytes | str, path: Path, *, kind: str, version: int, sealed: bool = False
) -> dict[str, Any]:
    """As `read_json`, of what was read from `path`."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedError(f"{path}: is not JSON; the file is damaged") from None
    if not isinstance(found, dict) or found.get("kind") != kind:
        raise InputError(f"{path}: is not a {kind} of textrip")
    if not isinstance(found.get("format"), int) or not 1 <= found["format"] <= version:
        raise InputError(
            f"{path}: has format {found.get('format')!r}, this textrip reads up to {version}; "
            "open it with the textrip that wrote it, or a newer one"
        )
    if sealed and found.get(_SEAL) != _seal(found):
        raise DamagedError(f"{path}: does not match its own digest; the file is damaged")
    return found


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 by path below the folder (with slashes), for every file in it."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
