"""Collection: a corpus, its queries and their judgments by split. Arrow holds the texts."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from textrip.data.finding import Finding
from textrip.data.table_file import SPLITS
from textrip.data.values import require_document, require_text
from textrip.errors import InputError
from textrip.forked import cached_property
from textrip.ranking import id_order
from textrip.records import Document, Qrels, full_text
from textrip.typed import require_type

_ROWS_A_CHUNK = 8192


def dataset_of(columns: Mapping[str, Sequence[Any]]) -> Dataset:
    """An Arrow dataset of string columns, in memory, without a cache file."""
    return as_dataset(
        pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})
    )


def as_dataset(table: pa.Table) -> Dataset:
    """A dataset over a table; nothing is copied.

    The library would pickle the whole table to name its cache files, of which there are none.
    """
    return Dataset(table, fingerprint=secrets.token_hex(8))


def _column(dataset: Dataset, name: str) -> list[str]:
    """A column's values. Not by `dataset.data`, which does not know of a selection of rows."""
    return dataset.select_columns(name)[:][name]  # type: ignore[no-any-return]


class Texts(Sequence[str]):
    """The documents' full texts as a sequence that is read from Arrow when asked, never all at once."""

    def __init__(self, corpus: Dataset) -> None:
        self._corpus = corpus

    def __len__(self) -> int:
        return len(self._corpus)

    def __getitem__(self, index: Any) -> Any:
        rows = self._corpus[index]
        if isinstance(index, int):
            return full_text(rows["title"], rows["text"])
        return [full_text(title, text) for title, text in zip(rows["title"], rows["text"], strict=True)]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _ROWS_A_CHUNK):
            yield from self[start : start + _ROWS_A_CHUNK]


@dataclass(frozen=True, eq=False)
class Collection:
    """What is searched, what is asked, and what was judged.

    Attributes:
        name: For reports; the folder's or file's name.
        corpus: Columns doc_id, title, text, perhaps metadata (a JSON object) and, for labelled texts, label
            and perhaps split.
        queries: Columns query_id, text.
        qrels: By split (train, dev, test): query_id to doc_id to relevance; 0 and below is not relevant.
        groups: By query_id, what must not be torn apart by a split (the module of a docstring, say).
        remarks: What was resolved as the data was read; for `check`.
        numbered: The data had no ids: documents are counted, and in other data others have the same numbers.
    """

    name: str
    corpus: Dataset
    queries: Dataset
    qrels: Mapping[str, Qrels] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    numbered: bool = False
    remarks: tuple[Finding, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        documents: Iterable[Document],
        queries: Mapping[str, str] | None = None,
        qrels: Mapping[str, Qrels] | None = None,
    ) -> "Collection":
        """A collection from records in memory; `queries` maps query_id to text.

        Raises:
            InputError: a document without an id, or a part or a question that is no text.
        """
        require_type("documents", documents, Iterable, "a list of Documents")
        held = list(documents)
        for document in held:
            require_type("a document", document, Document, "a Document")
            require_document(document)
        corpus = dataset_of(
            {
                "doc_id": [document.doc_id for document in held],
                "title": [document.title for document in held],
                "text": [document.text for document in held],
            }
        )
        asked = queries or {}
        require_type("queries", asked, Mapping, "a mapping from query_id to text")
        for query_id, text in asked.items():
            require_text(f"query {query_id!r}", text)
        return cls(
            name=name,
            corpus=corpus,
            queries=dataset_of({"query_id": list(asked), "text": list(asked.values())}),
            qrels=qrels or {},
        )

    def __repr__(self) -> str:
        splits = ", ".join(f"{split} {len(qrels)}" for split, qrels in self.qrels.items()) or "none"
        return (
            f"Collection({self.name!r}, {len(self.corpus):,} documents, "
            f"{len(self.queries):,} queries, judged: {splits})"
        )

    @cached_property
    def doc_ids(self) -> list[str]:
        """Every doc_id, in the order of the corpus."""
        return _column(self.corpus, "doc_id")

    @cached_property
    def doc_row(self) -> dict[str, int]:
        """From doc_id to its row in the corpus."""
        return {doc_id: row for row, doc_id in enumerate(self.doc_ids)}

    @cached_property
    def labels(self) -> list[str]:
        """Every document's label, in the order of the corpus.

        Raises:
            InputError: the texts have no labels, or some have none.
        """
        if "label" not in self.corpus.column_names:
            names = [name for name in self.corpus.column_names if name != "metadata"]
            if len(self.corpus) and "metadata" in self.corpus.column_names:
                names += json.loads(self.corpus[0]["metadata"])
            columns = ", ".join(names)
            raise InputError(
                f"{self.name}: its documents have no labels (columns: {columns}); "
                "name their column with --label-column"
            )
        labels = [label or "" for label in _column(self.corpus, "label")]  # None: a file of a folder has none
        if "" in labels:
            first, count = self.doc_ids[labels.index("")], labels.count("")
            raise InputError(
                f"{self.name}: {count:,} of its {len(labels):,} documents have no label that is one text or "
                f"whole number (first {first!r}); leave them out, or name another column with --label-column"
            )
        return labels

    @cached_property
    def doc_order(self) -> NDArray[np.int64]:
        """The place of every row in ascending order of doc_id, shape (documents,): breaks ties."""
        return id_order(self.doc_ids)

    @cached_property
    def query_texts(self) -> dict[str, str]:
        """From query_id to its text."""
        return dict(zip(_column(self.queries, "query_id"), _column(self.queries, "text"), strict=True))

    @property
    def texts(self) -> Texts:
        """The documents' full texts, in the order of the corpus."""
        return Texts(self.corpus)

    @property
    def _can_be_prepared(self) -> bool:
        """Splits are cut from train, and queries made where nothing is judged."""
        return bool(self.qrels.get("train")) or not any(self.qrels.values())

    def judged(self, split: str) -> Qrels:
        """The judgments of one split.

        Raises:
            InputError: there is no such split, or it has no judgment.
        """
        if not self.qrels.get(split):
            found = ", ".join(name for name, qrels in self.qrels.items() if qrels) or "none"
            hint = (
                "; textrip.prepare makes what is missing" if split in SPLITS and self._can_be_prepared else ""
            )
            raise InputError(
                f"{self.name}: has no judgments for split {split!r} (judged splits: {found}){hint}"
            )
        return self.qrels[split]

    def queries_of(self, split: str) -> dict[str, str]:
        """From query_id to text for the judged queries of a split, in the order of the judgments."""
        texts = self.query_texts
        missing = [query_id for query_id in self.judged(split) if query_id not in texts]
        if missing:
            raise InputError(
                f"{self.name}: {len(missing)} judged queries of split {split!r} have no text, "
                f"{missing[0]!r} first; add them to the queries or remove their judgments"
            )
        return {query_id: texts[query_id] for query_id in self.judged(split)}

    def count_relevant(self, judged: Mapping[str, int]) -> int:
        """How many documents of a query's judgments are relevant, and in the corpus."""
        rows = self.doc_row
        return sum(grade > 0 and doc_id in rows for doc_id, grade in judged.items())

    def has_relevant(self, split: str, query_id: str) -> bool:
        """Whether a query of a split has a relevant document in the corpus."""
        return self.count_relevant(self.judged(split)[query_id]) > 0

    def require_relevant(self, split: str) -> None:
        """Raise InputError where no query of a split has a relevant document: all measures are 0."""
        if not any(self.has_relevant(split, query_id) for query_id in self.judged(split)):
            raise InputError(
                f"{self.name}: none of {len(self.judged(split)):,} judged queries of split {split!r} has a "
                "relevant document (a judgment above 0) in the corpus: nothing can be measured on it"
            )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every id, text and judgment: the same data has the same one anywhere.

        Metadata takes no part: nothing is trained or measured by it.
        """
        digest = self._digest_of_texts.copy()
        digest.update(
            json.dumps({name: dict(qrels) for name, qrels in self.qrels.items()}, sort_keys=True).encode()
        )
        return str(digest.hexdigest())

    @property
    def texts_fingerprint(self) -> str:
        """SHA-256 over every id and text, and no judgment."""
        return str(self._digest_of_texts.hexdigest())

    @cached_property
    def _digest_of_texts(self) -> Any:
        digest = hashlib.sha256()
        for part in (self.corpus, self.queries):
            for start in range(0, len(part), _ROWS_A_CHUNK):
                columns = part[start : start + _ROWS_A_CHUNK]
                for row in zip(
                    *(columns[name] for name in sorted(columns) if name != "metadata"), strict=True
                ):
                    digest.update(json.dumps(row).encode())
        return digest
