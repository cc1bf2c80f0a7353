"""How triples are mined: one frozen record, checked once, saved with the triples."""

from dataclasses import dataclass

from textrip.errors import InputError


@dataclass(frozen=True, kw_only=True)
class MineSettings:
    """How negatives are chosen.

    Attributes:
        split: Whose judgments are used.
        negatives: How many negatives a group gets at most; fewer where BM25 finds fewer.
        depth: How deep in BM25's ranking a negative may stand.
        skip: How many ranks from the top are passed over (they hold unjudged relevant documents).
        sample: Draw the negatives from the window at random; else the hardest are taken.
        positives: How many groups a query gives at most, one for each positive, drawn at random: else the
            queries with a hundred positives own the loss.
        per_document: A document is the positive of at most so many groups, drawn at random; all where None.
            Else the documents that answer everything own the loss.
        queries: How many queries are used at most, drawn at random; all where None.
        seed: For every draw.
    """

    split: str = "train"
    negatives: int = 1
    depth: int = 100
    skip: int = 0
    sample: bool = False
    positives: int = 4
    per_document: int | None = None
    queries: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}, at least {least} was expected"
            for name, least in (("negatives", 1), ("depth", 1), ("skip", 0), ("positives", 1))
            if getattr(self, name) < least
        ]
        problems += [
            f"{name} is {value}, at least 1 was expected"
            for name, value in (("queries", self.queries), ("per_document", self.per_document))
            if value is not None and value < 1
        ]
        if self.skip >= self.depth:
            problems.append(f"skip is {self.skip} and depth {self.depth}: no rank is left between them")
        if problems:
            raise InputError("; ".join(problems))
