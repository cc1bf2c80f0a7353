"""Judgments by the query's text: what is judged for one query holds for every query that asks the same."""

from collections import defaultdict

from textrip.data.collection import Collection
from textrip.data.words import normalised


class JudgedTexts:
    """What is judged for a query's text, over every split and every query of that text.

    Where judgments of a document differ, the highest counts. Documents that the corpus lacks are left out.
    """

    def __init__(self, collection: Collection) -> None:
        self._grades: dict[str, dict[str, int]] = defaultdict(dict)
        texts, rows = collection.query_texts, collection.doc_row
        for qrels in collection.qrels.values():
            for query_id, judged in qrels.items():
                if query_id not in texts:
                    continue
                grades = self._grades[normalised(texts[query_id])]
                for doc_id, grade in judged.items():
                    if doc_id in rows:
                        grades[doc_id] = max(grade, grades.get(doc_id, grade))

    def relevant(self, query: str) -> set[str]:
        """The doc_ids that are judged relevant for a query text."""
        return {doc_id for doc_id, grade in self._of(query).items() if grade > 0}

    def not_relevant(self, query: str) -> set[str]:
        """The doc_ids that are judged for a query text, and not relevant."""
        return {doc_id for doc_id, grade in self._of(query).items() if grade <= 0}

    def _of(self, query: str) -> dict[str, int]:
        return self._grades.get(normalised(query), {})
