"""Near-duplicates are those of a loop over all pairs, and copies cost no square."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from textrip.data.formats import read
from textrip.data.near_duplicates import (
    Pair,
    _Proposals,
    alike,
    near_duplicates,
    numbers_of,
    resemblance,
    shingles,
)
from textrip.data.signatures import Signatures

WORDS = [f"word{number}" for number in range(200)]


def text_of(seed: int, words: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(words))


def in_numbers(text: str) -> NDArray[np.uint32]:
    return numbers_of(shingle.encode() for shingle in shingles(text))


def changed(text: str, seed: int, times: int) -> str:
    draw, words = random.Random(seed), text.split()
    for _ in range(times):
        words[draw.randrange(len(words))] = f"new{draw.random()}"
    return " ".join(words)


def test_shingles_are_three_words_in_a_row_without_case_and_punctuation() -> None:
    assert shingles("The rose, the TULIP! and") == {"the rose the", "rose the tulip", "the tulip and"}
    assert shingles("Rose") == {"rose"}
    assert shingles("") == {""}
    assert shingles("?!") != shingles("...")


def test_resemblance_is_the_jaccard_index() -> None:
    one, other = numbers_of([b"a", b"b", b"c", b"d"]), numbers_of([b"c", b"d", b"e", b"f"])
    assert resemblance(one, other) == 2 / 6
    assert resemblance(one, one) == 1.0


@given(st.frozensets(st.integers(0, 9), min_size=1), st.frozensets(st.integers(0, 9), min_size=1))
def test_sizes_tell_nothing_wrong(one: frozenset[int], other: frozenset[int]) -> None:
    first, second = (np.array(sorted(numbers), dtype=np.uint32) for numbers in (one, other))
    assert resemblance(first, second) == len(one & other) / len(one | other)
    for threshold in (0.2, 0.5, 0.8, 1.0):
        assert alike(first, second, threshold) == (resemblance(first, second) >= threshold)


def test_found_pairs_are_those_of_all_pairs_compared() -> None:
    texts = [text_of(seed) for seed in range(150)]
    texts += [changed(texts[seed], seed, seed % 7) for seed in range(60)]
    held = [in_numbers(text) for text in texts]
    expected = {
        (one, other): resemblance(held[one], held[other])
        for other in range(len(texts))
        for one in range(other)
        if resemblance(held[one], held[other]) >= 0.8
    }
    found = {(pair.first, pair.second): pair.resemblance for pair in near_duplicates(texts)}
    assert len(expected) >= 20
    assert set(found) <= set(expected)
    assert len(found) >= 0.95 * len(expected)  # just above the threshold MinHash may miss one
    for pair, value in found.items():
        assert value == pytest.approx(expected[pair])


def test_copies_are_pairs_with_the_first_of_them_alone() -> None:
    copies = ["Rose and  tulip in the garden"] * 3 + ["rose AND tulip in the garden", text_of(1)]
    assert list(near_duplicates(copies)) == [Pair(0, place, 1.0) for place in (1, 2, 3)]


def test_texts_without_a_word_and_no_texts() -> None:
    assert list(near_duplicates(["", "", "?"])) == [Pair(0, 1, 1.0)]
    assert list(near_duplicates([])) == []


def test_nfcorpus_has_the_same_papers_twice(real_data: Path) -> None:
    texts = read(real_data / "nfcorpus").texts
    pairs = list(near_duplicates(texts))
    assert len(pairs) > 30
    held = {place: in_numbers(texts[place]) for pair in pairs for place in pair[:2]}
    assert all(resemblance(held[pair.first], held[pair.second]) >= 0.8 for pair in pairs)


def test_texts_of_a_template_below_the_threshold_cost_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each was measured against all the others: 4,000 texts took a minute, 100,000 would have taken hours."""
    boilerplate = " ".join(f"common{number}" for number in range(60))
    texts = [f"{boilerplate} {' '.join(f'u{row}x{n}' for n in range(8))}" for row in range(700)]
    copies = {700: 3, 701: 300}  # proposed by four rows, and by sixteen
    texts += [texts[row].replace("x7", "x8") for row in copies.values()]
    measured: list[int] = []

    def counted(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
        measured.append(1)
        return resemblance(one, other)

    monkeypatch.setattr("textrip.data.near_duplicates.resemblance", counted)
    pairs = list(near_duplicates(texts))
    assert len(measured) <= 32 * len(texts)
    nearest = {pair.second: pair.first for pair in pairs if pair.resemblance > 0.9}
    assert nearest == copies


def test_a_corpus_of_one_template_is_held_in_part_alone() -> None:
    signatures = Signatures()
    for row in range(900):
        signatures.append(in_numbers(" ".join([*(f"common{n}" for n in range(95)), f"own{row}"])))
    proposals = _Proposals(signatures)
    assert len(list(proposals)) == 900
    assert 128 < len({row for rows in proposals._kept.values() for row in rows}) < 400


def test_what_shares_a_band_is_what_datasketch_finds() -> None:
    """Its index proposes the same texts, one after the other."""
    texts = [text_of(seed % 90, 20 + seed % 7) for seed in range(300)]
    texts += [changed(texts[seed], seed, seed % 9) for seed in range(120)]
    signatures = Signatures()
    indexes = [MinHashLSH(num_perm=64, params=params) for params in ((16, 4), (4, 16))]
    expected = []
    for place, text in enumerate(texts):
        signatures.append(in_numbers(text))
        signature = MinHash(num_perm=64, hashfunc=int)
        signature.update_batch(in_numbers(text).tolist())
        assert (signatures.of(np.array([place])) == signature.hashvalues).all()
        expected.append([set(index.query(signature)) for index in indexes])
        for index in indexes:
            index.insert(place, signature)
    members: dict[int, set[int]] = {}
    found = [[set[int](), set[int]()] for _ in texts]
    for place, *bands in signatures.shared_bands():
        found[place] = [{other for band in sort for other in members.get(band, ())} for sort in bands]
        for band in bands[0] + bands[1]:
            members.setdefault(band, set()).add(place)
    assert found == expected
    assert sum(map(bool, (coarse for coarse, _ in expected))) > 100


def test_a_long_text_has_the_signature_that_it_has_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces = Signatures(), Signatures()
    whole.append(in_numbers(text_of(1)))
    monkeypatch.setattr("textrip.data.signatures._AT_ONCE", 7)
    pieces.append(in_numbers(text_of(1)))
    assert (whole.of(np.array([0])) == pieces.of(np.array([0]))).all()


def test_a_text_that_is_like_no_other_takes_little_memory() -> None:
    """Of 60 words 800 bytes and less; in datasketch's index it took 7,000."""
    list(near_duplicates([text_of(0)]))  # what is imported is not counted
    tracemalloc.start()
    list(near_duplicates(text_of(seed) for seed in range(500)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / 500 < 1600
