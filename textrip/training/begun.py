"""What goes on has to go on as it was begun: which of what was asked differs, told by its name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textrip.errors import MismatchError

# What is no setting, and is no better told by two digests.
_IN_WORDS = {
    "base": "base encoder",
    "collection_sha256": "collection (its texts or judgments differ)",
    "triples_sha256": "set of triples (options of mining, the base or the data differ)",
}

# What runs were begun without, before it was kept.
_LATER = {"dev_search", "mining", "analyzer"}

# What is in them has names of its own: those of the options.
_WITHOUT_A_NAME = {"settings", "mining"}


def require_same(begun: Mapping[str, Any], asked: Mapping[str, Any], *, place: Path, kind: str) -> None:
    """Raise MismatchError where something is asked now that was not asked then.

    Args:
        begun: What was asked then; it may hold more.
        asked: What is asked now, as JSON gives it back.
        place: The folder of what was begun.
        kind: What it is: a run, a study.
    """
    # The seed is one, and stands with the settings of the training and of the mining.
    different = list(dict.fromkeys(_different(begun, asked)))
    if different:
        raise MismatchError(
            f"{place} was begun with another {' and another '.join(different)}; "
            f"a {kind} can only go on as it was begun"
        )


def _different(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for name, now in asked.items():
        if name in _LATER and name not in begun:
            continue
        then = begun.get(name, False if now is False else None)  # a switch of later was off
        if isinstance(then, Mapping) and isinstance(now, Mapping):
            within = "" if name in _WITHOUT_A_NAME else f"{name}."
            yield from (f"{within}{what}" for what in _different(then, now))
        elif then != now:
            yield _IN_WORDS.get(name) or f"{name} ({then!r}, now {now!r})"
