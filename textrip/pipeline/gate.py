"""The gate: whether the tuning helped, by the queries of the test split."""

from typing import Literal

from textrip.eval.evaluate import Evaluation
from textrip.eval.significance import ALPHA, Difference, paired_difference

Verdict = Literal["IMPROVED", "NO DIFFERENCE", "REGRESSION"]


def difference_of(evaluation: Evaluation) -> Difference:
    """Of nDCG@10, the system `tuned` against `untuned`, query by query."""
    before, after = (evaluation[system].values["nDCG@10"] for system in ("untuned", "tuned"))
    return paired_difference(before, after)


def verdict_of(difference: Difference) -> Verdict:
    """A difference that chance would give once in twenty times is none."""
    if difference.p >= ALPHA:
        return "NO DIFFERENCE"
    return "IMPROVED" if difference.mean > 0 else "REGRESSION"
