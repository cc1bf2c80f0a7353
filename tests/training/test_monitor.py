"""What the monitor reports is what the batches were, and each diagnosis is provoked by a real training."""

import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.mine import mine
from textrip.mining.triples import Group, Negative, Triples
from textrip.records import Document
from textrip.training.diagnosis import diagnose
from textrip.training.log import _NUMBERS, Log
from textrip.training.monitor import Cost, Monitor, effective_rank, line, spread
from textrip.training.relations import Batch, Relation
from textrip.training.settings import TrainSettings
from textrip.training.train import train
from textrip.training.watch import Watch

X, R, P, M, B = Relation


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 99))
def test_the_spread_is_the_mean_cosine_distance_of_pairs(n: int, d: int, seed: int) -> None:
    vectors = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    pairs = [
        1 - float(torch.nn.functional.cosine_similarity(a, b, dim=0))
        for a, b in itertools.combinations(vectors, 2)
    ]
    assert spread(vectors) == pytest.approx(sum(pairs) / len(pairs), abs=1e-5)


def test_the_effective_rank_counts_directions() -> None:
    assert effective_rank(torch.ones(5, 3)) == 0.0
    assert effective_rank(torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])) == pytest.approx(1)
    # Centred, the corners of a square have two equal singular values.
    square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert effective_rank(square) == pytest.approx(2)
    assert effective_rank(torch.full((3, 3), math.nan)) == 0.0


def test_of_equal_rows_rounding_is_no_direction_and_no_distance() -> None:
    row = torch.nn.functional.normalize(torch.randn(384, generator=torch.Generator().manual_seed(1)), dim=0)
    scales = 1 + 1e-7 * torch.randn(50, 384, generator=torch.Generator().manual_seed(2))
    rows = row.repeat(50, 1) * scales
    assert effective_rank(rows) == 0.0
    assert all(spread(row.repeat(count, 1)) >= 0 for count in range(2, 60))  # type: ignore[operator]


def watched(monitor: Monitor, loss: float = 0.5, texts: int = 5) -> None:
    distances = torch.tensor([[0.2, 0.5, 0.9], [0.6, 0.1, 0.3]])
    relations = torch.tensor([[P, M, B], [M, P, R]], dtype=torch.int8)
    batch = Batch(distances, relations, lambda: torch.zeros(3, 3))
    seen = {"truncated": torch.tensor(1)}
    documents = torch.eye(3) if texts >= 5 else torch.ones(3, 3)
    monitor.watch(batch, documents, seen, texts=texts, tokens=40, loss=torch.tensor(loss))


def test_a_record_is_what_the_batches_were() -> None:
    monitor = Monitor(Cost(0.4))
    watched(monitor, 0.5)
    watched(monitor, 0.7)
    record = monitor.summary()
    assert record["loss"] == pytest.approx(0.6)
    # Gaps: .5 - .2 and .6 - .1 mined, .9 - .2 in the batch; margin .4.
    assert record["active_mined"] == 0.5
    assert record["active_in_batch"] == 0.0
    assert record["inverted_mined"] == 0.0
    # .4 - .3 is lacking, of three triples and of the one that is active.
    assert record["hinge_all"] == pytest.approx(0.1 / 3)
    assert record["hinge_active"] == pytest.approx(0.1)
    assert record["d_ap"] == pytest.approx([0.1, 0.15, 0.2])
    assert record["d_an"] == pytest.approx([0.5, 0.55, 0.6])
    assert record["largest_distance"] == pytest.approx(0.9)
    assert record["spread"] == pytest.approx(1.0)
    assert record["effective_rank"] == pytest.approx(2)
    assert record["truncated"] == pytest.approx(0.2)
    assert record["anchors_without_negatives"] == 0.0
    assert record["tokens_per_second"] > 0
    assert record["broken"] is None
    assert monitor.steps == []
    text = line({"step": 2, **record})
    assert "step 2  loss 0.6000  active: mined 50%, in-batch 0%  d_ap 0.10/0.15/0.20" in text
    assert "cut 20%" in text


@pytest.mark.parametrize("saved_after", [None, 1, 2])
def test_the_rank_is_that_of_the_batch_of_most_texts(saved_after: int | None) -> None:
    """The rest of an epoch, three texts, had a rank of 5 after 29: no collapse. So it is on resuming."""
    monitor = Monitor(Cost(0.4))
    for step, texts in enumerate((5, 2), start=1):
        watched(monitor, texts=texts)
        if step == saved_after:
            state = monitor.state()
            monitor = Monitor(Cost(0.4))
            monitor.restore(state)
    assert monitor.summary()["effective_rank"] == pytest.approx(2)


def test_what_is_lacking_is_of_triples_by_the_measure_of_the_loss() -> None:
    """An anchor without a positive has no triple; of a loss over pairs a distance alone counts."""
    distances = torch.tensor([[0.2, 0.5, 0.9], [0.1, 0.1, 0.3]])
    relations = torch.tensor([[P, M, B], [M, M, B]], dtype=torch.int8)
    for cost, whole in ((Cost(0.4), 0.1), (Cost(0.6, of_pairs=True), 0.1)):
        monitor = Monitor(cost)
        batch = Batch(distances, relations, lambda: torch.zeros(3, 3))
        seen = {"truncated": torch.tensor(0)}
        monitor.watch(batch, torch.eye(3), seen, texts=5, tokens=40, loss=torch.tensor(0.5))
        record = monitor.summary()
        assert record["hinge_all"] == pytest.approx(whole / 2)  # .5 and .9 against .2
        assert record["hinge_active"] == pytest.approx(whole)


def test_where_no_triple_is_active_nothing_is_divided_by_zero() -> None:
    monitor = Monitor(Cost(0.1))
    watched(monitor)
    record = monitor.summary()
    assert record["active_mined"] == record["active_in_batch"] == record["hinge_all"] == 0.0
    assert record["hinge_active"] is None


def test_a_pair_costs_by_its_own_distance() -> None:
    for cost, share in ((Cost(0.55), 1.0), (Cost(0.55, of_pairs=True), 0.5)):
        monitor = Monitor(cost)
        watched(monitor, 0.5)
        watched(monitor, 0.7)
        assert monitor.summary()["active_mined"] == share  # at .5 and .6, the positives at .2 and .1


@pytest.mark.parametrize(("broken", "where"), [
    ("loss", "the vectors are finite and the loss is not"),
    ("vectors", "the encoder's own vectors are not finite"),
])  # fmt: skip
def test_what_is_not_a_number_is_said_with_where_it_came_from(broken: str, where: str) -> None:
    monitor = Monitor(Cost(0.4))
    watched(monitor, 0.5)
    before = {"step": 10, **monitor.summary()}
    distances = torch.tensor([[0.2, math.nan if broken == "vectors" else 0.5]])
    batch = Batch(distances, torch.tensor([[P, M]], dtype=torch.int8), lambda: torch.zeros(2, 2))
    monitor.watch(
        batch, torch.eye(2), {"truncated": torch.tensor(0)}, texts=3, tokens=9, loss=torch.tensor(math.nan)
    )
    (diagnosis,) = diagnose([before, {"step": 20, **monitor.summary()}], monitor.cost)
    assert str(diagnosis) == (
        f"not a number: by step 20 {where}; the steps up to 10 were in order: lower --learning-rate"
    )


def test_the_rate_is_of_the_steps_and_not_of_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("textrip.training.monitor.time.perf_counter", lambda: clock)
    monitor = Monitor(Cost(0.4))
    watched(monitor)
    clock += 2
    monitor.idle(30.0)
    clock += 30
    assert monitor.summary()["tokens_per_second"] == pytest.approx(40 / 2)
    watched(monitor)
    clock += 1
    assert monitor.summary()["tokens_per_second"] == pytest.approx(40)


def test_the_rate_of_a_run_that_goes_on_is_of_the_steps_since(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("textrip.training.monitor.time.perf_counter", lambda: clock)
    monitor = Monitor(Cost(0.4))
    for _ in range(9):
        watched(monitor)
    goes_on = Monitor(Cost(0.4))
    goes_on.restore(monitor.state())
    watched(goes_on)
    clock += 1
    record = goes_on.summary()
    assert (record["batches"], record["tokens_per_second"]) == (10, pytest.approx(40))
    assert record["triples_per_second"] == pytest.approx(3)


def test_a_checkpoint_carries_the_steps_since_the_last_record() -> None:
    one, other = Monitor(Cost(0.4)), Monitor(Cost(0.4))
    watched(one, 0.5)
    other.restore(json.loads(json.dumps(one.state())))
    watched(one, 0.7)
    watched(other, 0.7)
    ignored = {"tokens_per_second", "triples_per_second"}
    first, second = one.summary(), other.summary()
    assert {k: v for k, v in first.items() if k not in ignored} == {
        k: v for k, v in second.items() if k not in ignored
    }


def test_the_log_has_no_nan_and_survives_a_half_written_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    record = {**dict.fromkeys(_NUMBERS, 0.5), "d_ap": None, "d_an": None}
    log.append({**record, "step": 10, "loss": math.nan, "d_ap": [1.0, 2.0, math.inf]})
    log.append({**record, "step": 20})
    log.append({**record, "step": 30})
    first = json.loads(log.path.read_text().splitlines()[0])
    assert first == {**record, "step": 10, "loss": None, "d_ap": [1.0, 2.0, None]}
    with log.path.open("a") as stream:
        stream.write('{"step": 40, "lo')
    again = Log(log.path)
    again.resume(20)
    assert [entry["step"] for entry in again.entries] == [10, 20]
    assert log.path.read_text().count("\n") == 2


# Each diagnosis, provoked.

Provoke = Callable[..., tuple[list[str], dict[str, Any]]]


@pytest.fixture
def provoke(tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path) -> Provoke:
    """Train, and return what was said and the manifest with the log."""

    def go(
        collection: Collection = tiny_collection,
        triples: Triples | None = None,
        evaluate_dev: Callable[[Encoder], float] = lambda _: 0.5,
        **options: Any,
    ) -> tuple[list[str], dict[str, Any]]:
        said: list[str] = []
        settings = TrainSettings(
            **{"epochs": 4, "batch_queries": 8, "margin": 0.2, "loss": "triplet", **options}
        )
        with progress.reporting(bars=False, say=said.append):
            manifest = train(
                collection, triples or mine(collection), tiny_encoder, tmp_path / "m", settings=settings,
                evaluate_dev=evaluate_dev,
            )  # fmt: skip
        lines = (tmp_path / "m" / "log.jsonl").read_text().splitlines()
        return said, {**manifest, "log": [json.loads(text) for text in lines]}

    return go


def collection_of(pairs: list[tuple[str, str]], distractors: list[str]) -> Collection:
    """Queries with one relevant document each."""
    texts = [*(document for _, document in pairs), *distractors]
    documents = [Document(f"d{number}", "", text) for number, text in enumerate(texts)]
    queries = {f"q{number}": query for number, (query, _) in enumerate(pairs)}
    return Collection.of(
        "made", documents, queries, {"train": {f"q{n}": {f"d{n}": 1} for n in range(len(pairs))}}
    )


def collapse(encoder: Encoder) -> None:
    """Give every text the same vector."""
    with torch.no_grad():
        for name, parameter in encoder.model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                parameter.zero_()
            if name.endswith("LayerNorm.bias"):
                parameter.fill_(1.0)


@pytest.mark.parametrize(("loss", "value"), [("triplet", "0.2"), ("smooth", "0.3")])
def test_collapsed_stops_and_keeps_the_start(
    loss: str, value: str, tiny_encoder: Encoder, provoke: Provoke
) -> None:
    collapse(tiny_encoder)
    said, manifest = provoke(epochs=20, learning_rate=1e-8, loss=loss)
    assert "collapsed: the mean distance between two documents fell from" in manifest["stopped"]
    assert f"the loss is {value}" in manifest["stopped"]
    assert "at margin 0.2; begin with --strategy semi-hard" in manifest["stopped"]
    assert manifest["steps"] == 10
    assert manifest["kept_step"] == 0
    assert len([words for words in said if words.startswith("collapsed")]) == 1


def test_vectors_that_lie_close_from_the_start_have_not_collapsed(
    tiny_encoder: Encoder, provoke: Provoke
) -> None:
    """As those of a plain language model do: what counts is how far they fell."""
    with torch.no_grad():
        biases = [p for name, p in tiny_encoder.model.named_parameters() if name.endswith("LayerNorm.bias")]
        biases[-1].add_(8.0)
    said, manifest = provoke(epochs=10, learning_rate=3e-3)
    log = manifest["log"]
    assert log[0]["spread_before"] < 0.002
    assert manifest["stopped"] is None
    assert not [words for words in said if words.startswith("collapsed")]
    assert log[-1]["spread"] > 2 * log[0]["spread_before"]


def record(step: int, **values: Any) -> dict[str, Any]:
    """A record of the monitor, with what a diagnosis asks for."""
    monitor = Monitor(Cost(0.4))
    watched(monitor)
    return {"step": step, "grad_norm": 1.0, **monitor.summary(), **values}


def test_a_collapse_within_the_first_steps_is_seen() -> None:
    first = record(10, spread_before=0.9, spread_last=0.005)
    (diagnosis,) = diagnose([first], Cost(0.4))
    assert str(diagnosis).startswith(
        "collapsed: the mean distance between two documents fell from 0.9 to 0.005"
    )
    assert diagnose([record(10, spread_before=0.9, spread_last=0.1)], Cost(0.4)) == []
    # What else it looks like has a remedy that would make it worse.
    assert [found.name for found in diagnose([{**first, "largest_distance": 1e-7}], Cost(0.4))] == [
        "collapsed"
    ]


def test_a_collapse_is_seen_by_the_last_batches() -> None:
    """In the mean over ten steps the five before it hid it."""
    monitor = Monitor(Cost(0.4))
    distances = torch.tensor([[0.2, 0.5, 0.9], [0.6, 0.1, 0.3]])
    relations = torch.tensor([[P, M, B], [M, P, R]], dtype=torch.int8)
    for vectors in [torch.eye(3)] * 5 + [torch.ones(3, 3)] * 5:
        batch = Batch(distances, relations, lambda: torch.zeros(3, 3))
        seen = {"truncated": torch.tensor(0)}
        monitor.watch(batch, vectors, seen, texts=5, tokens=40, loss=torch.tensor(0.5))
    entry = {"step": 10, "grad_norm": 1.0, **monitor.summary()}
    assert entry["spread"] == pytest.approx(0.5)
    assert [found.name for found in diagnose([entry], Cost(0.4))] == ["collapsed"]
    one_of_like_texts = Monitor(Cost(0.4))
    for vectors in [torch.eye(3)] * 9 + [torch.ones(3, 3)]:
        batch = Batch(distances, relations, lambda: torch.zeros(3, 3))
        one_of_like_texts.watch(batch, vectors, seen, texts=5, tokens=40, loss=torch.tensor(0.5))
    assert diagnose([{**entry, **one_of_like_texts.summary()}], Cost(0.4)) == []


def test_a_passage_and_its_twin_in_the_rest_of_an_epoch_are_no_collapse() -> None:
    """Of 17 queries every second batch is one alone: its two documents were taken for all vectors."""
    seen = {"truncated": torch.tensor(0)}
    many = Batch(
        torch.tensor([[0.2, 0.5, 0.9], [0.6, 0.1, 0.3]]),
        torch.tensor([[P, M, B], [M, P, R]], dtype=torch.int8),
        lambda: torch.zeros(3, 3),
    )
    one = Batch(
        torch.tensor([[0.2, 0.3]]), torch.tensor([[P, M]], dtype=torch.int8), lambda: torch.zeros(2, 2)
    )
    found = {}
    for lone in (False, True):
        monitor = Monitor(Cost(0.4), lone=lone)
        for _ in range(5):
            if not lone:
                monitor.watch(many, torch.eye(3), seen, texts=5, tokens=40, loss=torch.tensor(0.5))
            monitor.watch(one, torch.ones(2, 3), seen, texts=3, tokens=9, loss=torch.tensor(0.5))
        found[lone] = diagnose([{"step": 10, "grad_norm": 1.0, **monitor.summary()}], Cost(0.2))
    assert found[False] == []
    assert [diagnosis.name for diagnosis in found[True]] == ["collapsed"]


def test_the_gradient_of_a_collapse_is_not_the_usual_one() -> None:
    """A run that was rolled back, and learned again, was told to explode by an ordinary gradient."""
    flat = [record(10 * n, grad_norm=1e-4, spread_last=1e-9) for n in range(1, 5)]
    again = [record(50, grad_norm=0.03), record(60, grad_norm=1.0), record(70, grad_norm=1.1)]
    assert diagnose([*flat, *again], Cost(0.4)) == []
    burst = [*again, record(80, grad_norm=40.0)]
    assert [found.name for found in diagnose([*flat, *burst], Cost(0.4))] == ["exploding"]


def test_a_last_batch_of_one_query_is_no_collapse_and_no_class(
    tiny_collection: Collection, provoke: Provoke
) -> None:
    """21 groups, two a batch: 11 steps, the last record has one query and its document alone."""
    groups = mine(tiny_collection).groups[:21]
    kept = {group.query_id for group in groups}
    assert len(kept) == 21
    said, manifest = provoke(
        triples=Triples(groups), epochs=1, batch_queries=2, strategy="in-batch", learning_rate=1e-3
    )
    assert [entry["batches"] for entry in manifest["log"]] == [10, 1]
    assert manifest["log"][-1]["spread"] is None
    assert manifest["stopped"] is None
    assert not [words for words in said if words.startswith(("collapsed", "one class"))]
    assert any("step 11" in words and "spread -" in words for words in said)


def test_collapsed_goes_on_where_it_shall_only_warn(tiny_encoder: Encoder, provoke: Provoke) -> None:
    collapse(tiny_encoder)
    said, manifest = provoke(epochs=10, learning_rate=1e-8, on_collapse="warn")
    assert manifest["stopped"] is None
    assert manifest["steps"] == 30
    assert len([words for words in said if words.startswith("collapsed")]) == 1


def test_collapsed_rolls_back_at_half_the_rate_and_stops_in_the_end(
    tiny_encoder: Encoder, provoke: Provoke
) -> None:
    collapse(tiny_encoder)  # what it rolls back to has collapsed too
    said, manifest = provoke(epochs=20, learning_rate=1e-3, warmup_share=0.0, on_collapse="rollback")
    assert [words for words in said if words.startswith("rolled back")] == [
        f"rolled back to the best weights, at half the rate ({time} of at most 3)" for time in (1, 2, 3)
    ]
    assert manifest["steps"] == 40
    assert manifest["stopped"].startswith("collapsed")
    rates = [entry["learning_rate"] for entry in manifest["log"]]
    assert rates[1] < 0.6 * rates[0]


def test_a_rollback_forgets_the_moments_that_led_here(tmp_path: Path) -> None:
    weights = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weights], lr=0.4)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    weights.sum().backward()
    optimizer.step()
    assert optimizer.state[weights]
    watch = Watch(Monitor(Cost(0.2)), Log(tmp_path / "log.jsonl"), "rollback", restore=None)
    watch._halve_the_rate(optimizer, scheduler)
    assert not optimizer.state
    assert (optimizer.param_groups[0]["lr"], scheduler.base_lrs, watch.rollbacks) == (0.2, [0.2], 1)


def test_a_rollback_gives_the_best_weights_back(tiny_encoder: Encoder, provoke: Provoke) -> None:
    """What was sound is broken behind the training's back, and dev says that the start was better."""
    before = {name: weights.clone() for name, weights in tiny_encoder.model.state_dict().items()}
    scores = iter([0.9, 0.1])

    def break_it(encoder: Encoder) -> float:
        score = next(scores, 0.2)
        if score == 0.1:
            collapse(encoder)
        return score

    said, manifest = provoke(epochs=10, learning_rate=1e-9, on_collapse="rollback", evaluate_dev=break_it)
    assert any(words.startswith("rolled back") for words in said), said
    assert manifest["kept_step"] == 0
    # Broken after step 3, seen and rolled back at 10.
    (first, second, *_) = manifest["log"]
    assert first["spread_last"] < 1e-3 < first["spread_before"] == pytest.approx(second["spread"], rel=0.5)
    for name, weights in tiny_encoder.model.state_dict().items():
        assert torch.equal(weights, before[name]), name


def test_a_margin_that_cannot_be_met(tiny_encoder: Encoder, provoke: Provoke) -> None:
    del tiny_encoder.model[2]  # without Normalize a Euclidean distance has no upper limit
    said, _ = provoke(distance="euclidean", margin=1000.0)
    assert any(
        words.startswith("margin cannot be met: margin is 1000, the largest distance") for words in said
    )


def test_one_class_per_batch(tiny_encoder: Encoder, provoke: Provoke) -> None:
    documents = [
        Document(f"d{number}", "", text) for number, text in enumerate(["rose", "tulip", "soil", "seed"])
    ]
    judged = {f"q{query}": {f"d{number}": 1 for number in range(4)} for query in range(4)}
    queries = {f"q{query}": f"plants {query}" for query in range(4)}
    collection = Collection.of("alike", documents, queries, {"train": judged})
    groups = [Group(f"q{query}", f"d{query}", ()) for query in range(4)]
    said, _ = provoke(collection, Triples(groups), epochs=10)
    assert any(
        words.startswith("one class per batch: no anchor of the last batches had a negative")
        for words in said
    )


def test_all_easy(provoke: Provoke) -> None:
    words = ["rose", "wave", "oven", "violin", "orbit", "tulip", "boat", "flour"]
    collection = collection_of([(f"{word} {word}", f"{word} {word} {word}") for word in words], [])
    groups = [
        Group(f"q{n}", f"d{n}", (Negative(f"d{(n + 1) % 8}", 1, 1.0, "bm25"),)) for n in range(len(words))
    ]
    said, _ = provoke(collection, Triples(groups), epochs=10, margin=1e-4, learning_rate=1e-6)
    assert any(
        words.startswith("all easy: at most 0.0% of the triples cost anything; mine") for words in said
    )


@pytest.mark.parametrize(("loss", "margin", "easy"), [
    ("smooth", 0.0, False),
    ("smooth", 0.01, False),
    ("soft-margin", "auto", False),
    ("contrastive", 0.001, True),
])  # fmt: skip
def test_what_pulls_on_beyond_its_margin_is_not_easy(
    loss: str, margin: Any, easy: bool, provoke: Provoke
) -> None:
    """Positives near, negatives far: a hinge is content, and so is a contrastive loss of a small margin."""
    words = ["rose", "wave", "oven", "violin", "orbit", "tulip", "boat", "flour"]
    collection = collection_of([(f"{word} {word}", f"{word} {word} {word}") for word in words], [])
    groups = [
        Group(f"q{n}", f"d{n}", (Negative(f"d{(n + 1) % 8}", 1, 1.0, "bm25"),)) for n in range(len(words))
    ]
    softness = {"temperature": 0.3} if loss == "smooth" else {}
    said, manifest = provoke(
        collection, Triples(groups), epochs=10, margin=margin, learning_rate=1e-6, loss=loss, **softness
    )
    assert any(words.startswith("all easy") for words in said) == easy, said
    active = manifest["log"][-1]["active_mined"]
    assert active == 0.0


def test_negatives_nearer_than_positives(provoke: Provoke) -> None:
    words = ["rose", "wave", "oven", "violin", "orbit", "tulip", "boat", "flour"]
    pairs = [(f"{word} {word}", f"{words[n - 3]} dust salt") for n, word in enumerate(words)]
    collection = collection_of(pairs, [f"{word} {word} {word}" for word in words])
    groups = [Group(f"q{n}", f"d{n}", (Negative(f"d{n + 8}", 1, 1.0, "bm25"),)) for n in range(len(words))]
    said, _ = provoke(
        collection, Triples(groups), epochs=10, learning_rate=1e-6, strategy="batch-hard"
    )  # fmt: skip
    assert any(
        words.startswith("negatives nearer than positives: in 100% of the mined triples") for words in said
    )


def test_exploding(tiny_encoder: Encoder, provoke: Provoke) -> None:
    del tiny_encoder.model[2]
    asked = 0

    def flip_a_bit(encoder: Encoder) -> float:
        nonlocal asked
        asked += 1
        if asked == 14:  # after 13 epochs of 3 steps, and 3 records
            with torch.no_grad():
                list(encoder.model.parameters())[-4].mul_(64)
        return 0.5

    said, _ = provoke(
        epochs=20, learning_rate=1e-5, distance="squared-euclidean", margin=1.0, on_collapse="warn",
        evaluate_dev=flip_a_bit,
    )  # fmt: skip
    assert any(words.startswith("exploding: the gradient's norm is") for words in said), said


def test_a_healthy_run_has_no_diagnosis(provoke: Provoke) -> None:
    said, manifest = provoke(epochs=10, learning_rate=1e-3, margin="auto")
    assert manifest["stopped"] is None
    names = (
        "collapsed",
        "margin cannot",
        "one class",
        "all easy",
        "negatives nearer",
        "exploding",
        "not a number",
    )
    assert not [words for words in said if words.startswith(names)]
    assert [words for words in said if words.startswith("step 10 ")]
    assert [words for words in said if words.startswith("step 30 ")]


def test_a_training_says_when_it_rests(provoke: Provoke, monkeypatch: pytest.MonkeyPatch) -> None:
    rested: list[float] = []
    monkeypatch.setattr(Monitor, "idle", lambda _, seconds: rested.append(seconds))

    def slowly(_: Encoder) -> float:
        time.sleep(0.2)
        return 0.5

    provoke(epochs=2, evaluate_dev=slowly)
    assert sum(seconds >= 0.2 for seconds in rested) == 2  # after each epoch; the start is before the steps
