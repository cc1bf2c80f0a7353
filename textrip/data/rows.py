"""Tables as rows: JSONL, CSV, TSV and Parquet become dictionaries with the line they stand on."""

import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from textrip.errors import InputError, first_line
from textrip.files import COMPRESSIONS, STDIN, numbered_lines, open_binary, uncompressed_suffix
from textrip.place import require_utf8
from textrip.progress import say

Row = dict[str, Any]
TableFormat = Literal["jsonl", "csv", "tsv", "parquet"]

FORMATS: dict[str, TableFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
}
# The csv module's own limit of 128 KiB a field is shorter than a long document.
_MAX_FIELD_CHARACTERS = 2**26
# The later ones of a CSV in whose header no comma is: so spreadsheets write it where numbers have commas.
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEPARATOR = re.compile(r"sep=([,;\t])\s*", re.IGNORECASE)
_IN_QUOTES = re.compile(r'"(?:[^"]|"")*"')
# A quotation mark that nobody closes is told by who reads the rows.
_MOST_LINES_OF_A_HEADER = 1000


def table_format(path: str | Path) -> TableFormat:
    """The format that a file's name says; standard input is JSONL."""
    if str(path) == STDIN:
        return "jsonl"
    suffix = uncompressed_suffix(Path(path))
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(
            f"{path}: has suffix {suffix!r}, one of {known} was expected (.gz or .zst may follow)"
        )
    return FORMATS[suffix]


def read_rows(path: str | Path) -> Iterator[tuple[int, Row]]:
    """The rows of a table with their line (Parquet: row) numbers from 1; blank lines are passed over.

    Raises:
        InputError: with `file:line: reason`.
    """
    match table_format(path):
        case "jsonl":
            yield from _read_jsonl(path)
        case "parquet":
            yield from _read_parquet(Path(path))
        case separated:
            yield from _read_separated(path, separated)


def _object(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} occurs twice in an object")
    return row


_JSON = json.JSONDecoder(object_pairs_hook=_object)


def json_value(line: str) -> Any:
    """What a line of JSON says; a ValueError where it is none, or says one key twice."""
    return _JSON.decode(line)


def _read_jsonl(path: str | Path) -> Iterator[tuple[int, Row]]:
    source = "<stdin>" if str(path) == STDIN else str(path)
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            row = json_value(line)
        except json.JSONDecodeError as error:
            reason = f"not JSON at column {error.colno}: {error.msg}; one JSON object a line was expected"
            raise InputError.at(source, number, reason) from None
        except RecursionError:
            raise InputError.at(
                source, number, "JSON nested too deep; one flat object a line was expected"
            ) from None
        except ValueError as error:  # a key twice, or an integer of more digits than Python converts
            raise InputError.at(source, number, f"not JSON that can be read: {error}") from None
        if not isinstance(row, dict):
            reason = f"a JSON {type(row).__name__}; one JSON object a line was expected"
            raise InputError.at(source, number, reason)
        yield number, row


def _head(lines: Iterator[str]) -> tuple[list[str], str]:
    """The lines of a CSV up to the end of its header, and what separates its columns.

    That is the comma, or what the header has in place of one outside of quotation marks, or what a line
    `sep=;` says, as Excel writes it.
    """
    head: list[str] = []
    header = ""
    for line in itertools.islice(lines, _MOST_LINES_OF_A_HEADER):
        said = _SEPARATOR.fullmatch(line) if not header else None
        if said is not None:
            return [*head, "\n"], said[1]
        head.append(line)
        header += line if header or line.strip() else ""
        if header and header.count('"') % 2 == 0:
            break
    bare = _IN_QUOTES.sub("", header)
    return head, next((mark for mark in _DELIMITERS if mark in bare), ",")


def _read_separated(path: str | Path, separated: Literal["csv", "tsv"]) -> Iterator[tuple[int, Row]]:
    source = str(path)
    lines = (line + "\n" for _, line in numbered_lines(path))
    head, delimiter = ([], "\t") if separated == "tsv" else _head(lines)
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    # TSV is taken as its readers write it: no quoting, so that a lone quotation mark is text.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separated == "tsv" else csv.QUOTE_MINIMAL
    strict = quoting == csv.QUOTE_MINIMAL
    reader = csv.reader(itertools.chain(head, lines), delimiter=delimiter, quoting=quoting, strict=strict)
    header: list[str] | None = None
    while True:
        begun = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"not a row of {_DELIMITERS[delimiter]}-separated values: {error}"
            raise InputError.at(source, begun, reason) from None
        # A blank line is none of a table; of a single column "" is a cell.
        if not values or (len(values) == 1 and not values[0].strip() and len(header or ()) != 1):
            continue
        if header is None:
            header = [name.strip() for name in values]
            if len(set(header)) < len(header):
                raise InputError.at(source, begun, f"a column name occurs twice: {', '.join(header)}")
            continue
        if len(values) != len(header):
            reason = f"{len(values)} columns, the header has {len(header)} ({', '.join(header)})"
            raise InputError.at(source, begun, reason)
        yield begun, dict(zip(header, values, strict=True))


def _read_parquet(path: Path) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix.lower() in COMPRESSIONS:
        raise InputError(f"{path}: is packed Parquet, which is compressed within already; unpack it")
    with open_binary(path) as stream:  # a missing file is told the same way in every format
        stream.read(1)
    try:
        number = 1
        require_utf8(path)
        with pq.ParquetFile(path, memory_map=True) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise InputError(f"{path}: a column name occurs twice: {', '.join(names)}")
            bytes_in = {field.name for field in file.schema_arrow if _holds_bytes(field.type)}
            if bytes_in:  # pictures, say: no text, and no metadata that JSON could hold
                say(f"{path}: left out: {', '.join(map(repr, sorted(bytes_in)))}, of bytes and not of text")
            columns = [name for name in names if name not in bytes_in] if bytes_in else None
            for batch in file.iter_batches(batch_size=8192, columns=columns):
                try:
                    rows = batch.to_pylist()
                except (OverflowError, ValueError) as error:
                    raise _unreadable(batch, path, number) from error
                yield from enumerate(rows, start=number)
                number += len(rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = first_line(error)
        raise InputError(f"{path}: is not a Parquet file that can be read: {first}") from None


def _holds_bytes(kind: Any) -> bool:
    """Whether values of an Arrow type are bytes, or hold some."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    return (
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
        or any(_holds_bytes(kind.field(place).type) for place in range(kind.num_fields))
    )


def _unreadable(batch: Any, path: Path, number: int) -> InputError:
    """The error of rows from `number` on, one of which has a value that Python has none for."""
    for place, name in itertools.product(range(len(batch)), batch.schema.names):
        try:
            batch.column(name)[place].as_py()
        except (OverflowError, ValueError) as error:
            kind = batch.schema.field(name).type
            reason = f"{name!r} is a {kind} that cannot be read ({error}); mend it, or write it as text"
            return InputError.at(str(path), number + place, reason)
    return InputError.at(str(path), number, "the rows from here on cannot be read")
