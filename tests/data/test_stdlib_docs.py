"""The embedded collection: pairs out of docstrings, no module on both sides."""

from pathlib import Path

import pytest

from textrip.data.stdlib_docs import read_stdlib
from textrip.data.words import normalised
from textrip.errors import InputError

SOURCE = '''
"""One line."""

def wide():
    """Make something wide again.

    The body has more than twelve words, so that it says something worth finding, we hope.
    """

class Box:
    """A box of things that
    runs on into a second line.

    The body has more than twelve words, so that it says something worth finding, we hope.
    """
    if True:
        def lid(self):
            """Open the lid slowly.

            Another body of more than twelve words, about the lid and what lies under it.
            """
        def copy(self):
            """Copy the body above.

            Another body of more than twelve words, about the lid and what lies under it.
            """
'''


def test_a_docstring_becomes_a_query_and_a_document(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_x.py").write_text(SOURCE)
    collection = read_stdlib(tmp_path)
    assert collection.query_texts == {
        "shapes.wide": "Make something wide again.",
        "shapes.Box.lid": "Open the lid slowly.",
    }
    assert collection.doc_ids == ["shapes.wide", "shapes.Box.lid"]
    assert "Make something" not in " ".join(collection.texts)


def test_the_running_pythons_library() -> None:
    collection = read_stdlib()
    assert len(collection.corpus) > 1000
    assert {split: len(judged) > 100 for split, judged in collection.qrels.items()} == {
        "train": True, "dev": True, "test": True,
    }  # fmt: skip
    modules = {
        split: {collection.groups[query] for query in judged} for split, judged in collection.qrels.items()
    }
    assert not modules["train"] & modules["test"]
    assert not modules["train"] & modules["dev"]
    assert not modules["dev"] & modules["test"]
    texts = {
        split: {normalised(text) for text in collection.queries_of(split).values()}
        for split in collection.qrels
    }
    assert not texts["train"] & texts["test"]


def test_a_python_without_sources_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no Python sources with docstrings"):
        read_stdlib(tmp_path)
