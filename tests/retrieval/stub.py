"""An encoder of random directions by word, without torch: what tests of an index's safety need."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textrip.encoding.text_encoder import TextEncoder
from textrip.records import Kind


class StubEncoder(TextEncoder):
    """A text's vector is the unit sum of its words' directions."""

    name = "stub"
    precision = "float32"
    dimension = 16
    max_length_tokens = 10_000
    fingerprint = hashlib.sha256(b"stub").hexdigest()

    def __init__(self) -> None:
        self.texts = 0  # how many were encoded
        self._known: dict[str, NDArray[np.float64]] = {}

    @property
    def tokenizer(self) -> Any:
        """A token a word."""
        from tokenizers import Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        return tokenizer

    def _direction(self, word: str) -> NDArray[np.float64]:
        if len(self._known) > 10_000:
            self._known.clear()
        if word not in self._known:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            self._known[word] = np.random.default_rng(seed).standard_normal(self.dimension)
        return self._known[word]

    def _encode_window(self, texts: list[str], kind: Kind, advance: Any) -> NDArray[np.float32]:
        self.texts += len(texts)
        rows = [sum((self._direction(word) for word in text.split()), np.full(16, 1e-3)) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    def count_tokens(self, texts: Sequence[str], *, cut: bool = True) -> list[int]:
        return [len(text.split()) for text in texts]

    def prompt(self, kind: Kind) -> str:
        return ""


WORDS = ("rose tulip soil seed rain wave boat harbour tide sail oven flour butter violin chord orbit").split()  # noqa: SIM905


def text_of(number: int) -> str:
    """A document's text by its number: 12 words, the same everywhere."""
    draw = np.random.default_rng(number)
    return " ".join(draw.choice(WORDS, 12))


def texts(numbers: Iterable[int]) -> Iterator[str]:
    return map(text_of, numbers)
