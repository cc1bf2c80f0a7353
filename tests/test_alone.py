"""A folder that one process holds."""

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from textrip.alone import alone, holding, refuse_held
from textrip.errors import StorageError


def test_one_holds_it_and_others_are_told(tmp_path: Path) -> None:
    refuse_held(tmp_path, "nobody")
    assert list(tmp_path.iterdir()) == []  # who only asks leaves nothing
    with holding(tmp_path, "somebody is there"):
        with pytest.raises(StorageError, match="somebody is there"):
            refuse_held(tmp_path, "somebody is there")
        with alone(tmp_path) as mine:
            assert not mine
    refuse_held(tmp_path, "nobody")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_worked_on_and_that_is_said(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remarks: list[str]
) -> None:
    """A cluster's disk may have none: refused there, no training would run."""

    def refused(*_: Any) -> None:
        raise OSError(code, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with alone(tmp_path) as mine:
        assert mine
    assert remarks == [
        f"{tmp_path}: its disk knows no locks (no locks available): see that no other process works there"
    ]
    code = errno.EIO
    with pytest.raises(StorageError, match=r"\.lock: no locks available"), alone(tmp_path):
        pass
