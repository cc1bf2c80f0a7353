"""What a check finds, how grave it is, and how it is told."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from textrip.errors import InputError

Level = Literal["error", "warning", "note"]
_EXAMPLES = 3
_SHOWN = 80


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: error, warning or note.
        kind: Its name, for a program.
        count: How many of it.
        message: What it means and what to do, for a person.
        examples: The first few.
    """

    level: Level
    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "examples": list(self.examples)}

    def __str__(self) -> str:
        # A line each, whatever text is in it: a text is no place for lines that look like ours.
        examples = "".join(f"\n    {' '.join(example.split())}" for example in self.examples)
        return f"{self.level}: {self.message}{examples}"


@dataclass
class Told:
    """A count of what may be millions, and the first few of it."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """One more."""
        self.count += 1
        if self.count <= _EXAMPLES:
            self.examples.append(example)

    def findings(self, level: Level, kind: str, message: str) -> list[Finding]:
        """The finding of it; none where there is none."""
        return [Finding(level, kind, self.count, message, tuple(self.examples))] if self.count else []


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, notes; of a level in the order that they had."""
    return sorted(findings, key=lambda finding: get_args(Level).index(finding.level))


def require_sound(findings: Iterable[Finding], *, force: bool) -> None:
    """Raise InputError where there is an error among the findings, and force does not allow it."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors and not force:
        examples = "; ".join(errors[0].examples[:1])
        more = f" (and {len(errors) - 1} more, see textrip check)" if len(errors) > 1 else ""
        raise InputError(f"{errors[0].message}{more}: {examples}; --force goes on all the same")


def summary(findings: Iterable[Finding]) -> Counter[str]:
    """How many findings there are of each level."""
    return Counter(finding.level for finding in findings)


def many(count: int, one: str, several: str) -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else several}"


def some(examples: Iterable[str]) -> tuple[str, ...]:
    """The first few."""
    return tuple(example for example, _ in zip(examples, range(_EXAMPLES), strict=False))


def short(text: str) -> str:
    """A text as an example shows it: on one line, cut."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
