"""What is wrong with a run, in words and with a remedy, from the monitor's records."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from textrip.errors import TextripError
from textrip.training.monitor import Cost

Entry = dict[str, Any]


NOT_A_NUMBER = "not a number"


class DivergedError(TextripError):
    """The loss, or a weight, is no longer a number."""


class OutOfMemoryError(TextripError):
    """Another training, with less at a time, may fit."""


@dataclass(frozen=True)
class Diagnosis:
    """A name, what was seen, and what to do."""

    name: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}; {self.remedy}"


# A spread below this share of the untuned encoder's is a collapse, and so is what float32 cannot tell from
# 0. A share alone: the vectors of a plain language model may lie within a thousandth of one another, and
# spread as they are trained.
_COLLAPSED_SHARE, _NO_SPREAD = 0.1, 1e-6
_EXPLODING = 20.0
_EASY = 0.02
_INVERTED = 0.75


def not_a_number(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """The loss is NaN or infinite, and where that came from."""
    now = entries[-1]
    if math.isfinite(now["loss"]):
        return None
    where = {
        "vectors": "the encoder's own vectors are not finite",
        "loss": "the vectors are finite and the loss is not",
    }[now["broken"]]
    if len(entries) == 1:
        origin = "look at the base's weights, or lower --learning-rate"
    else:
        origin = f"the steps up to {entries[-2]['step']} were in order: lower --learning-rate"
    return Diagnosis(NOT_A_NUMBER, f"by step {now['step']} {where}", origin)


def collapsed(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """All vectors are alike: the loss is the margin, its gradient is nothing."""
    # Of the last batches: in the mean over the steps since the last record those before hide it.
    now, spread = entries[-1], entries[-1]["spread_last"]
    # The first batch is encoded before the first step.
    before = next((entry["spread_before"] for entry in entries if entry["spread_before"] is not None), 0.0)
    if spread is None or spread > max(_NO_SPREAD, _COLLAPSED_SHARE * before):
        return None
    return Diagnosis(
        "collapsed",
        f"the mean distance between two documents fell from {before:.2g} to {spread:.2g}, "
        f"the loss is {now['loss']:.3g} at margin {cost.margin:g}",
        "begin with --strategy semi-hard or mined, a lower --learning-rate and a longer --warmup-share",
    )


def impossible_margin(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """No two texts are as far apart as the margin asks."""
    now = entries[-1]
    if not now["largest_distance"] < cost.margin:
        return None
    return Diagnosis(
        "margin cannot be met",
        f"margin is {cost.margin:g}, the largest distance of the last batches {now['largest_distance']:.3g}",
        "lower --margin, or leave it at auto",
    )


def all_easy(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """Nearly no triple costs anything."""
    shares = [entries[-1][name] for name in ("active_mined", "active_in_batch")]
    known = [share for share in shares if share is not None]
    if not known or max(known) > _EASY or cost.softness is None:
        return None
    if cost.softness and entries[-1]["loss"] > _EASY * cost.softness:  # it pulls on beyond its margin
        return None
    return Diagnosis(
        "all easy",
        f"at most {max(known):.1%} of the triples cost anything",
        "mine again with harder negatives (--skip 0, more --negatives), or raise --margin",
    )


def one_class(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """The anchors of a batch have no negatives: everything in it is relevant for everyone."""
    share = entries[-1]["anchors_without_negatives"]
    rest = entries[-1]["batches"] == 1 and len(entries) > 1  # an epoch's last batch may be a query alone
    if not share or share < 1 - 1e-9 or rest:
        return None
    return Diagnosis(
        "one class per batch",
        "no anchor of the last batches had a negative: all their documents are judged relevant",
        "raise --batch-queries or --negatives, and look at the judgments",
    )


def inverted(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """The mined negatives are nearer than the positives."""
    share = entries[-1]["inverted_mined"]
    if share is None or share < _INVERTED:
        return None
    return Diagnosis(
        "negatives nearer than positives",
        f"in {share:.0%} of the mined triples",
        "are positive and negative swapped? else they are relevant and were never judged: "
        "mine with --denoise, --skip the first ranks, or train with --strategy in-batch",
    )


def exploding(entries: Sequence[Entry], cost: Cost) -> Diagnosis | None:
    """The gradient is far larger than it was."""
    # Those up to a collapse are of vectors that had no gradient left, and of weights that were rolled back.
    begun = next((at for at in range(len(entries), 0, -1) if collapsed(entries[:at], cost) is not None), 0)
    norms = [entry["grad_norm"] for entry in entries[begun:] if entry.get("grad_norm") is not None]
    if len(norms) < 3:  # with fewer there is no usual size
        return None
    usual = sorted(norms[:-1])[len(norms[:-1]) // 2]
    if not norms[-1] > _EXPLODING * max(usual, 1e-3):
        return None
    return Diagnosis(
        "exploding",
        f"the gradient's norm is {norms[-1]:.3g}, usual is {usual:.3g}",
        "lower --learning-rate or --max-gradient-norm",
    )


DIAGNOSES: tuple[Callable[[Sequence[Entry], Cost], Diagnosis | None], ...] = (
    not_a_number, collapsed, impossible_margin, one_class, all_easy, inverted, exploding,
)  # fmt: skip


def diagnose(entries: Sequence[Entry], cost: Cost) -> list[Diagnosis]:
    """Everything that is wrong by the newest of a run's records.

    Args:
        entries: The records so far, at least one.
        cost: The loss's.
    """
    examined = (examine(entries, cost) for examine in DIAGNOSES)
    diagnoses = [diagnosis for diagnosis in examined if diagnosis is not None]
    for alone in (NOT_A_NUMBER, "collapsed"):  # what else is wrong comes of it, and has other remedies
        found = [diagnosis for diagnosis in diagnoses if diagnosis.name == alone]
        if found:
            return found
    return diagnoses
