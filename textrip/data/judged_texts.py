"""Judgments by the query's text: what is judged for one query holds for every query that asks the same."""

from collections import defaultdict

from textrip.data.collection import Collection
from textrip.data.together import near_duplicate_key
from textrip.data.words import normalised


class JudgedTexts:
    """What is judged for a query's text, over every split and every query of that text.

    Where judgments of a document differ, the highest counts. Documents that the corpus lacks are left out.
    What is relevant holds also where punctuation and the order of words differ ("what is a rose?"): it costs
    a negative at most. That a document is not relevant holds for the very text alone, as it is trained on:
    "dog bites man" is another question than "man bites dog".
    """

    def __init__(self, collection: Collection) -> None:
        self._relevant: dict[str, set[str]] = defaultdict(set)
        self._not_relevant: dict[str, set[str]] = defaultdict(set)
        texts, rows = collection.query_texts, collection.doc_row
        for qrels in collection.qrels.values():
            for query_id, judged in qrels.items():
                if query_id not in texts:
                    continue
                key, text = near_duplicate_key(texts[query_id]), normalised(texts[query_id])
                for doc_id, grade in judged.items():
                    if doc_id not in rows:
                        continue
                    if grade > 0:
                        self._relevant[key].add(doc_id)
                    else:
                        self._not_relevant[text].add(doc_id)

    def relevant(self, query: str) -> set[str]:
        """The doc_ids that are judged relevant for a query text."""
        return set(self._relevant.get(near_duplicate_key(query), ()))

    def not_relevant(self, query: str) -> set[str]:
        """The doc_ids that are judged for a query text, and not relevant."""
        return set(self._not_relevant.get(normalised(query), ())) - self.relevant(query)
