"""What was encoded before a stop is not encoded again, and the output is that of one run."""

import random
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import build_cross_encoder
from tests.encoding.kept_worker import TEXTS, WINDOW
from tests.killing import killed
from tests.retrieval.stub import StubEncoder
from textrip.encoding import text_encoder
from textrip.encoding.kept import is_keeping, keeping
from textrip.encoding.vectors import read_vectors
from textrip.errors import InputError, StorageError
from textrip.mining.scoring import load_scorer

WORKER = "tests.encoding.kept_worker"
TEXTS_HERE = [f"rose {number}" for number in range(100)]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoder, "WINDOW", 20)


def stopped_after(windows: int, output: Path) -> StubEncoder:
    """An encoder that was interrupted after so many windows of TEXTS_HERE."""
    encoder = StubEncoder()
    with pytest.raises(KeyboardInterrupt), keeping(output):
        for number, _ in enumerate(encoder.encode_stream(TEXTS_HERE), start=1):
            if number == windows:
                raise KeyboardInterrupt
    assert encoder.texts == 20 * windows
    return encoder


def test_a_run_goes_on_where_another_was_stopped(tmp_path: Path) -> None:
    output = tmp_path / "v.npy"
    whole = StubEncoder().encode(TEXTS_HERE)
    stopped_after(3, output)
    assert [path.name for path in tmp_path.iterdir()] == [".v.npy.kept"]
    encoder = StubEncoder()
    with keeping(output):
        np.testing.assert_array_equal(encoder.encode(TEXTS_HERE), whole)
    assert encoder.texts == 40
    assert list(tmp_path.iterdir()) == []
    assert not is_keeping()


class OtherRuntime(StubEncoder):
    """The same fingerprint, run by something else."""


def test_a_signal_at_the_end_leaves_nothing_unsaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """It came while what was kept was removed: half of it stayed, and nobody said so."""
    remove = shutil.rmtree

    def signalled(folder: Path, **how: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(folder, **how)

    monkeypatch.setattr("textrip.encoding.kept.shutil.rmtree", signalled)
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, heard))
    with pytest.raises(KeyboardInterrupt), keeping(tmp_path / "out"):
        StubEncoder().encode([f"text {n}" for n in range(40)])
    assert list(tmp_path.iterdir()) == []


def test_only_the_same_texts_by_the_same_encoder_are_taken(tmp_path: Path) -> None:
    output = tmp_path / "v.npy"
    stopped_after(3, output)
    elsewhere = OtherRuntime()
    with pytest.raises(KeyboardInterrupt), keeping(output):
        elsewhere.encode(TEXTS_HERE)
        assert elsewhere.texts == 100
        raise KeyboardInterrupt
    other = StubEncoder()
    other.fingerprint = "another"
    with pytest.raises(KeyboardInterrupt), keeping(output):
        other.encode(TEXTS_HERE)
        assert other.texts == 100
        encoder = StubEncoder()
        encoder.encode(TEXTS_HERE, kind="query")
        assert encoder.texts == 100
        encoder.encode(["new", *TEXTS_HERE])  # every window is another one
        assert encoder.texts == 201
        encoder.encode(TEXTS_HERE[:60])
        assert encoder.texts == 201
        raise KeyboardInterrupt


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_file_is_worked_out_again(damage: str, tmp_path: Path) -> None:
    output = tmp_path / "v.npy"
    whole = StubEncoder().encode(TEXTS_HERE)
    stopped_after(3, output)
    damaged = next((tmp_path / ".v.npy.kept").iterdir())
    content = damaged.read_bytes()
    broken = {"flipped": content[:-1] + bytes([content[-1] ^ 1]), "cut": content[:-9], "empty": b""}
    damaged.write_bytes(broken[damage])
    encoder = StubEncoder()
    with keeping(output):
        np.testing.assert_array_equal(encoder.encode(TEXTS_HERE), whole)
    assert encoder.texts == 60


def test_nothing_that_is_kept_is_not_told(tmp_path: Path, remarks: list[str]) -> None:
    """The disk took no window: an empty folder stayed, and was said to hold what was encoded."""
    folder = tmp_path / ".v.npy.kept"
    with pytest.raises(StorageError), keeping(tmp_path / "v.npy"):
        assert folder.is_dir()
        raise StorageError("the disk is full")
    assert (remarks, folder.exists()) == ([], False)
    for error, how in (
        (KeyboardInterrupt(), ""),
        (InputError("none"), "once that is mended, "),
    ):
        with pytest.raises(type(error)), keeping(tmp_path / "v.npy"):
            StubEncoder().encode(TEXTS_HERE)
            raise error
        kept = f"what was encoded is kept in {folder}"
        assert remarks.pop() == f"{kept}; {how}the same command goes on from there"


def test_a_cross_encoders_scores_are_kept(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_cross_encoder(tiny_encoder_folder, tmp_path / "cross")
    pairs = [("rose", place) for place in range(100)]
    monkeypatch.setattr("textrip.mining.scoring._PAIRS_A_CHUNK", 30)
    expected = load_scorer(str(folder), device="cpu").scores(pairs, TEXTS_HERE)
    with pytest.raises(KeyboardInterrupt), keeping(tmp_path / "t"):
        load_scorer(str(folder), device="cpu").scores(pairs[:60], TEXTS_HERE)
        raise KeyboardInterrupt
    with keeping(tmp_path / "t"):
        scorer = load_scorer(str(folder), device="cpu")
        asked: list[int] = []
        predict = scorer.model.predict  # type: ignore[attr-defined]

        def counted(chunk: list[tuple[str, str]], **how: Any) -> Any:
            asked.append(len(chunk))
            return predict(chunk, **how)

        monkeypatch.setattr(scorer.model, "predict", counted)  # type: ignore[attr-defined]
        np.testing.assert_allclose(scorer.scores(pairs, TEXTS_HERE), expected, atol=1e-6)
    assert asked == [30, 10]


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_again_and_again(kills: int, tmp_path: Path) -> None:
    draw = random.Random(kills)
    done = sum(killed(WORKER, tmp_path, seconds=draw.uniform(0, 1.2 / kills)) for _ in range(kills))
    while not (tmp_path / "vectors.npy").exists():
        killed(WORKER, tmp_path, seconds=60)
    encoded = sum(int(line) for line in (tmp_path / "notes.txt").read_text(encoding="utf-8").split())
    assert encoded <= TEXTS + (kills - done) * WINDOW
    whole = tmp_path / "whole"
    whole.mkdir()
    assert killed(WORKER, whole, seconds=60)
    assert (tmp_path / "vectors.npy").read_bytes() == (whole / "vectors.npy").read_bytes()
    assert read_vectors(tmp_path / "vectors.npy").ids == list(map(str, range(TEXTS)))
    assert not list(tmp_path.glob(".vectors.npy.kept"))


def test_what_a_killed_process_had_half_written_goes_and_two_do_not_write_one_file(tmp_path: Path) -> None:
    output = tmp_path / "v.npy"
    left = tmp_path / ".v.npy.0123abcd.tmp"
    left.write_bytes(b"half")
    with keeping(output):
        assert not left.exists()
        left.write_bytes(b"of the one that writes")
        with pytest.raises(StorageError, match=r"another process is writing v\.npy"), keeping(output):
            pytest.fail("two of them write")
        assert left.exists()
        left.unlink()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError), keeping(output):
        raise InputError("before anything was encoded")
    assert list(tmp_path.iterdir()) == []
