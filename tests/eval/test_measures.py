"""Measures equal plain loops, follow our ranks, and never fall when a relevant document rises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import naive
from textrip.errors import InputError
from textrip.eval.measures import MEASURES, mean, per_query

ORACLES = {
    "nDCG@10": naive.ndcg_at_10,
    "RR@10": naive.reciprocal_rank,
    "AP": naive.average_precision,
    "R@100": naive.recall_at_100,
}
DOC_IDS = [f"d{number}" for number in range(16)]
# -2 is what TREC says of junk.
JUDGED = st.dictionaries(st.sampled_from(DOC_IDS), st.integers(-4, 3), min_size=1)
RANKING = st.lists(st.sampled_from(DOC_IDS), unique=True)


def measured(judged: dict[str, int], ranking: list[str]) -> dict[str, float]:
    """One query's measures."""
    return {measure: values["q"] for measure, values in per_query({"q": judged}, {"q": ranking}).items()}


def test_the_measures_are_these() -> None:
    assert tuple(ORACLES) == MEASURES


@given(st.dictionaries(st.sampled_from("pqrs"), st.tuples(JUDGED, st.none() | RANKING), min_size=1))
@settings(max_examples=60, deadline=None)
def test_equals_plain_loops(queries: dict[str, tuple[dict[str, int], list[str] | None]]) -> None:
    qrels = {query_id: judged for query_id, (judged, _) in queries.items()}
    rankings = {query_id: ranking for query_id, (_, ranking) in queries.items() if ranking is not None}
    found = per_query(qrels, rankings)
    assert list(found) == list(MEASURES)
    for measure, oracle in ORACLES.items():
        assert list(found[measure]) == list(qrels)
        for query_id, judged in qrels.items():
            expected = oracle(judged, rankings.get(query_id, []))
            assert found[measure][query_id] == pytest.approx(expected, abs=1e-6), (measure, query_id)


@pytest.mark.parametrize("lowest", [-1, -2, -5, -(10**18)])
def test_queries_that_are_judged_below_0_alone(lowest: int) -> None:
    """-2 for all of a query's documents ended the process: trec_eval's code wrote beside its memory."""
    ids = [f"d{number}" for number in range(300)]
    qrels = {f"q{number}": {ids[number]: lowest if number % 2 else 2} for number in range(200)}
    found = per_query(qrels, dict.fromkeys(qrels, ids))
    assert set(found["AP"].values()) == {0.0, *(1 / (number + 1) for number in range(0, 200, 2))}


@pytest.mark.parametrize("grade", [10**6 + 1, 1_700_000_000_000, 10**300])
def test_what_is_no_grade_is_refused(grade: int) -> None:
    """A moment in time gave 0 in all measures but one."""
    with pytest.raises(InputError, match=f"judged {grade}, a grade of at most 1,000,000"):
        per_query({"q": {"d": grade}}, {"q": ["d"]})
    assert measured({"d": 10**6}, ["d"]) == {"nDCG@10": 1, "RR@10": 1, "AP": 1, "R@100": 1}


def test_by_hand() -> None:
    # Ranks 1, 3 and 4 are relevant with grades 1, 2 and 1; one more relevant document is not found.
    judged = {"a": 1, "c": 2, "d": 1, "gone": 3, "b": 0}
    # DCG  = 1/log2(2) + 2/log2(4) + 1/log2(5)              = 1 + 1 + 0.430677          = 2.430677
    # IDCG = 3/log2(2) + 2/log2(3) + 1/log2(4) + 1/log2(5)  = 3 + 1.261860 + 0.5 + 0.430677 = 5.192536
    # AP   = (1/1 + 2/3 + 3/4) / 4 = 0.604167; R = 3/4; RR = 1
    assert measured(judged, ["a", "b", "c", "d"]) == pytest.approx(
        {"nDCG@10": 2.430677 / 5.192536, "RR@10": 1.0, "AP": 0.604167, "R@100": 0.75}, abs=1e-6
    )


def test_the_cut_is_after_10_ranks_and_after_100() -> None:
    ids = [f"n{number}" for number in range(150)]
    at = {rank: measured({"x": 1}, [*ids[: rank - 1], "x", *ids[rank:]]) for rank in (10, 11, 100, 101)}
    assert at[10]["RR@10"] == pytest.approx(0.1)
    assert at[10]["nDCG@10"] > at[11]["nDCG@10"] == at[11]["RR@10"] == 0
    assert at[100]["R@100"] == 1 > at[101]["R@100"] == 0
    assert at[101]["AP"] == pytest.approx(1 / 101)


@pytest.mark.parametrize("ids", [["a", "b"], ["b", "a"], ["9", "10"], ["é", "e"]])
def test_the_order_of_a_ranking_is_taken_as_it_stands(ids: list[str]) -> None:
    """Where all scores are equal trec_eval would sort by doc_id downwards; here the first comes first."""
    assert measured({ids[0]: 1}, ids)["RR@10"] == 1.0
    assert measured({ids[1]: 1}, ids)["RR@10"] == 0.5


def test_a_judged_query_without_a_ranking_counts_0() -> None:
    qrels = {"q": {"a": 1}, "missing": {"a": 1}, "empty": {"a": 2}}
    found = per_query(qrels, {"q": ["a"], "empty": []})
    for measure in MEASURES:
        assert found[measure] == {"q": 1.0, "missing": 0.0, "empty": 0.0}
        assert mean(found[measure]) == pytest.approx(1 / 3)


def test_a_query_judged_with_0_only_counts_0() -> None:
    found = per_query({"zero": {"a": 0, "b": 0}, "q": {"a": 1}}, {"zero": ["a", "b"], "q": ["a"]})
    for measure in MEASURES:
        assert found[measure] == {"zero": 0.0, "q": 1.0}


def test_a_ranking_that_nobody_judged_plays_no_part() -> None:
    found = per_query({"q": {"a": 1}}, {"q": ["a"], "stranger": ["a"]})
    assert all(list(values) == ["q"] for values in found.values())


def test_ids_may_be_any_text() -> None:
    odd = ["../a", "a b\tc", "\x1b[31m", "🌹", "", "x" * 1000]
    for doc_id in odd:
        assert measured({doc_id: 1}, [*(other for other in odd if other != doc_id), doc_id])["AP"] == (
            pytest.approx(1 / len(odd))
        )
    qrels = {query_id: {"a": 1} for query_id in odd}
    assert per_query(qrels, {key: ["a"] for key in odd})["RR@10"] == dict.fromkeys(odd, 1.0)


@given(JUDGED, st.permutations(DOC_IDS), st.data())
@settings(max_examples=60, deadline=None)
def test_a_relevant_document_that_rises_past_a_lesser_one_lowers_nothing(
    judged: dict[str, int], ranking: list[str], data: st.DataObject
) -> None:
    gains = [max(0, judged.get(doc_id, 0)) for doc_id in ranking]
    rising = [place for place in range(1, len(ranking)) if gains[place] > gains[place - 1]]
    if not rising:
        return
    place = data.draw(st.sampled_from(rising))
    raised = [*ranking]
    raised[place - 1], raised[place] = ranking[place], ranking[place - 1]
    before, after = measured(judged, ranking), measured(judged, raised)
    assert all(after[measure] >= before[measure] - 1e-9 for measure in MEASURES)
    if place <= 10:  # the upper of the two is among the first ten
        assert after["nDCG@10"] > before["nDCG@10"]


@given(st.sets(st.sampled_from(DOC_IDS), min_size=1), st.permutations(DOC_IDS), st.data())
@settings(max_examples=60, deadline=None)
def test_a_relevant_document_that_rises_anywhere_lowers_nothing(
    relevant: set[str], ranking: list[str], data: st.DataObject
) -> None:
    judged = dict.fromkeys(sorted(relevant), 1)
    doc_id = data.draw(st.sampled_from(sorted(relevant)))
    to = data.draw(st.integers(0, ranking.index(doc_id)))
    others = [other for other in ranking if other != doc_id]
    before, after = measured(judged, ranking), measured(judged, [*others[:to], doc_id, *others[to:]])
    assert all(after[measure] >= before[measure] - 1e-9 for measure in MEASURES)


def test_the_mean_of_nothing_is_0() -> None:
    assert mean({}) == 0.0
    assert mean({"a": 1.0, "b": 0.0}) == 0.5
