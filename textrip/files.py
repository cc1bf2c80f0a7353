"""Reading and writing files so that a bad day costs nothing.

What is written goes to a temporary name beside its place, is synced, and is renamed: a reader sees the
old file or the new one. What is read may be plain, gzip or zstandard, or `-` for standard input.
"""

import contextlib
import glob
import gzip
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from textrip.errors import DamagedError, InputError, StorageError, TextripError
from textrip.place import named, place_of, standing

STDIN = "-"
COMPRESSIONS = (".gz", ".zst")
# A line longer than this is refused: a compressed file can hold one of terabytes.
MAX_LINE_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20
_SEAL = "seal_sha256"
# What stands aside while its successor takes its place has a name that nobody else would give.
_ASIDE = ".textrip-old"
_RUST_OS_ERROR = re.compile(r"\(os error (\d+)\)")


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
        raise InputError(f"{path}: {_reason(error)}") from None
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
            raise InputError.at(source, 1, "the file is UTF-16, UTF-8 was expected; convert it with iconv")
        line = line.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in line:
        raise InputError.at(source, number, "a NUL byte; text was expected (is this a binary file?)")
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
        raise InputError.at(source, number, f"{found} is not UTF-8; convert the file with iconv") from None


@contextmanager
def replacing(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and rename it, else remove it.

    The block may make a file or a folder there. An existing `path` is refused without `force`, and
    stays as it is until the new one is complete.

    Raises:
        InputError: `path` exists and `force` is not set, or its parent is not a folder.
        StorageError: the disk refused.
    """
    target = named(path)
    refuse_existing(target, force=force)
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    try:
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            move_into_place(temporary, target)
    finally:
        _remove(temporary)


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Whatever the disk refuses inside is a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        # Inside a folder that is being removed files have names alone.
        named = error.filename if os.sep in str(error.filename) else target
        raise StorageError(f"{named}: {_reason(error)}") from error
    except Exception as error:
        # safetensors and tokenizers have errors of their own, with Rust's words for the system's.
        refused = _RUST_OS_ERROR.search(str(error))
        if refused is None or isinstance(error, TextripError):
            raise
        raise StorageError(f"{target}: {os.strerror(int(refused[1])).lower()}") from error


def move_into_place(temporary: Path, target: Path) -> None:
    """Sync what was made and rename it; what is at `target` gives way."""
    _sync(temporary)
    _rename(temporary, target)


def refuse_taking_away(
    path: str | Path, *, force: bool, mark: str | None = None, read: Iterable[Any] = ()
) -> None:
    """As `refuse_existing`; nor may `force` replace what textrip did not make, or what it reads.

    Args:
        path: What is to be written.
        force: It may take the place of a file, or of a folder of its kind.
        mark: The JSON file that tells a folder of its kind; None where a file is written.
        read: What is read for it; what is no path is passed over.
    """
    target = named(path)
    if mark is None and target.is_dir():
        raise InputError(f"{target}: is a folder, a file was expected")
    if mark is not None and target.exists() and not _is_ours(target, mark):
        raise InputError(
            f"{target} exists and has no {mark} of textrip; --force replaces nothing else: name another place"
        )
    refuse_existing(target, force=force)
    for source in read:
        if isinstance(source, str | Path) and target.exists() and _lies_in(Path(source), target):
            raise InputError(f"{target} would be replaced, and {source} is read; name another place")


def refuse_existing(path: str | Path, *, force: bool) -> None:
    """Raise InputError where `path` could not be written, before any work is spent on it."""
    target = named(path)
    if target.exists() and not force:
        raise InputError(f"{target} exists; name another place or overwrite it with --force")
    parent = next((folder for folder in place_of(target).parents if folder.exists()), None)
    if parent is None or not parent.is_dir():
        raise InputError(f"{target}: {parent} is not a folder")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{target}: {parent} is not writable")


def _lies_in(path: Path, place: Path) -> bool:
    try:
        return path.exists() and path.resolve().is_relative_to(place.resolve())
    except (OSError, RuntimeError):  # a circle of links, which is no file
        return False


def _is_ours(folder: Path, mark: str) -> bool:
    """Whether a folder is empty, or has a JSON file of ours; one that is damaged may have been."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        found = json.loads((folder / mark).read_bytes())
    except OSError:
        return False
    except (ValueError, RecursionError):
        return True
    return isinstance(found, dict) and str(found.get("kind")).startswith("textrip-")


def restore_replaced(target: Path, *, tidy: bool = False) -> None:
    """Bring back what stood at `target` where a process died between taking it away and its successor.

    Where it died after that, what stood aside is removed by the next one that writes (`tidy`).
    """
    with contextlib.suppress(OSError):  # a folder that cannot be read or written to stays as it is
        asides = sorted(target.parent.glob(f".{glob.escape(target.name)}.????????{_ASIDE}"), key=_changed)
        if asides and not target.exists():
            asides.pop().rename(target)
        for aside in asides if tidy else ():
            _remove(aside)


def _changed(path: Path) -> int:
    return path.stat().st_ctime_ns


def _rename(temporary: Path, target: Path) -> None:
    if temporary.is_dir() and target.exists():
        # A folder cannot replace a folder in one step: the old one steps aside first.
        aside = target.parent / f".{target.name}.{secrets.token_hex(4)}{_ASIDE}"
        with standing():
            target.rename(aside)
            try:
                temporary.rename(target)
            except OSError:
                aside.rename(target)
                raise
            _remove(aside)
    else:
        temporary.replace(target)
    _sync_entry(target.parent)


def _sync(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
        _sync_entry(path)
    else:
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


def _sync_entry(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    if error.errno is None:  # NumPy counts what it wrote
        return f"the disk took a part only ({error}); is it full?"
    return (error.strerror or str(error)).lower()


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, keys in the given order, readable by a person."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


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
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path}: {_reason(error)}") from None
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
