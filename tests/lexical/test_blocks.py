"""Cutting into terms on several processes: the same counts as on one, and nothing left behind."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from textrip.lexical import blocks as blocks_module
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.blocks import Analyzed
from textrip.lexical.bm25 import BM25Okapi
from textrip.lexical.counting import count_in_chunks, count_terms


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "_DOCUMENTS_A_BLOCK", 70)
    monkeypatch.setattr(blocks_module, "_PARALLEL_FROM", 300)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    draw = np.random.default_rng(0)
    words = [f"wörd{number}ing" for number in range(500)] + ["The", "Running"]
    return [" ".join(draw.choice(words, draw.integers(0, 30))) for _ in range(2000)]


@pytest.mark.parametrize("stemmer", ["english", "none"])
def test_several_processes_count_as_one(stemmer: str, texts: list[str]) -> None:
    analyzer = Analyzer.for_language(stemmer)
    one = count_terms(Analyzed(texts, analyzer, workers=1).blocks())
    some = count_terms(Analyzed(iter(texts), analyzer, workers=3).blocks())
    assert list(one.vocabulary.items()) == list(some.vocabulary.items())
    for ours, theirs in zip(one[1:], some[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    plain = BM25Okapi([analyzer(text) for text in texts])
    asked = analyzer("wörd3ing wörd7ing running")
    np.testing.assert_array_equal(
        BM25Okapi(Analyzed(texts, analyzer, workers=2)).get_scores(asked), plain.get_scores(asked)
    )


def test_chunks_end_with_a_block(texts: list[str]) -> None:
    chunks = list(count_in_chunks(Analyzed(texts, Analyzer(), workers=1).blocks(), tokens=3000))
    assert len(chunks) > 3
    assert all(len(chunk.lengths) % 70 == 0 for chunk in chunks[:-1])
    assert sum(len(chunk.lengths) for chunk in chunks) == len(texts)


def children() -> list[str]:
    """The command lines of loky's workers that are there."""
    alive = [
        " ".join(child.cmdline())
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    ]
    return [line for line in alive if "loky" in line and "resource_tracker" not in line]


def test_few_documents_start_no_process(texts: list[str]) -> None:
    found = Analyzed(texts[:299], Analyzer(), workers=2).blocks()
    next(found)
    assert children() == []


def test_who_stops_in_the_middle_leaves_no_process(texts: list[str]) -> None:
    found = Analyzed(texts, Analyzer(), workers=2).blocks()
    next(found)
    assert len(children()) == 2
    found.close()  # type: ignore[attr-defined]
    assert children() == []


def test_an_error_of_the_texts_is_told_and_leaves_no_process(texts: list[str]) -> None:
    def damaged() -> Iterator[str]:
        yield from texts[:600]
        raise ValueError("line 601")

    with pytest.raises(ValueError, match="line 601"):
        list(Analyzed(damaged(), Analyzer(), workers=2).blocks())
    assert children() == []


def test_a_program_without_a_main_guard(tmp_path: Path) -> None:
    """Processes that begin by running the program again would begin for ever."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            from textrip.lexical import blocks
            from textrip.lexical.analyzer import Analyzer
            blocks._PARALLEL_FROM = blocks._DOCUMENTS_A_BLOCK = 10
            found = blocks.Analyzed(["rose"] * 100, Analyzer(), workers=2).blocks()
            print(sum(len(block.lengths) for block in found))
        """),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("100\n", "", 0)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            from itertools import repeat
            from textrip.lexical import blocks
            from textrip.lexical.analyzer import Analyzer
            blocks._PARALLEL_FROM = blocks._DOCUMENTS_A_BLOCK = 10
            found = blocks.Analyzed(repeat("rose"), Analyzer(), workers=2).blocks()
            next(found)
            print("ready", flush=True)
            list(found)
        """),
        encoding="utf-8",
    )
    parent = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    workers = [
        child for child in psutil.Process(parent.pid).children(recursive=True)
        if "popen_loky" in " ".join(child.cmdline())
    ]  # fmt: skip
    assert len(workers) == 2
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
