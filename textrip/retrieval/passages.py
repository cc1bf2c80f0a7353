"""Long documents cut into overlapping passages, each with a vector of its own (MaxP: Dai and Callan, 2019).

The best passage's score is the document's, and that passage is what a hit shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textrip.data.words import splits_a_word
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import InputError
from textrip.lexical.analyzer import Analyzer
from textrip.retrieval.store import whole

# A passage that is read alone may have a token or two more than it had in its text.
_LEAST_SPARE_TOKENS = 2
# Of English; what is written without blanks has fewer, so that its passages are more than expected.
_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How documents are cut.

    Attributes:
        tokens: Tokens a passage; 0 leaves documents whole (an encoder reads their beginning).
        overlap: Tokens that two neighbours share.
    """

    tokens: int = 0
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.tokens < 0 or (self.tokens and self.tokens < 8):
            raise InputError(f"passages of {self.tokens} tokens; at least 8 were expected, or 0 for none")
        if not 0 <= self.overlap < max(1, self.tokens):
            raise InputError(
                f"passages overlap by {self.overlap} of their {self.tokens} tokens; less was expected"
            )

    def require_fit(self, encoder: TextEncoder) -> None:
        """Raise InputError where a passage is longer than what the encoder reads."""
        longest = longest_passage(encoder)
        if self.tokens > longest:
            raise InputError(
                f"passages of {self.tokens} tokens; {encoder.name} reads {longest} at most "
                f"({encoder.max_length_tokens} with its special tokens and its prompt)"
            )

    def expected(self, text: str) -> int:
        """About how many passages a text gives, without a tokenizer."""
        return 1 + len(text) // (_CHARACTERS_A_TOKEN * (self.tokens - self.overlap)) if self.tokens else 1

    def spans(self, encoder: TextEncoder, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """For every text the character spans (p, 2) of its passages, at least one."""
        if not self.tokens:
            return [whole(len(text)) for text in texts]
        encoded = encoder.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            np.asarray(list(self._cut(text, found.offsets)), dtype=np.int32).reshape(-1, 2)
            for text, found in zip(texts, encoded, strict=True)
        ]

    def _cut(self, text: str, offsets: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Spans that begin at the beginning, end at the end, and leave out nothing between."""
        # Whole words cost two neighbours at most half of what they are apart: each gets further.
        most = (self.tokens - self.overlap) // 4
        first = 0
        while first + self.tokens < len(offsets):
            last = _at_a_word(text, offsets, first + self.tokens, most)
            yield (offsets[first][0] if first else 0), offsets[last][0]
            first = _at_a_word(text, offsets, last - self.overlap, most)
        yield (offsets[first][0] if first else 0), len(text)


def _at_a_word(text: str, offsets: Sequence[tuple[int, int]], token: int, most: int) -> int:
    """The token, or the one at most so many before it that begins its word.

    Where no word begins there (writing without blanks, a word of many pieces) it is cut at the token.
    """
    return next(
        (back for back in range(token, token - most - 1, -1) if not splits_a_word(text, offsets[back][0])),
        token,
    )


def longest_passage(encoder: TextEncoder) -> int:
    """How many tokens of a document an encoder reads: its special tokens and its prompt are the others."""
    (others,) = encoder.count_tokens([encoder.prompt("document")], cut=False)
    return encoder.max_length_tokens - max(_LEAST_SPARE_TOKENS, others)


def with_most_terms(text: str, spans: NDArray[np.int32], query: str, analyzer: Analyzer) -> int:
    """The number of the passage with the most distinct terms of a query; the first of equals."""
    wanted = set(analyzer(query))
    counts = [len(wanted.intersection(analyzer(text[begin:end]))) for begin, end in spans.tolist()]
    return counts.index(max(counts))
