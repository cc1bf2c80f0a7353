"""How triples are mined: one frozen record, checked once, saved with the triples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from textrip.errors import InputError
from textrip.place import from_anywhere
from textrip.typed import require_types

_OF_BM25 = ("most_score", "least_score")
_OF_RANKINGS = ("depth", "skip", "sample")
_LEAST = {"negatives": 1, "random": 0, "dense": 0, "depth": 1, "skip": 0, "positives": 1}


@dataclass(frozen=True, kw_only=True)
class MineSettings:
    """How negatives are chosen.

    Attributes:
        split: Whose judgments are used.
        negatives: How many negatives a group gets at most; fewer where fewer are found.
        random: How many of them are documents drawn from the whole corpus, and not from a ranking: a mix of
            hard and easy ones.
        dense: How many of them come from the ranking of an encoder, and not from BM25's.
        dense_model: That encoder, by name or folder.
        dense_nearest: How it ranks: exact, or hnsw (a graph, for a corpus of a million).
        depth: How deep in the ranking a negative may stand.
        skip: How many ranks from the top are passed over (they hold unjudged relevant documents).
        most_score: In BM25's ranking, documents of more than this share of the best score are passed over.
            Not in an encoder's: a share of a cosine says little, and cosines lie on both sides of 0.
        least_score: And those of less than this share.
        sample: Draw the negatives from the window at random; else the hardest are taken.
        near_duplicates: A document that resembles one of the query's relevant ones so much (the Jaccard
            index of their shingles, see data/near_duplicates.py) is no negative; off where None, or 0. Copies
            are left out in any case.
        denoise: A model that scores a query and a document, by name or folder: what it finds as relevant as
            a relevant one is left out (see filters.py). auto is the encoder that is to be trained, where
            there is one (train, fit, tune) and it tells relevant documents from random ones as well as BM25
            does (see trust.py), and else none.
        denoise_margin: A negative scores below the lowest of the positives by this share of it.
        positives: How many groups a query gives at most, one for each positive, drawn at random: else the
            queries with a hundred positives own the loss.
        per_document: A document is the positive of at most so many groups, drawn at random; all where None.
            Else the documents that answer everything own the loss.
        queries: How many queries are used at most, drawn at random; all where None.
        seed: For every draw.
    """

    split: str = "train"
    negatives: int = 1
    random: int = 0
    dense: int = 0
    dense_model: str | None = None
    dense_nearest: Literal["exact", "hnsw"] = "exact"
    depth: int = 100
    skip: int = 0
    most_score: float = 1
    least_score: float = 0
    sample: bool = False
    near_duplicates: float | None = 0.8
    denoise: str = "auto"
    denoise_margin: float = 0.05
    positives: int = 4
    per_document: int | None = None
    queries: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_types(self)
        if self.near_duplicates == 0:  # in a shell there is no None
            object.__setattr__(self, "near_duplicates", None)
        problems = [
            f"{name} is {getattr(self, name)}, at least {least} was expected"
            for name, least in _LEAST.items()
            if getattr(self, name) < least
        ]
        problems += [
            f"{name} is {value}, at least 1 was expected"
            for name, value in (("queries", self.queries), ("per_document", self.per_document))
            if value is not None and value < 1
        ]
        if self.skip >= self.depth:
            problems.append(f"skip is {self.skip} and depth {self.depth}: no rank is left between them")
        if self.random + self.dense > self.negatives:
            problems.append(
                f"random is {self.random} and dense {self.dense}, together at most negatives "
                f"({self.negatives}) was expected"
            )
        if self.dense and self.dense_model is None:
            problems.append("dense is above 0 and dense_model is not given: the encoder that ranks")
        if self.dense_model is not None and not self.dense:
            problems.append(
                f"dense_model is {self.dense_model!r} and dense 0: the number of negatives was expected "
                "that it gives"
            )
        if self.dense_nearest not in {"exact", "hnsw"}:
            problems.append(f"dense_nearest is {self.dense_nearest!r}, exact or hnsw was expected")
        if not 0 <= self.least_score < self.most_score <= 1:
            problems.append(
                f"least_score is {self.least_score:g} and most_score {self.most_score:g}; shares of the best "
                "score were expected, the least below the most"
            )
        if self.near_duplicates is not None and not 0 < self.near_duplicates <= 1:
            problems.append(
                f"near_duplicates is {self.near_duplicates:g}, a resemblance above 0 and up to 1 was expected"
            )
        if not 0 <= self.denoise_margin < 1:
            problems.append(f"denoise_margin is {self.denoise_margin:g}, a share below 1 was expected")
        if self.denoise == "none" and self.denoise_margin != MineSettings.denoise_margin:
            problems.append(
                f"denoise_margin is {self.denoise_margin:g} and denoise none: a model was expected, of whose "
                f"scores it is a share, or a margin of {MineSettings.denoise_margin:g}"
            )
        problems += self._idle()
        if problems:
            raise InputError("; ".join(problems))

    @property
    def denoise_model(self) -> str | None:
        """The model that filters, where one is named."""
        return None if self.denoise in {"auto", "none"} else self.denoise

    @property
    def models(self) -> tuple[str | None, str | None]:
        """Those that filter and that rank, as far as they are named."""
        return self.denoise_model, self.dense_model

    def from_anywhere(self) -> "MineSettings":
        """The same, with the folders of its models by paths that lead there from any folder."""
        denoise, dense_model = self.denoise_model, self.dense_model
        return replace(
            self,
            denoise=self.denoise if denoise is None else from_anywhere(denoise),
            dense_model=None if dense_model is None else from_anywhere(dense_model),
        )

    def _idle(self) -> Iterator[str]:
        """What is asked of a ranking that gives no negative."""
        by_bm25 = self.negatives - self.random - self.dense
        windows = [*(() if by_bm25 > 0 else _OF_BM25), *(() if by_bm25 + self.dense > 0 else _OF_RANKINGS)]
        asked = [name for name in windows if getattr(self, name) != getattr(MineSettings, name)]
        if asked:
            chosen = ", ".join(f"{name} {getattr(self, name)}" for name in asked)
            yield (
                f"{chosen}: negatives of {'BM25' if self.dense else 'a ranking'} were expected, and all "
                f"{self.negatives} are random{' or dense' if self.dense else ''}; leave it out, or raise "
                "negatives"
            )
