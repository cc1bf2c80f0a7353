"""A folder of .txt and .md files: one file, one document."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from textrip.data.collection import Collection, dataset_of
from textrip.data.finding import Told, many
from textrip.data.table_file import SPLITS, split_of, table_stem, tables_in, tables_not_read
from textrip.data.tables import corpus_of, without_empty_columns
from textrip.data.text_file import SUFFIXES, read_text_file
from textrip.data.words import lone_surrogate
from textrip.errors import InputError, reason_of
from textrip.files import uncompressed_suffix

# What holds text, too, and is not read: whoever named the folder may think that it was.
_DOCUMENTS = {
    ".adoc", ".asciidoc", ".doc", ".docx", ".eml", ".epub", ".htm", ".html", ".ipynb", ".mdx", ".odt", ".org",
    ".pdf", ".ppt", ".pptx", ".rst", ".rtf", ".tex", ".text", ".xhtml", ".xls", ".xlsx", ".xml",
}  # fmt: skip


def _files(folder: Path, links: Told) -> Iterator[Path]:
    """Every file below a folder, in order of path; hidden ones, pipes and links are passed over, links told.

    Raises:
        InputError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: {reason_of(error)}") from error

    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent) / name for name in folders):
            if path.is_symlink():
                links.add(path.relative_to(folder).as_posix())
        for path in (Path(parent) / name for name in sorted(names) if not name.startswith(".")):
            if path.is_symlink():
                if uncompressed_suffix(path) in SUFFIXES:
                    links.add(path.relative_to(folder).as_posix())
            elif path.is_file():  # who reads a pipe waits for who writes
                yield path


_NAME_IT = (
    ", as the text files beside are; name a table by its own path, or put what is trained on into train.jsonl"
)


def read_text_folder(folder: Path) -> Collection:
    """Read a folder of text: doc_id is the path below the folder, for the rest see `read_text_file`.

    A file without a word is no document; it is told, as are those that would have to be converted.

    Raises:
        InputError: there is no text file, or one is not UTF-8 (with file and line).
    """
    empty, others, links, odd = Told(), Told(), Told(), Told()
    kinds: Counter[str] = Counter()

    def records() -> Iterator[tuple[int, dict[str, str]]]:
        for number, path in enumerate(_files(folder, links), start=1):
            doc_id = path.relative_to(folder).as_posix()
            suffix = uncompressed_suffix(path)
            if suffix not in SUFFIXES:
                if suffix in _DOCUMENTS:
                    kinds[suffix] += 1
                    others.add(doc_id)
                continue
            if lone_surrogate(doc_id) is not None:
                name = os.fsencode(doc_id).decode(errors="backslashreplace")
                raise InputError(f"{folder}: the name of the file {name} is not UTF-8; rename it")
            document, readable = read_text_file(path)
            if not readable:
                odd.add(doc_id)
            if not document["title"] and not document["text"]:
                empty.add(doc_id)
                continue
            yield number, {"doc_id": doc_id, **document}

    try:
        corpus = without_empty_columns(corpus_of(records(), str(folder)))
    except InputError as error:
        if "is empty" not in str(error):
            raise
        wanted = (
            "a BEIR folder (corpus.jsonl, queries.jsonl, qrels/), a table for each split (train.jsonl, "
            f"dev.jsonl, test.jsonl) or files ending in {', '.join(SUFFIXES)}"
        )
        instead = _instead(folder)
        if not instead and others.count:
            instead = f"; there is {others.examples[0]}: convert it"
        if not instead and empty.count:
            instead = f"; {empty.examples[0]} has no text"
        if not instead and links.count:
            instead = f"; {links.examples[0]} is a symbolic link, and none is followed"
        raise InputError(f"{folder}: has nothing to read; {wanted} were expected{instead}") from None
    found = [f"{count:,} {suffix}" for suffix, count in kinds.most_common()]
    remarks = [
        *empty.findings(
            "warning", "empty-files",
            f"{folder}: {many(empty.count, 'file', 'files')} without text passed over",
        ),
        *odd.findings(
            "warning", "front-matter-not-read",
            f"{folder}: {many(odd.count, 'file begins', 'files begin')} with front matter that is no YAML or "
            "TOML as textrip reads it (no key twice, no alias): it is a part of the text",
        ),
        *links.findings(
            "warning", "links-not-followed",
            f"{folder}: {many(links.count, 'symbolic link is', 'symbolic links are')} not followed: copy "
            "what is to be read to where they are",
        ),
        *others.findings(
            "warning", "files-not-read",
            f"{folder}: {many(others.count, 'document is', 'documents are')} not read ({', '.join(found)}): "
            f"convert what is to be found to {' or '.join(SUFFIXES[:2])}",
        ),
    ]  # fmt: skip
    tables = tables_not_read(folder, tables_in(folder), _NAME_IT)
    return Collection(
        name=folder.resolve().name,
        corpus=corpus,
        queries=dataset_of({"query_id": [], "text": []}),
        remarks=(*remarks, *tables),
    )


def _instead(folder: Path) -> str:
    """What whoever named this folder may have wanted."""
    if (folder / "documents.sqlite").is_file():
        return "; this is an index: name the data that it was built from"
    tables = tables_in(folder)
    of_splits = [name for name in tables if split_of(str(table_stem(folder / name))) in SPLITS]
    if of_splits:
        return f"; there is {of_splits[0]} and no train.jsonl: what is trained on belongs there"
    return f"; there is {tables[0]}: name the file itself" if tables else ""
