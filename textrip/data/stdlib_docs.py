"""The embedded collection `stdlib`: the documentation of the running Python's standard library.

It is on every machine that runs textrip, needs no download and raises no question of licence. Sources
are read with `ast`; nothing is imported. A docstring of a summary line and a body makes one pair: the
summary is the query, the qualified name and the body (without the summary) its document.
"""

import ast
import inspect
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textrip.data.collection import Collection
from textrip.data.split import assign_groups
from textrip.errors import InputError
from textrip.records import Document

NAME = "stdlib"
# Tests, other people's packages, generated tables: no documentation that somebody would search.
_LEFT_OUT = {
    "test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "idlelib", "lib2to3",
    "turtledemo", "pydoc_data", "ensurepip", "config", "_distutils_hack",
}  # fmt: skip
_MIN_BODY_WORDS = 12
_MIN_SUMMARY_WORDS = 3


@dataclass(frozen=True)
class Docstring:
    """A summary line and a body, and where they stand."""

    qualified_name: str
    summary: str
    body: str

    @property
    def module(self) -> str:
        """The top-level module: what is never on both sides of a split."""
        return self.qualified_name.partition(".")[0]


def read_stdlib(folder: Path | None = None) -> Collection:
    """Read the collection, split by top-level module.

    Raises:
        InputError: this Python comes without the library's sources (some are shipped as a zip archive).
    """
    root = folder or Path(sysconfig.get_paths()["stdlib"])
    pairs = _distinct(docstring for path in _sources(root) for docstring in _docstrings(path, root))
    if not pairs:
        raise InputError(f"{root}: has no Python sources with docstrings; this Python comes without them")
    by_summary: dict[str, list[Docstring]] = defaultdict(list)
    for pair in pairs:
        by_summary[_normal(pair.summary)].append(pair)
    split_of = assign_groups(
        {pair.qualified_name: pair.module for pair in pairs}, {"train": 0.72, "dev": 0.08, "test": 0.20}
    )
    queries: dict[str, str] = {}
    groups: dict[str, str] = {}
    qrels: dict[str, dict[str, dict[str, int]]] = {"train": {}, "dev": {}, "test": {}}
    for same in by_summary.values():
        modules = {pair.module for pair in same}
        if len(modules) > 1:
            continue  # one query, several modules: it would stand on both sides of the split
        query_id = same[0].qualified_name
        queries[query_id] = same[0].summary
        groups[query_id] = same[0].module
        qrels[split_of[query_id]][query_id] = {pair.qualified_name: 1 for pair in same}
    documents = (Document(pair.qualified_name, pair.qualified_name, pair.body) for pair in pairs)
    whole = Collection.of(NAME, documents, queries, qrels)
    return Collection(NAME, whole.corpus, whole.queries, whole.qrels, groups)


def _normal(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def _distinct(docstrings: Iterator[Docstring]) -> list[Docstring]:
    """The first of every name and of every body: an alias copies its docstring."""
    names: set[str] = set()
    bodies: set[str] = set()
    kept = []
    for docstring in docstrings:
        body = _normal(docstring.body)
        if docstring.qualified_name not in names and body not in bodies:
            names.add(docstring.qualified_name)
            bodies.add(body)
            kept.append(docstring)
    return kept


def _sources(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        if not _LEFT_OUT.intersection(path.relative_to(root).parts):
            yield path


def _docstrings(path: Path, root: Path) -> Iterator[Docstring]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):  # a template or a test of the parser
        return
    parts = path.relative_to(root).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    yield from _walk(tree, module)


def _walk(node: ast.AST, name: str) -> Iterator[Docstring]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = _split(ast.get_docstring(node, clean=True), name)
        if docstring is not None:
            yield docstring
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, f"{name}.{child.name}")
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _walk(child, name)


def _split(docstring: str | None, name: str) -> Docstring | None:
    if not docstring:
        return None
    summary, _, body = inspect.cleandoc(docstring).partition("\n")
    if body and not body.startswith("\n") and body.strip():
        return None  # the summary runs on into a second line
    if len(body.split()) < _MIN_BODY_WORDS or len(summary.split()) < _MIN_SUMMARY_WORDS:
        return None
    return Docstring(name, summary.strip(), body.strip())
