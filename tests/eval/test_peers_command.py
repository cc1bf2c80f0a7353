"""`python -m textrip.eval.peers`: bad input is one line and exit code 2, before anything is measured."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from textrip.encoding.vectors import write_vectors
from textrip.errors import InputError, MismatchError, MissingDependencyError, StorageError, TextripError
from textrip.eval.peers.__main__ import main


@pytest.mark.parametrize(("words", "reason"), [
    (["mining", "--data", "nowhere"], "nowhere: no such file or folder"),
    (["cold", "--data", "nowhere"], "nowhere: no such file or folder"),
    (["encoding", "--data", "nowhere"], "nowhere: no such file or folder"),
    (["search", "--vectors", "nowhere.npy"], "nowhere.npy: no such file"),
    (["search", "--vectors", "few.npy", "--queries", "5"], "none is left to be searched; ask fewer"),
    (["mining", "--plot", "speed.txt"], "speed.txt: a picture's name ends in one of .png, .svg, .pdf"),
    (["mining", "--plot", "folder"], "folder: is a folder, a file was expected"),
    (["mining", "--json", "folder"], "folder: is a folder, a file was expected"),
    (["mining", "--json", "few.npy/rows.json"], "few.npy is not a folder"),
])  # fmt: skip
def test_bad_input_is_one_line(
    words: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    write_vectors(tmp_path / "few.npy", "abcde", [np.eye(5, dtype=np.float32)], fingerprint="f", encoder="e")
    monkeypatch.setattr(sys, "argv", ["peers", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.startswith("Error: ")
    assert len(said.splitlines()) == 1


def test_a_way_to_search_that_is_none_is_bad_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers", "search", "--vectors", "x.npy", "--kind", "tree"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "'tree' is none of: exact, hnsw, int8, binary" in capsys.readouterr().err


@pytest.mark.parametrize("error", [
    InputError("a"), MismatchError("b"), StorageError("c"),
    MissingDependencyError("peft", purpose="lora_rank", extra="lora"),
])  # fmt: skip
def test_an_error_comes_out_of_another_process_as_it_was(error: TextripError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
