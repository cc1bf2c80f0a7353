"""What an index holds beside the data that it is measured on: said, or refused where questions are in it."""

from collections.abc import Mapping

from textrip.data.collection import Collection
from textrip.data.finding import many
from textrip.errors import InputError
from textrip.progress import say
from textrip.records import Qrels
from textrip.retrieval.index import Index
from textrip.retrieval.store import text_digest


def heed_what_it_holds(
    index: Index, collection: Collection, *, split: str, queries: Mapping[str, str], judged: Qrels
) -> None:
    """Say which documents an index has that the data lacks, and the other way round.

    Args:
        index: That is to be measured.
        collection: Whose documents are judged.
        split: For messages.
        queries: From query_id to text.
        judged: The split's judgments.

    Raises:
        InputError: the index holds nothing that is relevant; another text of a document, as where a question
            was made of it; or a question as a document, which the data holds out.
    """
    held, about = index.store.digests(), f"split {split!r} of {collection.name}"
    relevant = {
        doc_id for grades in judged.values() for doc_id, grade in grades.items() if grade > 0
    } & collection.doc_row.keys()
    if relevant.isdisjoint(held):
        raise InputError(
            f"{index.folder}: holds no document that is relevant in {about}: is it an index of these "
            "documents?"
        )
    pairs = zip(collection.doc_ids, collection.texts, strict=True)
    changed = sum(doc_id in held and held[doc_id] != text_digest(text) for doc_id, text in pairs)
    if changed:
        what = many(changed, "of its documents has another text", "of its documents have another text")
        raise InputError(
            f"{index.folder}: {what} in {collection.name}: index the data as it is now. (Where questions are "
            "made of documents, for want of judgments, the index holds what became one, which would find "
            "itself: measure the model, with --model.)"
        )
    others = held.keys() - collection.doc_row.keys()
    questions = {text_digest(text) for text in queries.values()}
    asked = sum(held[doc_id] in questions for doc_id in others)
    if asked:
        raise InputError(
            f"{index.folder}: holds {many(asked, 'question', 'questions')} of {about} as documents, which "
            "the data holds out: each would find itself; measure the model, with --model"
        )
    if others:
        what = many(len(others), "document", "documents")
        say(f"{index.folder}: holds {what} that {collection.name} lacks: found, they count as not relevant")
    missing = len(relevant - held.keys())
    if missing:
        say(
            f"{index.folder}: lacks {missing:,} of {len(relevant):,} documents that are relevant in split "
            f"{split!r}: they count as not found"
        )
