"""Encodes texts to a file, slowly, and notes how many were encoded; to be killed and started again.

python -m tests.encoding.kept_worker FOLDER
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.retrieval.stub import StubEncoder, text_of
from textrip.encoding import text_encoder
from textrip.encoding.kept import keeping
from textrip.encoding.vectors import write_vectors
from textrip.records import Kind

WINDOW, TEXTS = 20, 600


class Slow(StubEncoder):
    """Takes its time, and notes what it encodes."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self.notes = notes

    def _encode_window(self, texts: list[str], kind: Kind, advance: Any) -> NDArray[np.float32]:
        with self.notes.open("a", encoding="utf-8") as stream:
            stream.write(f"{len(texts)}\n")
        time.sleep(0.02)
        return super()._encode_window(texts, kind, advance)


def main(folder: Path) -> None:
    """Encode."""
    text_encoder.WINDOW = WINDOW
    texts = [text_of(number) for number in range(TEXTS)]
    encoder = Slow(folder / "notes.txt")
    print("ready", flush=True)
    with keeping(folder / "vectors.npy"):
        windows = encoder.encode_stream(texts)
        write_vectors(
            folder / "vectors.npy", map(str, range(TEXTS)), windows, fingerprint=encoder.fingerprint,
            encoder=encoder.name,
        )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
