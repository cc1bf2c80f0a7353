"""A path keeps its meaning when the working directory is replaced."""

import os
import shutil
from pathlib import Path

import pytest

from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.place import named, place_of, standing
from textrip.writable import refuse_existing, refuse_taking_away


@pytest.mark.parametrize(
    ("path", "expected"),
    [(".", "at"), ("../at", "at"), ("..", ""), ("x", "at/x"), ("../link", "link"), ("../link/y", "at/y")],
)
def test_the_place_of_a_path(
    path: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "at").mkdir()
    (tmp_path / "link").symlink_to("at")
    monkeypatch.chdir(tmp_path / "at")
    assert place_of(path) == tmp_path.resolve() / expected


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that a process stands in")
def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for look in (place_of, lambda path: refuse_existing(path, force=False)):
        with pytest.raises(InputError, match=r"^x: cannot be found from the working directory .*whole path$"):
            look("x")
    assert place_of(tmp_path / "x") == tmp_path.resolve() / "x"
    with standing():
        pass


@pytest.mark.skipif(os.name == "nt", reason="a path of Windows is text")
def test_a_name_that_is_no_text_holds_no_model(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    shutil.copytree(tiny_encoder_folder, place)
    for use in (
        lambda: Encoder.load(place, device="cpu"),
        lambda: refuse_taking_away(place / "new", force=False, mark="index.json"),
    ):
        with pytest.raises(InputError, match="this name is not UTF-8, and no model can be read or written"):
            use()


def test_a_name_with_a_character_0_is_refused() -> None:
    with pytest.raises(InputError, match="holds the character 0"):
        named("a\0b")
