"""--force takes the place of what textrip made; it takes away nothing else, and nothing that is read."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.running import Run, tree

ARGUMENTS = {
    "train": ("--epochs", "0.5", "--batch-queries", "8"),
    "fit": ("--epochs", "0.5", "--batch-queries", "8"),
    "index": (),
}


@pytest.fixture
def data(beir_folder: Path, tmp_path: Path) -> Path:
    """In a folder with something that was years of work."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    return shutil.copytree(beir_folder, tmp_path / "home" / "data")


@pytest.mark.parametrize("mark", [None, "{}", '{"kind": "webpack"}'])
@pytest.mark.parametrize(("command", "name"), [
    ("train", "manifest.json"), ("fit", "report.json"), ("index", "index.json"),
])  # fmt: skip
def test_a_folder_that_textrip_did_not_make_stays(
    command: str, name: str, mark: str | None, data: Path, textrip: Run, tiny_encoder_folder: Path
) -> None:
    if mark is not None:
        (data.parent / name).write_text(mark)
    before = tree(data.parent)
    done = textrip(
        command, data, "-o", data.parent, "--model", tiny_encoder_folder, "--force", *ARGUMENTS[command]
    )
    assert done.code == 2
    assert f"home exists and has no {name} of textrip; --force replaces nothing else" in done.err
    assert tree(data.parent) == before


def test_the_demo_replaces_no_other_folder(data: Path, textrip: Run) -> None:
    before = tree(data.parent)
    done = textrip("demo", "--out", data.parent, "--force")
    assert done.code == 2
    assert "has no report.json of textrip" in done.err
    assert tree(data.parent) == before


@pytest.mark.parametrize("command", list(ARGUMENTS))
def test_a_file_gives_way_to_no_folder(
    command: str, data: Path, textrip: Run, tiny_encoder_folder: Path
) -> None:
    corpus = data / "corpus.jsonl"
    before = tree(data)
    done = textrip(
        command, data, "-o", corpus, "--model", tiny_encoder_folder, "--force", *ARGUMENTS[command]
    )
    assert done.code == 2
    assert "--force replaces nothing else" in done.err
    assert tree(data) == before


def test_a_model_with_the_data_in_it_stays(
    data: Path, textrip: Run, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Another spelling of the folder is the same folder."""
    (data.parent / "manifest.json").write_text(json.dumps({"kind": "textrip-model"}))
    (tmp_path / "link").symlink_to(data.parent)
    before = tree(data.parent)
    for output in (data.parent, tmp_path / "link", data / ".."):
        done = textrip("train", data, "-o", output, "--model", tiny_encoder_folder, "--force")
        assert done.code == 2
        assert "would be replaced, and" in done.err
    assert tree(data.parent) == before


def test_a_model_is_replaced_where_the_process_stands_in_it(
    data: Path, textrip: Run, tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-o .` was a mistake in textrip: a folder without a name."""
    train = ["train", data, "--model", tiny_encoder_folder, "--force", *ARGUMENTS["train"]]
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    assert textrip(*train, "-o", ".").code == 0
    assert Path("manifest.json").is_file()
    first = tree(tmp_path / "model")
    assert textrip(*train, "-o", ".", "--seed", 1).code == 0
    assert tree(tmp_path / "model").keys() == first.keys()
    assert tree(tmp_path / "model") != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "model"]


def test_vectors_do_not_take_the_place_of_their_texts(
    textrip: Run, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": ["rose"]}), tmp_path / "texts.parquet")
    before = tree(tmp_path)
    encode = ["encode", tmp_path / "texts.parquet", "--model", tiny_encoder_folder, "--force"]
    done = textrip(*encode, "-o", tmp_path / "texts.parquet")
    assert done.code == 2
    assert "texts.parquet would be replaced, and" in done.err
    assert tree(tmp_path) == before


def test_a_folder_in_the_place_of_a_file_is_told_before_any_work(
    textrip: Run, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """It was told after the encoding, by a temporary name, and an .npy.json was left."""
    (tmp_path / "folder.npy").mkdir()
    done = textrip(
        "encode", "-", "-o", tmp_path / "folder.npy", "--model", "nowhere/at/all", "--force", stdin="rose\n"
    )
    assert done.code == 2
    assert "folder.npy: is a folder, a file was expected" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.npy"]
