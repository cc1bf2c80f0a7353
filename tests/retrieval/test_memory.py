"""Building needs memory for ids and words, not for texts and vectors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def built(folder: Path, documents: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.retrieval.memory_worker", str(folder), str(documents)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_twenty_thousand_documents(tmp_path: Path) -> None:
    assert built(tmp_path, 20_000)["peak"] < 300  # of which 90 are Python and its libraries


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_documents(tmp_path: Path) -> None:
    found = built(tmp_path, 1_000_000)
    print(found)
    assert found["peak"] < 2048
