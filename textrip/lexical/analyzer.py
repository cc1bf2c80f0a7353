"""From a text to the terms that BM25 counts; one analyzer for corpus and queries, saved with the index."""

import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

import Stemmer

from textrip.data.words import without_accents, without_invisible, words
from textrip.errors import InputError
from textrip.forked import cached_property

# The 33 words that Lucene's StandardAnalyzer leaves out.
ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "  # noqa: SIM905
    "there these they this to was will with".split()
)
# Turkish has an i with and one without a dot, each in both cases.
_TURKISH_LOWER = str.maketrans({"I": "\u0131", "\u0130": "i"})


@dataclass(frozen=True, kw_only=True)
class Analyzer:
    """Lower case, Unicode folding, stop words and Snowball stemming, each a switch.

    Attributes:
        lowercase: Case does not matter.
        fold: NFKC without accents and soft hyphens: "Café" and "cafe" are one term, and so are full-width
            forms. A stemmer
            of another language than English knows its accents, and sees them.
        stop_words: Leave out the commonest English words.
        stemmer: A language of Snowball ("english", "german", ...), or None for no stemming.
    """

    lowercase: bool = True
    fold: bool = True
    stop_words: bool = True
    stemmer: str | None = "english"

    def __post_init__(self) -> None:
        if self.stemmer is not None and self.stemmer not in Stemmer.algorithms():
            languages = ", ".join(sorted(Stemmer.algorithms()))
            raise InputError(
                f"stemmer {self.stemmer!r} is no language of Snowball; one of {languages}, or none"
            )

    @classmethod
    def for_language(cls, language: str) -> "Analyzer":
        """The analyzer for a Snowball language, or "none" for no stemming; stop words only for English."""
        stemmer = None if language == "none" else language
        return cls(stemmer=stemmer, stop_words=language == "english")

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "Analyzer":
        """The analyzer that `to_dict` described."""
        return cls(**saved)

    def to_dict(self) -> dict[str, Any]:
        """The switches as plain values, for saving."""
        return asdict(self)

    @cached_property
    def _stem(self) -> Any:
        return Stemmer.Stemmer(self.stemmer, 200_000) if self.stemmer else None

    def normalise(self, text: str) -> str:
        """Case and Unicode folding, before a text is cut into words."""
        if self.fold and not text.isascii():
            text = without_invisible(text)
            text = unicodedata.normalize("NFKC", text) if self._stems_first else without_accents(text)
        if self.lowercase and self.stemmer == "turkish":
            text = text.translate(_TURKISH_LOWER)
        return text.lower() if self.lowercase else text

    @property
    def _stems_first(self) -> bool:
        return self.stemmer not in {None, "english"}

    def __call__(self, text: str) -> list[str]:
        """The terms of a text, in order, with repetitions."""
        terms = words(self.normalise(text))
        if self.stop_words:
            terms = [term for term in terms if term not in ENGLISH_STOP_WORDS]
        if self._stem is not None:
            terms = self._stem.stemWords(terms)
        if self.fold and self._stems_first:  # a word of ASCII may have a stem that is not (Turkish: ilaca)
            terms = [without_accents(term) for term in terms]
        return terms
