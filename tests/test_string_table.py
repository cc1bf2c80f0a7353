"""A table finds what a sorted list finds."""

import bisect
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textrip.string_table import StringTable

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(held=st.sets(TEXT, max_size=20), asked=st.lists(TEXT, max_size=10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_finds_what_a_sorted_list_finds(held: set[str], asked: list[str], tmp_path: Path) -> None:
    ordered = sorted(held)
    StringTable.of(ordered).save(tmp_path, "t")
    for table in (StringTable.of(ordered), StringTable.open(tmp_path, "t")):
        assert list(table) == ordered
        assert table[1:3] == ordered[1:3]
        for string in [*asked, *ordered]:
            assert table.place_of(string) == bisect.bisect_left(ordered, string)
            assert table.find(string) == (ordered.index(string) if string in held else None)
