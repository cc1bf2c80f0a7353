"""Rows of vectors into an .npy file as they come: how many there are is known at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# NumPy's header of a matrix takes less, and is padded to a multiple of 64.
_HEADER_BYTES = 128


class NpyRows:
    """Writes float32 rows; `rows` and `dimension` say what came."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.rows = 0
        self.dimension = 0
        self._stream = stream

    def write(self, part: NDArray[Any]) -> None:
        """Append (n, d) rows."""
        self._stream.write(np.ascontiguousarray(part, dtype="<f4").tobytes())
        self.rows += part.shape[0]
        self.dimension = part.shape[1]


@contextmanager
def npy_rows(path: Path) -> Iterator[NpyRows]:
    """Yield what writes a matrix to `path`; the file can be read when the block has ended well."""
    with path.open("wb") as stream:
        stream.write(b"\0" * _HEADER_BYTES)
        written = NpyRows(stream)
        yield written
        stream.seek(0)
        shape = (written.rows, written.dimension)
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        assert stream.tell() == _HEADER_BYTES
