"""Batches: each distinct text once, relations by judgment and by text, every query once an epoch."""

from collections import Counter

import pytest
import torch

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import MismatchError
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Group, Negative, Triples
from textrip.records import Document
from textrip.training.batch import GroupCollator, QuerySampler, _buckets
from textrip.training.loss import GroupLoss, formula
from textrip.training.relations import Relation

X, R, P, M, B = Relation


def negative(doc_id: str) -> Negative:
    return Negative(doc_id, 1, 1.0, "bm25")


@pytest.fixture
def judged() -> Collection:
    documents = {
        "a": "rose one", "copy of a": "Rose  one", "b": "wave two", "also a": "rose three", "n": "oven four",
        "query a": "rose",
    }  # fmt: skip
    return Collection.of(
        "judged",
        [Document(doc_id, "", text) for doc_id, text in documents.items()],
        {"qa": "rose", "qb": "wave", "qa again": "Rose"},
        {"train": {"qa": {"a": 1}, "qb": {"b": 1}}, "test": {"qa again": {"also a": 1}}},
    )


def relations(collection: Collection, encoder: Encoder, groups: list[Group]) -> list[dict[str, int]]:
    """From document text to relation, for every anchor."""
    collator = GroupCollator(Triples(groups), collection, encoder)
    seen: list[str] = []
    original = collator.preprocess

    def preprocess(texts: list[str], **kwargs: object) -> dict[str, object]:
        seen.extend(texts)
        return original(texts, **kwargs)

    collator.preprocess = preprocess
    batch = collator([{"group": place} for place in range(len(groups))])
    matrix = batch["label"]["relations"]
    documents = seen[len(seen) - matrix.shape[1] :]
    assert len(set(documents)) == len(documents), "a text was encoded twice"
    return [dict(zip(documents, row, strict=True)) for row in matrix.tolist()]


def test_relations_by_judgment_and_by_text(judged: Collection, tiny_encoder: Encoder) -> None:
    groups = [
        Group("qa", "a", (negative("n"), negative("copy of a"), negative("query a"))),
        Group("qb", "b", (negative("also a"), negative("n"))),
    ]
    first, second = relations(judged, tiny_encoder, groups)
    # A copy of the positive is the positive; the query's own text, and what a query of the same text is
    # judged to want (in any split), are masked; another group's documents are in-batch negatives.
    assert first == {"rose one": P, "oven four": M, "rose": X, "wave two": B, "rose three": R}
    assert second == {"rose one": B, "oven four": M, "rose": B, "wave two": P, "rose three": M}


def test_what_is_judged_relevant_is_no_negative_whoever_mined_it(
    judged: Collection, tiny_encoder: Encoder
) -> None:
    (found,) = relations(judged, tiny_encoder, [Group("qa", "a", (negative("also a"), negative("n")))])
    assert found == {"rose one": P, "rose three": R, "oven four": M}


def test_a_query_costs_two_and_k_encodings_not_three_times_k(
    tiny_collection: Collection, tiny_encoder: Encoder
) -> None:
    triples = mine(tiny_collection, settings=MineSettings(negatives=4))
    collator = GroupCollator(triples, tiny_collection, tiny_encoder)
    batch = collator([{"group": place} for place in range(8)])
    encoded = sum(len(value) for key, value in batch.items() if key.endswith("input_ids"))
    distinct = {d for g in triples.groups[:8] for d in (g.positive_id, *(n.doc_id for n in g.negatives))}
    assert encoded == len({g.query_id for g in triples.groups[:8]}) + len(distinct)


def test_buckets_and_order_change_nothing(
    tiny_collection: Collection, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    triples = mine(tiny_collection, settings=MineSettings(negatives=2))
    tiny_encoder.model.eval()
    of = formula(
        "triplet", strategy="semi-hard", margin=0.5, temperature=0.1, second_margin=0.1, hardest_positive=True
    )
    loss = GroupLoss(tiny_encoder.model, distance="cosine", of=of)

    def value(places: list[int]) -> float:
        collator = GroupCollator(triples, tiny_collection, tiny_encoder)
        batch = collator([{"group": place} for place in places])
        prefixes = sorted({key.split("_")[0] for key in batch if key.startswith("bucket")})
        features = [
            {
                key.removeprefix(f"{prefix}_"): value
                for key, value in batch.items()
                if key.startswith(f"{prefix}_")
            }
            for prefix in prefixes
        ]
        with torch.no_grad():
            return float(loss(features, batch["label"]))

    expected = value([0, 1, 2, 3])
    assert value([3, 1, 0, 2]) == pytest.approx(expected, abs=1e-6)
    monkeypatch.setattr("textrip.training.batch._MIN_BUCKET", 1)
    monkeypatch.setattr("textrip.training.batch._BUCKET_SHARE", 1.0)
    assert value([0, 1, 2, 3]) == pytest.approx(expected, abs=1e-6)


def test_buckets_are_cut_where_padding_is_wasted() -> None:
    assert [(s.start, s.stop) for s in _buckets([100, 90, 80, 70, 59, 58, 20])] == [(0, 4), (4, 7)]
    assert [(s.start, s.stop) for s in _buckets([5])] == [(0, 1)]


def test_an_epoch_asks_every_query_once_and_takes_its_positives_in_turn() -> None:
    groups = [Group("many", f"p{n}", ()) for n in range(3)] + [Group(f"q{n}", "p", ()) for n in range(7)]
    sampler = QuerySampler(groups, batch_queries=4, seed=0)
    taken = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert [len(batch) for batch in batches] == [4, 4] == [4] * len(sampler)
        asked = Counter(groups[place].query_id for batch in batches for place in batch)
        assert set(asked.values()) == {1}
        taken += [groups[p].positive_id for batch in batches for p in batch if groups[p].query_id == "many"]
    assert sorted(taken) == ["p0", "p1", "p2"]


def test_by_positive_an_epoch_asks_every_group_and_weights_make_queries_even(
    judged: Collection, tiny_encoder: Encoder
) -> None:
    groups = [Group("qa", "a", ()), Group("qa", "also a", ()), Group("qb", "b", ())]
    sampler = QuerySampler(groups, batch_queries=2, seed=0, sampling="positive")
    assert len(sampler) == len(list(sampler)) == 2
    assert sorted(place for batch in sampler for place in batch) == [0, 1, 2]
    collator = GroupCollator(Triples(groups), judged, tiny_encoder, weight_power=1.0)
    weights = collator([{"group": place} for place in range(3)])["label"]["weights"]
    assert weights.tolist() == [0.5, 0.5, 1.0]
    plain = GroupCollator(Triples(groups), judged, tiny_encoder)([{"group": 0}])
    assert "weights" not in plain["label"]


def test_a_bucket_keeps_to_its_budget_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textrip.training.batch._BUCKET_TOKENS", 30)
    assert [(s.start, s.stop) for s in _buckets([12, 10, 10, 9, 8])] == [(0, 2), (2, 5)]
    assert [(s.start, s.stop) for s in _buckets([50, 40])] == [(0, 1), (1, 2)]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    groups = [Group(f"q{n}", "p", ()) for n in range(20)]

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = QuerySampler(groups, batch_queries=4, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_triples_of_another_collection_are_refused(
    tiny_collection: Collection, tiny_encoder: Encoder
) -> None:
    with pytest.raises(MismatchError, match="the triples name document 'elsewhere'"):
        GroupCollator(Triples([Group("q00", "elsewhere", ())]), tiny_collection, tiny_encoder)
