"""What is worked out from an index's documents, so that a search need not: rebuilt whenever it is lost.

INDEX/derived/GENERATION-HEX/
  derived.json     kind, format, the generation it was derived from, counts, a digest of every file below
  keys.npy         (n,) int64, each row's key in the store, ascending
  order.npy        (n,) int64, each row's place in ascending order of doc_id
  ids.*.npy        doc_ids in ascending order
  begins.npy       (n + 1,) int64, where each document's passages begin
  vectors.npy      (p, d) float32 unit vectors, by passage
  terms.*.npy, indptr.npy, doc_indices.npy, counts.npy, lengths.npy    words by document
  nearest.*        what an approximate search reads (see encoding/approximate.py)

A folder appears by a rename and never changes. Readers take the newest one that is whole.
"""

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from textrip.encoding.approximate import Approximate, Former, Kind, open_nearest, write_nearest
from textrip.errors import InputError, StorageError, blame_no_file, reason_of
from textrip.fields import TEXTS, require_fields
from textrip.files import read_json, write_sealed_json
from textrip.lexical.analyzer import Analyzer
from textrip.lexical.word_index import WordCounts
from textrip.npy_rows import npy_rows
from textrip.progress import advancing, say
from textrip.replacing import replacing
from textrip.retrieval.store import DocumentStore, Stored
from textrip.stamps import digested, require_digests
from textrip.string_table import StringTable

KIND = "textrip-derived"
# 1 cut the words of Hindi and other scripts at their vowel signs, 2 had a clause of Chinese as one word.
FORMAT = 3
FOLDER = "derived"
_FIELDS = {
    "index_id": str,
    "generation": range(2**63),
    "nearest": {"kind": get_args(Kind)},
    "sha256": TEXTS,
}
_NAME = re.compile(r"([0-9]{8,})-[0-9a-f]{8}")
# While it is made, and while it is removed.
_HALF_MADE = re.compile(rf"\.{_NAME.pattern}(\.[0-9a-f]{{8}})?\.tmp")
# So often a folder may be taken away while it is being opened.
_LOOKS = 5


class Derived:
    """One derived folder, memory-mapped.

    Attributes:
        generation: Of the store that it was derived from.
        keys: (n,) int64.
        order: (n,) int64.
        ids: doc_ids in ascending order: a row's is ids[order[row]].
        begins: (n + 1,) int64.
        vectors: (p, d) float32.
        words: Counts of terms.
        nearest: The approximate search, where there is one.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.generation: int = about["generation"]

        def array(name: str) -> Any:
            return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

        self.keys: NDArray[np.int64] = array("keys")
        self.order: NDArray[np.int64] = array("order")
        self.begins: NDArray[np.int64] = array("begins")
        self.vectors: NDArray[np.float32] = array("vectors")
        self.ids = StringTable.open(folder, "ids")
        self.words = WordCounts.open(folder)
        self.nearest: Approximate | None = open_nearest(folder, about["nearest"], self.vectors.shape)

    @classmethod
    def open(cls, folder: Path, *, index_id: str, fully: bool = False) -> Self:
        """Open a derived folder.

        Raises:
            InputError: a file is missing or damaged, or it belongs to another index.
            StorageError: the process may open no more files.
        """
        about = read_json(folder / "derived.json", kind=KIND, version=FORMAT, sealed=True)
        require_fields(about, _FIELDS, folder / "derived.json")
        if about["index_id"] != index_id:
            raise InputError(f"{folder}: belongs to another index")
        if about["format"] < FORMAT:
            raise InputError(f"{folder}: is of an older format")
        require_digests(folder, about["sha256"], fully=fully, remedy="it is damaged")
        try:
            return cls(folder, about)
        except OSError as error:
            blame_no_file(error, folder)
            raise InputError(f"{folder}: {reason_of(error)}") from None
        except ValueError as error:
            raise InputError(f"{folder}: {error}") from None

    def __len__(self) -> int:
        return len(self.keys)

    def extensible(self, keys: NDArray[np.int64], begins: NDArray[np.int64]) -> Former | None:
        """The graph, with where its nodes are among documents of today; None: there is none that is whole.

        Args:
            keys: (n,) of today's documents, ascending.
            begins: (n + 1,) where each one's passages begin. A document that has its key has its vectors.
        """
        if self.nearest is None or self.nearest.kind != "hnsw":  # the others are as fast built as read
            return None
        try:  # no stamp is trusted: what is damaged would live on under a new digest
            names = {name: digest for name, digest in self.about["sha256"].items() if "nearest" in name}
            require_digests(self.folder, names, fully=True)
        except InputError:
            return None
        row = np.minimum(np.searchsorted(keys, self.keys), len(keys) - 1)
        counts, there = np.diff(self.begins), keys[row] == self.keys
        shift = np.repeat(begins[row] - self.begins[:-1], counts)
        places = np.where(np.repeat(there, counts), np.arange(len(shift)) + shift, -1)
        nodes = self.nearest.places
        if nodes is not None:
            places = np.where(nodes < 0, -1, places[nodes])
        return Former(self.nearest, places)


def derive(
    store: DocumentStore,
    folder: Path,
    *,
    index_id: str,
    analyzer: Analyzer,
    nearest: Kind,
    seed: int = 0,
    former: Derived | None = None,
) -> None:
    """Write everything derived into a new folder, from one snapshot of the store.

    Args:
        store: The documents.
        folder: Is made.
        index_id: Of the index.
        analyzer: Makes terms of texts.
        nearest: The approximate search that is wanted.
        seed: For what its codes are trained on.
        former: Of the same index: its graph may be extended.

    Memory: the ids, a few bytes a token, and what the approximate search needs to be built.
    """
    folder.mkdir(parents=True)
    with store.snapshot():
        generation, size = store.generation, len(store)
        if not size:
            raise InputError(f"{store.path}: has no documents; an index needs at least one")
        reading = _Reading(store, folder / "vectors.npy")
        with advancing("words and vectors", size) as advance:
            WordCounts.write(reading.texts(advance), analyzer, folder)
    keys = np.asarray(reading.keys, dtype=np.int64)
    begins = np.asarray(reading.begins, dtype=np.int64)
    by_id = sorted(range(len(keys)), key=reading.doc_ids.__getitem__)
    order = np.empty(len(keys), dtype=np.int64)
    order[by_id] = np.arange(len(keys))
    StringTable.of([reading.doc_ids[row] for row in by_id]).save(folder, "ids")
    for name, array in (("keys", keys), ("order", order), ("begins", begins)):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
    extensible = former.extensible(keys, begins) if former is not None else None
    about = write_nearest(folder, vectors, nearest, seed=seed, former=extensible)
    names = digested(folder, [path.name for path in sorted(folder.iterdir())])
    write_sealed_json(
        folder / "derived.json",
        {
            "kind": KIND,
            "format": FORMAT,
            "index_id": index_id,
            "generation": generation,
            "documents": len(keys),
            "passages": len(vectors),
            "nearest": about,
            "sha256": names,
        },
    )


class _Reading:
    """One pass over the store: texts go to the counter, vectors to their file, ids and keys are kept."""

    def __init__(self, store: DocumentStore, path: Path) -> None:
        self.keys: list[int] = []
        self.doc_ids: list[str] = []
        self.begins = [0]
        self._store = store
        self._path = path

    def texts(self, advance: Any) -> Iterator[str]:
        with npy_rows(self._path) as written:
            for stored in self._store:
                self._keep(stored)
                written.write(stored.vectors)
                advance(1)
                yield stored.document.full_text

    def _keep(self, stored: Stored) -> None:
        self.keys.append(stored.key)
        self.doc_ids.append(stored.document.doc_id)
        self.begins.append(self.begins[-1] + len(stored.vectors))


def open_newest(index: Path, *, index_id: str, since: int, until: int) -> Derived | None:
    """The newest derived folder of a generation in [since, until] that is whole; None where there is none.

    A damaged one is passed over, with a remark.
    """
    for _ in range(_LOOKS):
        gone = False
        for folder in sorted(derived_folders(index), key=_generation, reverse=True):
            if not since <= _generation(folder) <= until:
                continue
            try:
                derived = Derived.open(folder, index_id=index_id)
            except InputError as error:
                gone = gone or not folder.is_dir()
                if folder.is_dir():
                    say(f"{error}; working it out from the documents, until textrip index --rebuild does so")
                continue
            if since <= derived.generation <= until:
                return derived
        if not gone:  # else a writer put another in its place: look again
            return None
    return None


def has_newer(index: Path, generation: int) -> bool:
    """Whether something was derived from a later generation."""
    return any(_generation(folder) > generation for folder in derived_folders(index))


def derived_folders(index: Path) -> list[Path]:
    """The complete ones; what a process left half-made when it died has another name, as what is not ours."""
    try:
        return [path for path in (index / FOLDER).iterdir() if _generation(path) >= 0]
    except OSError as error:
        blame_no_file(error, index / FOLDER)
        return []


def _generation(folder: Path) -> int:
    name = _NAME.fullmatch(folder.name)
    return -1 if name is None else int(name[1])


def publish(index: Path, store: DocumentStore, *, extend: bool = False, **how: Any) -> tuple[Path, int]:
    """Derive anew beside what is there; returns the folder and its generation.

    The caller is alone in rebuilding this index. With `extend` a graph that is there is extended, where that
    will do.
    """
    parent = index / FOLDER
    parent.mkdir(exist_ok=True)
    remove_half_made(index)
    generation = store.generation
    target = parent / f"{generation:08d}-{secrets.token_hex(4)}"
    former = open_newest(index, index_id=how["index_id"], since=0, until=generation) if extend else None
    with replacing(target) as temporary:
        derive(store, temporary, former=former, **how)
        try:
            made = Derived.open(temporary, index_id=how["index_id"]).generation
        except InputError as error:  # NumPy does not look at what closing a file says
            raise StorageError(f"{error}; the disk did not keep what was written") from error
    if made != generation:  # a writer came between
        target = target.rename(parent / f"{made:08d}-{secrets.token_hex(4)}")
    return target, made


def half_made(index: Path) -> list[Path]:
    """What a process is making or removing now, or died in making or removing."""
    with contextlib.suppress(OSError):
        return [path for path in (index / FOLDER).iterdir() if _HALF_MADE.fullmatch(path.name)]
    return []


def remove_half_made(index: Path) -> None:
    """Remove what is half made; the caller is alone in rebuilding."""
    for left in half_made(index):
        shutil.rmtree(left, ignore_errors=True)


def remove_others(index: Path, kept: Path) -> None:
    """Remove what else was derived; readers that have it open keep what they mapped."""
    for folder in derived_folders(index):
        if folder.name != kept.name:
            # Renamed first: killed in the middle, what is left has no name that is looked at.
            with contextlib.suppress(OSError):
                shutil.rmtree(folder.rename(folder.with_name(f".{folder.name}.tmp")), ignore_errors=True)
