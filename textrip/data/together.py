"""Which texts may not be cut apart: nearly the same ones, and those that a link holds together."""

from collections.abc import Hashable, Iterable, Mapping

from textrip.data.finding import many
from textrip.data.near_duplicates import near_duplicates
from textrip.data.words import folded, normalised, words
from textrip.progress import say


def near_duplicate_key(text: str) -> str:
    """Equal for texts that differ in case, punctuation, order and repetition of words alone."""
    return " ".join(sorted(set(words(folded(text))))) or normalised(text)


def hanging_together(
    texts: Mapping[str, str], links: Mapping[str, Iterable[Hashable]], *, most: int, what: str
) -> dict[str, str]:
    """From item to the smallest item that it hangs together with.

    Texts that are nearly the same hang together, as far as no more than `most` items do: all texts of one
    template would be one group, and nothing could be cut.

    Args:
        texts: The items that have a text, in whatever order.
        links: Every item, and what it shares with others; one that is shared holds together whatever `most`.
        most: In one group.
        what: They are, in the plural, for who reads what was cut apart.
    """
    linked = _Linked(links)
    first_with: dict[Hashable, str] = {}
    for item, shared in links.items():
        for link in shared:
            linked.join(first_with.setdefault(link, item), item)
    items = sorted(texts)  # in whatever order they came
    pairs = near_duplicates(
        (texts[item] for item in items), progress=f"looking for near-duplicate {what}", total=len(items)
    )
    apart = 0
    for pair in sorted(pairs, key=lambda pair: (-pair.resemblance, pair.first, pair.second)):
        apart += not linked.join(items[pair.first], items[pair.second], most=most)
    if apart:
        say(
            f"{many(apart, 'pair', 'pairs')} of nearly the same {what} may be cut apart: kept together they "
            f"would be more than {most:,} in one piece"
        )
    return {item: linked.root(item) for item in links}


class _Linked:
    """Items that hang together (union-find); the smallest stands for all."""

    def __init__(self, items: Iterable[str]) -> None:
        self._parent = {item: item for item in items}
        self._sizes = dict.fromkeys(self._parent, 1)

    def root(self, item: str) -> str:
        """The item that stands for all that hangs together with this one."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: str, other: str, *, most: int | None = None) -> bool:
        """Hang two together, where that does not become more than `most`; whether they do now."""
        low, high = sorted((self.root(one), self.root(other)))
        if low == high:
            return True
        size = self._sizes[low] + self._sizes[high]
        if most is not None and size > most:
            return False
        self._parent[high] = low
        self._sizes[low] = size
        return True
