"""What every encoder offers, whatever runs it, and how its texts become batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import partial
from itertools import islice
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from textrip.data.words import lone_surrogate
from textrip.encoding.kept import is_keeping, once
from textrip.errors import InputError
from textrip.progress import advancing
from textrip.records import Kind
from textrip.typed import require_type

# Texts are sorted by length within a window of this many, so that a stream needs bounded memory.
WINDOW = 4096
# Vectors that were kept in half precision differ by less.
_UNIT = 0.01
# A tokenizer reads all of a text before it cuts. Of a long one so many characters a token are read first,
_CHARACTERS_A_TOKEN = 10
# then more, until so many follow the last token that is kept: what comes later could not change it, as no
# tokenizer looks further into a word (WordPiece gives a longer one up; Unigram alone divides a word by all of
# it, so that one of more characters than this without a blank may be divided otherwise).
_CHARACTERS_AFTER = 1000
# Blanks, or a word, as long as this may hide what comes after them.
_MOST_CHARACTERS = 2**20


class TextEncoder(ABC):
    """Texts to unit vectors, with the model's own prompts for queries and documents, window by window.

    Attributes:
        name: What it was loaded by, for reports.
        precision: Of its weights or its matrix products: float32, bf16, fp16 or int8.
    """

    name: str
    precision: str

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    @abstractmethod
    def max_length_tokens(self) -> int:
        """What is read of a text, special tokens included."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A digest of everything that moves a vector."""

    @property
    @abstractmethod
    def tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer`, which cuts nothing."""

    @abstractmethod
    def prompt(self, kind: Kind) -> str:
        """What the model puts before a query or a document; mostly nothing."""

    @abstractmethod
    def count_tokens(self, texts: Sequence[str], *, cut: bool = True) -> list[int]:
        """How many tokens each text has, special tokens included, cut at the encoder's length or not."""

    def _beginnings(self, texts: Sequence[str]) -> list[str]:
        """Of every text what can reach its vector."""
        return [beginning(text, self.tokenizer, self.max_length_tokens) for text in texts]

    @abstractmethod
    def _encode_window(self, texts: list[str], kind: Kind, advance: Any) -> NDArray[np.float32]:
        """Unit vectors (n, d) of n texts, at least one; `advance` is told how many are done."""

    def encode(
        self, texts: Iterable[str], *, kind: Kind = "document", progress: str | None = None
    ) -> NDArray[np.float32]:
        """Encode texts to unit vectors, in their order.

        Args:
            texts: n texts; read in windows, so that a lazy sequence is never all in memory (an iterator is).
            kind: Which of the model's prompts goes before each text.
            progress: What a progress bar says; none without it.

        Returns:
            (n, d) float32, each row of length 1.
        """
        require_texts(texts)
        if not isinstance(texts, Sized):  # who takes what comes can be asked once
            texts = list(texts)
        windows = list(self.encode_stream(texts, kind=kind, progress=progress, total=len(texts)))
        if not windows:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.concatenate(windows)

    def encode_stream(
        self,
        texts: Iterable[str],
        *,
        kind: Kind = "document",
        progress: str | None = None,
        total: int | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Encode any number of texts in bounded memory: yields (at most 4096, d) float32 in their order."""
        require_texts(texts)
        if kind not in get_args(Kind):  # E5 calls a document a passage; without its prompt it is another text
            raise InputError(f"kind is {kind!r}, {' or '.join(get_args(Kind))} was expected")
        iterator = iter(texts)
        # Two run-times agree to the sixth digit, and an output is to be of one.
        about = [type(self).__name__, self.fingerprint, self.precision, kind] if is_keeping() else []
        with advancing(progress or "", total) as advance:
            while window := list(islice(iterator, WINDOW)):
                for text in window:
                    require_type("a text", text, str, "a string")
                    if (found := lone_surrogate(text)) is not None:
                        raise InputError(f"a text has a lone surrogate '{found}', no character")
                work = partial(self._encode_window, window, kind, advance if progress else None)
                vectors, known = once(about, window, work)
                if known:
                    advance(len(window) if progress else 0)
                yield vectors


def require_texts(texts: Iterable[str]) -> None:
    """Raise InputError for a string, which would be read letter by letter."""
    if isinstance(texts, str):
        raise InputError("texts is a string, a list of texts was expected")
    require_type("texts", texts, Iterable, "a list of texts")


def require_unit(vectors: NDArray[np.float32]) -> None:
    """Raise InputError where vectors (n, d) are not of length one, or zero: scores would be no cosines."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths = lengths[lengths > 0]
    if len(lengths) and np.abs(lengths - 1).max() > _UNIT:
        raise InputError(
            f"vectors have lengths from {lengths.min():.3g} to {lengths.max():.3g}, unit ones were expected; "
            "divide each by its length"
        )


def beginning(text: str, tokenizer: Any, tokens: int) -> str:
    """A beginning of a text whose first tokens are those of the whole.

    Args:
        text: Of any length.
        tokenizer: A `tokenizers.Tokenizer` that cuts nothing.
        tokens: How many tokens are looked at; special ones and a prompt leave fewer.
    """
    length = tokens * _CHARACTERS_A_TOKEN + _CHARACTERS_AFTER
    while length < min(len(text), _MOST_CHARACTERS):
        offsets = tokenizer.encode(text[:length], add_special_tokens=False).offsets
        if len(offsets) >= tokens and offsets[tokens - 1][1] <= length - _CHARACTERS_AFTER:
            break
        length *= 2
    return text[:length]


def batches(lengths: Sequence[int], *, tokens: int, texts: int) -> Iterator[list[int]]:
    """Rows of about equal length, longest first, under a budget of padded tokens and of texts."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        size = max(1, min(texts, tokens // max(1, lengths[order[start]])))
        yield order[start : start + size]
        start += size
