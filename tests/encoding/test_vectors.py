"""Vectors on disk: what was written reads back equal, damage is noticed, nothing half-written is left."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from textrip import replacing
from textrip.encoding.vectors import read_vectors, sidecar, write_vectors
from textrip.errors import InputError, StorageError


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@given(
    windows=st.lists(
        hnp.arrays(np.float32, (3, 5), elements=st.floats(-1, 1, width=32)), min_size=1, max_size=4
    ),
    last=st.integers(1, 3),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(suffix: str, windows: list[NDArray[np.float32]], last: int, tmp_path: Path) -> None:
    windows[-1] = windows[-1][:last]
    whole = np.concatenate(windows)
    path = tmp_path / f"v{suffix}"
    ids = [f"é{row}" for row in range(len(whole))]
    rows = write_vectors(path, ids, windows, fingerprint="f" * 64, encoder="e", force=True)
    found = read_vectors(path)
    assert rows == len(whole)
    assert found.ids == ids
    assert found.fingerprint == "f" * 64
    np.testing.assert_array_equal(found.matrix, whole)
    if suffix == ".npy":
        np.testing.assert_array_equal(np.load(path, allow_pickle=False), whole)


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_an_interruption_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    def windows() -> Iterator[NDArray[np.float32]]:
        yield np.zeros((2, 3), dtype=np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_vectors(tmp_path / f"v{suffix}", ["a", "b"], windows(), fingerprint="f", encoder="e")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [OSError(5, "input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("there", [True, False])
def test_what_fails_at_the_last_rename_leaves_the_former_pair(
    how: BaseException, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.npy"
    if there:
        write_vectors(path, ["a", "b"], [np.eye(2, 4, dtype=np.float32)], fingerprint="f", encoder="e")
    rename = replacing._rename

    def refusing(temporary: Path, target: Path) -> None:
        if target == path:
            raise how
        rename(temporary, target)

    monkeypatch.setattr(replacing, "_rename", refusing)
    with pytest.raises((StorageError, KeyboardInterrupt)):
        write_vectors(path, ["x"], [np.ones((1, 4), np.float32)], fingerprint="g", encoder="e", force=True)
    if not there:
        assert list(tmp_path.iterdir()) == []
        return
    found = read_vectors(path)
    assert (found.ids, found.fingerprint, found.matrix.shape) == (["a", "b"], "f", (2, 4))
    monkeypatch.undo()
    write_vectors(path, ["x"], [np.ones((1, 4), np.float32)], fingerprint="g", encoder="e", force=True)
    assert read_vectors(path).ids == ["x"]
    assert "former" not in sidecar(path).read_text()


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    write_vectors(path, ["a"], [np.ones((1, 4), dtype=np.float32)], fingerprint="f", encoder="e")
    content = bytearray(path.read_bytes())
    content[-2] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"does not match v\.npy\.json; the file is damaged"):
        read_vectors(path)
    sidecar(path).unlink()
    with pytest.raises(InputError, match=r"v\.npy\.json: no such file"):
        read_vectors(path)
    (tmp_path / "v.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="is not a Parquet file"):
        read_vectors(tmp_path / "v.parquet")


def test_other_suffixes_and_existing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has suffix '\.pkl', \.npy or \.parquet was expected"):
        write_vectors(tmp_path / "v.pkl", [], [], fingerprint="f", encoder="e")
    (tmp_path / "v.npy").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists; name another place or overwrite it with --force"):
        write_vectors(tmp_path / "v.npy", [], [], fingerprint="f", encoder="e")
    assert (tmp_path / "v.npy").read_bytes() == b"mine"


def test_another_file_beside_the_vectors_stays(tmp_path: Path) -> None:
    """What says of vectors lies beside them, and took the place of anything of that name."""
    path = tmp_path / "v.npy"
    sidecar(path).write_text('{"mine": 1}')
    for force in (False, True):
        with pytest.raises(InputError, match=r"v\.npy\.json is no description of vectors by textrip"):
            write_vectors(path, ["a"], [np.ones((1, 2), np.float32)], fingerprint="", encoder="", force=force)
    assert sidecar(path).read_text() == '{"mine": 1}'
    assert [found.name for found in tmp_path.iterdir()] == [sidecar(path).name]
