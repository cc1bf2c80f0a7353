"""The package: what is installed, what it exports, and what never is in it."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

import textrip

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for folder in ("textrip", "cli", "eval") for path in (ROOT / folder).rglob("*.py")
)  # fmt: skip


def test_every_folder_with_code_is_a_package_of_the_distribution() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {"textrip"}
    for folder in ("textrip", "cli", "eval"):
        prefix = "" if folder == "textrip" else "textrip."
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(prefix + ".".join(init.parent.relative_to(ROOT).parts))
    # The links textrip/cli and textrip/eval are the folders cli and eval by another way.
    assert found == set(settings["packages"])
    assert sorted(settings["packages"]) == settings["packages"]
    for name, folder in settings["package-dir"].items():
        assert (ROOT / folder / "__init__.py").is_file()
        assert (ROOT / Path(*name.split("."))).resolve() == (ROOT / folder).resolve()


def test_all_is_sorted_and_every_name_loads() -> None:
    assert textrip.__all__ == sorted(textrip.__all__)
    assert set(textrip.__all__) <= set(dir(textrip))
    for name in textrip.__all__:
        assert getattr(textrip, name).__doc__, name
    with pytest.raises(AttributeError, match="module 'textrip' has no attribute 'nothing'"):
        textrip.nothing  # noqa: B018


def test_nothing_but_textrip_enters_site_packages() -> None:
    assert Path(importlib.import_module("textrip.cli").__file__ or "").resolve().parent == ROOT / "cli"
    assert Path(importlib.import_module("textrip.eval").__file__ or "").resolve().parent == ROOT / "eval"


def test_there_is_no_room_for_leftovers() -> None:
    names = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_is_read_from_files(path: Path) -> None:
    """Neither pickle nor eval, and trust_remote_code only ever handed on."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            assert not modules & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            whole = ast.unparse(node.func)
            assert whole not in {"eval", "exec", "torch.load", "os.fork"}, f"line {node.lineno}: {whole}"
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("allow_pickle", "False") == "False", f"line {node.lineno}"
            assert given.get("trust_remote_code", "trust_remote_code") == "trust_remote_code", called
            if whole == "np.load":
                assert given["allow_pickle"] == "False", f"line {node.lineno}"


def test_every_dependency_of_constraints_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", pin) for pin in pins)
    names = {re.split(r"==", pin)[0].lower().replace("_", "-") for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(name for group in project["optional-dependencies"].values() for name in group),
    ]
    for requirement in asked:
        name = re.split(r"[<>=\[ ]", requirement)[0].lower().replace("_", "-")
        assert name in names, f"{name} is not pinned"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_title_and_text_are_joined_in_one_place(path: Path) -> None:
    """Whoever joins them another way encodes or counts another document than the rest does."""
    if path.name == "records.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            shown = {ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue)}
            ends = {re.split(r"[.\['\"]+", name.rstrip("'\"]"))[-1] for name in shown}
            assert not {"title", "text"} <= ends, f"line {node.lineno}: {ast.unparse(node)}; use full_text"
