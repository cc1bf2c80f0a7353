"""What each rule of mining moves on NFCorpus: the figure without it by a plain loop, and none with it.

The figures stand in docs/mining.md: of all judged queries of train, BM25's ten best documents for each,
without the positive that is trained on (the first by its id).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.lexical.searcher import LexicalSearcher
from textrip.mining.filters import JUDGED, NEAR_DUPLICATE, SAME_TEXT
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples

_BEST = 10
Pair = tuple[str, str]


@dataclass
class Found:
    """NFCorpus, and the pairs of query_id and doc_id that BM25 finds for it before any rule, best first."""

    collection: Collection
    searcher: LexicalSearcher
    pairs: list[Pair]

    def relevant(self, key: Callable[[str], str], *splits: str) -> set[Pair]:
        """The pairs that are judged relevant in some splits, with a query's key in place of its id."""
        return {
            (key(query_id), doc_id)
            for split in splits
            for query_id, grades in self.collection.qrels[split].items()
            for doc_id, grade in grades.items()
            if grade > 0
        }

    def text(self, query_id: str) -> str:
        return self.collection.query_texts[query_id].lower()


@pytest.fixture(scope="module")
def found(real_data: Path) -> Found:
    collection = read(real_data / "nfcorpus")
    searcher = LexicalSearcher.build(collection.texts, order=collection.doc_order)
    judged = collection.judged("train")
    rankings = searcher.search([collection.query_texts[query_id] for query_id in judged], _BEST)
    pairs = [
        (query_id, collection.doc_ids[row])
        for (query_id, grades), (places, _) in zip(judged.items(), rankings, strict=True)
        for row in places
        if collection.doc_ids[row] != min(grades)
    ]
    return Found(collection, searcher, pairs)


@pytest.fixture(scope="module")
def mined(found: Found) -> Triples:
    settings = MineSettings(negatives=_BEST, depth=_BEST, positives=1, near_duplicates=None)
    return mine(found.collection, settings=settings, searcher=found.searcher)


def negatives(triples: Triples) -> set[Pair]:
    return {(group.query_id, negative.doc_id) for group in triples.groups for negative in group.negatives}


def test_a_quarter_is_judged_relevant(found: Found, mined: Triples) -> None:
    relevant = found.relevant(str, "train")
    count = sum(pair in relevant for pair in found.pairs)
    assert (count, len(found.pairs)) == (5694, 21902)  # 26.0 %
    assert not negatives(mined) & relevant
    assert mined.provenance["left out"][JUDGED] > count  # and the positive itself


def test_some_are_relevant_for_another_query_of_the_text_or_in_another_split(
    found: Found, mined: Triples
) -> None:
    own, anywhere = found.relevant(str, "train"), found.relevant(found.text, "train", "dev", "test")
    missed = [pair for pair in found.pairs if pair not in own and (found.text(pair[0]), pair[1]) in anywhere]
    assert len(missed) == 11
    assert not negatives(mined) & set(missed)


def test_one_in_a_hundred_is_a_copy(found: Found, mined: Triples) -> None:
    relevant = found.relevant(str, "train")
    keys = {
        doc_id: " ".join(text.lower().split())
        for doc_id, text in zip(found.collection.doc_ids, found.collection.texts, strict=True)
    }
    seen = {(query_id, keys[doc_id]) for query_id, doc_id in relevant if doc_id in keys}
    copies = set()
    for query_id, doc_id in found.pairs:
        if (query_id, doc_id) not in relevant and (query_id, keys[doc_id]) in seen:
            copies.add((query_id, doc_id))
        seen.add((query_id, keys[doc_id]))
    assert len(copies) == 203  # 0.9 %
    assert not negatives(mined) & copies
    assert mined.provenance["left out"][SAME_TEXT] >= len(copies)


def test_none_resembles_a_relevant_document(found: Found) -> None:
    settings = MineSettings(negatives=_BEST, depth=_BEST, queries=150)
    triples = mine(found.collection, settings=settings, searcher=found.searcher)
    assert NEAR_DUPLICATE not in triples.provenance["left out"]


@pytest.mark.parametrize(("depth", "share"), [(10, 0.136), (30, 0.216), (100, 0.309)])
def test_many_ranks_share_no_word_with_the_query(
    depth: int, share: float, found: Found, mined: Triples
) -> None:
    queries = list(found.collection.queries_of("train").values())
    hits = sum(len(places) for places, _ in found.searcher.search(queries, depth))
    assert 1 - hits / (depth * len(queries)) == pytest.approx(share, abs=5e-4)
    assert all(negative.score > 0 for group in mined.groups for negative in group.negatives)


def test_few_queries_would_own_the_loss(found: Found) -> None:
    def share_of_a_tenth(sizes: list[int]) -> float:
        sizes = sorted(sizes, reverse=True)
        return sum(sizes[: len(sizes) // 10]) / sum(sizes)

    judged = found.collection.judged("train")
    assert share_of_a_tenth([len(grades) for grades in judged.values()]) == pytest.approx(0.563, abs=5e-4)
    settings = MineSettings(depth=_BEST, near_duplicates=None)
    triples = mine(found.collection, settings=settings, searcher=found.searcher)
    groups = Counter(group.query_id for group in triples.groups)
    assert share_of_a_tenth(list(groups.values())) == pytest.approx(0.110, abs=5e-3)
