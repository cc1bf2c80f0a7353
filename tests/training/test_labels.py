"""Training on labels: P x K batches, the relations of texts, proxies, and a run that goes on."""

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import TOPICS
from tests.oracles import losses as naive
from tests.running import Run
from textrip.data.collection import Collection, dataset_of
from textrip.data.labels import by_label
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.eval.dev import dev_evaluation
from textrip.pipeline.train import prepare_labels_to_train
from textrip.training.label_batch import LabelCollator, LabelSampler
from textrip.training.loss import GroupLoss, formula
from textrip.training.names import LOSSES, OF_PROXIES, STRATEGIES, Loss, Strategy
from textrip.training.proxies import ProxyLoss, first_proxies
from textrip.training.relations import Batch, Relation
from textrip.training.settings import TrainSettings
from textrip.training.survey import buckets_of
from textrip.training.train import train

X, R, P, _, B = Relation


def test_prompts_that_differ_are_refused(labelled: Collection, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """Both sides were trained with the document's, and dev asked with the query's."""
    collection = prepare_labels_to_train(labelled)
    for prompts in ({"query_prompt": "query: "}, {"document_prompt": "rose: "}):
        with pytest.raises(InputError, match=r"by label texts are compared with texts: '.*' goes before"):
            train(collection, None, tiny_encoder, tmp_path / "m", settings=TrainSettings(**prompts))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def labelled() -> Collection:
    """120 texts of 4 labels. A label's words are common to all topics: only training can tell them apart."""
    draw = np.random.default_rng(3)
    words = [word for topic in TOPICS.values() for word in topic]
    texts, labels = [], []
    for place in range(120):
        label = place % 4
        own = draw.choice(words[label::4], 4)
        others = draw.choice(words, 3)
        texts.append(" ".join(draw.permutation([*own, *others])))
        labels.append(f"label {label}")
    return collection_of(texts, labels)


def collection_of(texts: list[str], labels: list[str]) -> Collection:
    columns = {
        "doc_id": [f"d{place:03d}" for place in range(len(texts))],
        "title": [""] * len(texts),
        "text": texts,
        "label": labels,
    }
    return Collection("labelled", dataset_of(columns), dataset_of({"query_id": [], "text": []}))


# --- the sampler


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=8),
    labels=st.integers(2, 6),
    texts=st.integers(2, 5),
    seed=st.integers(0, 3),
)
@settings(max_examples=60)
def test_no_batch_is_of_one_class(sizes: list[int], labels: int, texts: int, seed: int) -> None:
    names = [f"l{label}" for label, size in enumerate(sizes) for _ in range(size)]
    collection = collection_of([f"text {place}" for place in range(len(names))], names)
    usable = {f"l{label}": size for label, size in enumerate(sizes) if size > 1}
    if len(usable) < 2:
        with pytest.raises(InputError, match="at least 2 such labels"):
            LabelSampler(collection, batch_labels=labels, texts_per_label=texts, seed=seed)
        return
    sampler = LabelSampler(collection, batch_labels=labels, texts_per_label=texts, seed=seed)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    for batch in batches:
        found = Counter(names[row] for row in batch)
        assert len(found) == min(labels, len(usable))
        assert all(count == min(texts, usable[label]) for label, count in found.items())
        assert len(set(batch)) == len(batch)
    assert list(sampler) == batches
    sampler.set_epoch(1)
    assert len(batches) < 3 or list(sampler) != batches


def test_an_epoch_shows_what_it_has_not_shown_for_longest() -> None:
    names = ["a"] * 40 + ["b"] * 40
    collection = collection_of([f"text {place}" for place in range(80)], names)
    shown = Counter(
        row for batch in LabelSampler(collection, batch_labels=2, texts_per_label=4, seed=0) for row in batch
    )
    assert set(shown.values()) == {1}
    assert len(shown) == 80


def test_what_one_epoch_did_not_show_the_next_shows_first() -> None:
    """A label of 131 texts of which 40 are shown an epoch: after four 30 of them had never been seen."""
    names = ["large"] * 131 + ["small"] * 14
    collection = collection_of([f"text {place}" for place in range(145)], names)
    sampler = LabelSampler(collection, batch_labels=2, texts_per_label=4, seed=0)
    epochs = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    shown = Counter(row for batches in epochs for batch in batches for row in batch if names[row] == "large")
    assert max(shown.values()) - (min(shown.values()) if len(shown) == 131 else 0) <= 1
    goes_on = LabelSampler(collection, batch_labels=2, texts_per_label=4, seed=0)
    for epoch in (3, 1, 1):  # as one that was resumed asks, and one that was asked before
        goes_on.set_epoch(epoch)
        assert list(goes_on) == epochs[epoch]


def test_large_labels_come_as_often_as_their_texts_want() -> None:
    names = ["large"] * 90 + [f"s{place % 6}" for place in range(60)]
    collection = collection_of([f"text {place}" for place in range(150)], names)
    sampler = LabelSampler(collection, batch_labels=2, texts_per_label=3, seed=0)
    found = Counter(names[row] for batch in sampler for row in batch)
    assert found["large"] > 2 * max(count for label, count in found.items() if label != "large")


@pytest.mark.parametrize("sizes", [[2] * 100, [3] * 50, [90, *[2] * 60], [2, 2, 40], [9, 8, 7]])
def test_an_epoch_shows_as_many_texts_as_there_are(sizes: list[int]) -> None:
    """Of a label with fewer than K texts there are no K to show."""
    names = [f"l{label}" for label, size in enumerate(sizes) for _ in range(size)]
    collection = collection_of([f"text {place}" for place in range(len(names))], names)
    sampler = LabelSampler(collection, batch_labels=16, texts_per_label=4, seed=0)
    shown = sum(len(batch) for batch in sampler)
    largest = max(len(batch) for batch in sampler)
    assert 0.85 * len(names) <= shown < 1.15 * len(names) + largest


def test_the_plan_has_the_steps_that_are_taken(
    textrip: Run, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Labels of few texts give smaller batches, and copies of a text are one."""
    lines = [
        {"text": f"{topic} {min(number, 2)} rose", "label": topic} for topic in TOPICS for number in range(6)
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = ["train", tmp_path / "d.jsonl", "--by-label", "-o", tmp_path / "m", "--json"]
    given += ["--model", tiny_encoder_folder, "--epochs", 1, "--batch-queries", 2]
    (plan,) = textrip(*given, "--dry-run").json_lines()
    (manifest,) = textrip(*given, "--force").json_lines()
    assert plan["steps"] == manifest["steps"]


# --- the collator


def test_every_pair_of_a_label_is_an_anchor_with_its_positive(tiny_encoder: Encoder) -> None:
    texts = ["rose", "tulip", "Rose", "wave", "boat tide"]
    collection = collection_of(texts, ["garden", "garden", "garden", "sea", "sea"])
    collator = LabelCollator(collection, ["garden", "sea"], tiny_encoder)
    batch = collator([{"group": row} for row in range(5)])
    label = batch["label"]
    # The longest text comes first.
    order = ["boat tide", "rose", "tulip", "Rose", "wave"]
    assert label["classes"].tolist() == [1, 0, 0, 0, 1]
    ids = torch.cat([bucket["input_ids"][:, 1] for bucket in buckets_of(batch)])
    assert len(ids) == 5
    pairs = [
        (order[anchor], order[row.tolist().index(P)])
        for anchor, row in zip(label["anchors"].tolist(), label["relations"], strict=True)
    ]
    assert pairs == [
        ("boat tide", "wave"), ("rose", "tulip"), ("tulip", "rose"), ("tulip", "Rose"), ("Rose", "tulip"),
        ("wave", "boat tide"),
    ]  # fmt: skip
    assert label["relations"].tolist() == [
        [X, B, B, B, P],
        [B, X, P, X, B],  # Rose is a copy of rose, and no positive of it
        [B, P, X, R, B],
        [B, R, X, P, B],
        [B, X, P, X, B],
        [P, B, B, B, X],
    ]


def test_a_copy_of_a_positive_under_another_label_is_no_negative(tiny_encoder: Encoder) -> None:
    texts = ["rose tulip", "soil", "Rose tulip", "wave"]
    collection = collection_of(texts, ["garden", "garden", "sea", "sea"])
    label = LabelCollator(collection, ["garden", "sea"], tiny_encoder)([{"group": row} for row in range(4)])[
        "label"
    ]
    # In this order, the longest first: rose tulip, Rose tulip, soil, wave.
    assert label["classes"].tolist() == [0, 1, 0, 1]
    assert label["anchors"].tolist() == [0, 1, 2, 3]
    assert label["relations"].tolist() == [[X, X, P, B], [X, X, B, P], [P, X, X, B], [X, P, B, X]]


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "mined"])
@pytest.mark.parametrize("hardest", [False, True])
def test_a_batch_of_labels_equals_plain_loops(
    strategy: Strategy, hardest: bool, labelled: Collection, tiny_encoder: Encoder
) -> None:
    """Hermans' batch-all and batch-hard, and FaceNet's semi-hard over all anchor-positive pairs."""
    sampler = LabelSampler(labelled, batch_labels=3, texts_per_label=3, seed=0)
    rows = next(iter(sampler))
    batch = LabelCollator(labelled, sampler.labels, tiny_encoder)([{"group": row} for row in rows])
    labels = batch.pop("label")
    of = formula(
        "triplet", strategy=strategy, margin=0.05, temperature=1, second_margin=1, hardest_positive=hardest
    )
    loss = GroupLoss(tiny_encoder.model, distance="cosine", of=of)
    value = loss(list(buckets_of(batch)), labels).item()
    vectors = tiny_encoder.encode([labelled.texts[row] for row in rows])
    classes = [labelled.labels[row] for row in rows]
    costs = []
    for a, p in ((a, p) for a in range(9) for p in range(9) if a != p and classes[a] == classes[p]):
        apart = [1 - float(vectors[a] @ vectors[other]) for other in range(9)]
        d_ap = apart[p]
        if hardest:
            d_ap = max(apart[o] for o in range(9) if o != a and classes[o] == classes[a])
        negatives = [apart[o] for o in range(9) if classes[o] != classes[a]]
        beyond = [d for d in negatives if d > d_ap]
        chosen = {
            "batch-all": negatives,
            "batch-hard": [min(negatives)],
            "mixed": [min(negatives)],
            "semi-hard": [min(beyond) if beyond else max(negatives)],
            "in-batch": [min(beyond) if beyond else max(negatives)],
        }[strategy]
        costs += [max(0.0, d_ap - d_an + 0.05) for d_an in chosen]
    if strategy == "batch-all":
        costs = [cost for cost in costs if cost > 0]
    assert value == pytest.approx(sum(costs) / len(costs), abs=1e-5)


# --- proxies


@given(
    b=st.integers(1, 5), c=st.integers(2, 5), seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.0, 0.1]), temperature=st.sampled_from([0.05, 1.0]),
)  # fmt: skip
@settings(max_examples=100)
def test_proxy_losses_equal_plain_loops(b: int, c: int, seed: int, margin: float, temperature: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    distances = (torch.rand((b, c), generator=draw) * 2).requires_grad_()
    relations = torch.full((b, c), B, dtype=torch.int8)
    relations[torch.arange(b), torch.randint(c, (b,), generator=draw)] = P
    batch = Batch(distances, relations, lambda: torch.zeros(c, c))
    options: dict[str, Any] = {"strategy": "batch-hard", "second_margin": 1, "hardest_positive": False}
    plain = distances.tolist(), relations.tolist()
    nca = formula("proxy-nca", margin=margin, temperature=temperature, **options)(batch)
    assert nca.item() == pytest.approx(naive.proxy_nca(*plain, temperature), abs=1e-4)
    anchor = formula("proxy-anchor", margin=margin, temperature=temperature, **options)(batch)
    assert anchor.item() == pytest.approx(naive.proxy_anchor(*plain, margin, temperature), abs=1e-4)
    (gradient,) = torch.autograd.grad(nca + anchor, distances)
    assert torch.isfinite(gradient).all()
    own = relations == P
    # Nearer to its own proxy and farther from the others is better.
    assert (gradient[own] > 0).all()
    assert (gradient[~own] < 0).all()


def test_proxies_by_hand() -> None:
    batch = Batch(
        torch.tensor([[0.2, 1.0], [0.9, 0.5]]), torch.tensor([[P, B], [B, P]], dtype=torch.int8),
        lambda: torch.zeros(2, 2),
    )  # fmt: skip
    options: dict[str, Any] = {"strategy": "batch-hard", "second_margin": 1, "hardest_positive": False}
    # -log(exp(-.2) / exp(-1)) = -.8 and -log(exp(-.5) / exp(-.9)) = -.4
    nca = formula("proxy-nca", margin=0, temperature=1, **options)(batch)
    assert nca.item() == pytest.approx(-0.6)
    # s is .8 0 / .1 .5; it pulls by .8 - .1 and .5 - .1, and pushes by .1 + .1 and 0 + .1
    wanted = (math.log1p(math.exp(-0.7)) + math.log1p(math.exp(-0.4))) / 2
    wanted += (math.log1p(math.exp(0.2)) + math.log1p(math.exp(0.1))) / 2
    anchor = formula("proxy-anchor", margin=0.1, temperature=1, **options)(batch)
    assert anchor.item() == pytest.approx(wanted)


def test_the_first_proxies_are_the_means_of_their_texts(labelled: Collection, tiny_encoder: Encoder) -> None:
    few = replace(labelled, corpus=labelled.corpus.select(range(40)))
    proxies = first_proxies(few, ["label 0", "label 2"], tiny_encoder, seed=0)
    vectors = tiny_encoder.encode(few.texts)
    wanted = np.stack([vectors[0::4].mean(axis=0), vectors[2::4].mean(axis=0)])
    np.testing.assert_allclose(proxies.numpy(), wanted, atol=1e-6)


def test_proxies_learn_at_a_rate_of_their_own(
    labelled: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    """With the encoder all but still, the proxies move as their rate says."""
    moved = []
    for rate in (1e-4, 1e-2):
        seen: list[ProxyLoss] = []
        original = ProxyLoss.forward

        def forward(
            self: ProxyLoss, *given: Any, seen: list[ProxyLoss] = seen, original: Any = original
        ) -> Any:
            seen.append(self)
            return original(self, *given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ProxyLoss, "forward", forward)
            settings = replace(
                FAST, loss="proxy-anchor", epochs=1, learning_rate=1e-9, proxy_learning_rate=rate
            )
            train(labelled, None, tiny_encoder, tmp_path / str(rate), settings=settings)
        start = first_proxies(labelled, sorted(set(labelled.labels)), tiny_encoder, seed=0)
        moved.append(float((seen[-1].proxies.detach() - start).abs().mean()))
    assert 20 < moved[1] / moved[0] < 200


def test_a_rollback_takes_the_proxies_along(
    labelled: Collection, tiny_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would go on from where the collapsed encoder had led them."""
    start = first_proxies(labelled, sorted(set(labelled.labels)), tiny_encoder, seed=0)
    away: list[float] = []
    original = ProxyLoss.batch

    def batch(self: ProxyLoss, *given: Any) -> Batch:
        away.append(float((self.proxies.detach() - start).abs().mean()))
        return original(self, *given)

    monkeypatch.setattr(ProxyLoss, "batch", batch)
    scores = iter([0.9, 0.1])

    def break_it(encoder: Encoder) -> float:
        score = next(scores, 0.2)
        if score == 0.1:
            with torch.no_grad():
                for name, weights in encoder.model.named_parameters():
                    if "LayerNorm" in name:
                        weights.fill_(0.0 if name.endswith("weight") else 1.0)
        return score

    settings = replace(
        FAST, loss="proxy-anchor", learning_rate=1e-9, proxy_learning_rate=1e-2, on_collapse="rollback"
    )
    manifest = train(labelled, None, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=break_it)
    assert manifest["kept_step"] == 0
    assert max(away[:10]) > 0.02  # seen and rolled back at 10
    assert min(away[10:]) < 1e-6


# --- training

FAST = TrainSettings(epochs=12, batch_queries=4, texts_per_label=4, learning_rate=3e-3)


@pytest.mark.parametrize(("loss", "strategy"), [
    *(("triplet", strategy) for strategy in ("auto", "batch-all", "batch-hard", "semi-hard")),
    *((loss, "batch-hard" if loss == "soft-margin" else "batch-all") for loss in LOSSES if loss != "triplet"),
])  # fmt: skip
def test_it_learns_labels(
    loss: Loss, strategy: Any, labelled: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    asked = by_label(labelled)
    measure = dev_evaluation(asked, max_documents=0)
    before = measure(tiny_encoder)
    settings = replace(FAST, loss=loss, strategy=strategy, on_collapse="warn")
    manifest = train(asked, None, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=measure)
    assert max(step["nDCG@10"] for step in manifest["dev"]) > before + 0.1
    assert manifest["data"]["labels"] == 4
    assert "texts of 4 labels" in (tmp_path / "m" / "README.md").read_text()


def test_a_loss_of_labels_is_refused_without_labels(
    tiny_collection: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    from textrip.mining.mine import mine

    triples = mine(tiny_collection)
    with pytest.raises(InputError, match="proxy-nca, which compares labels: train with --by-label"):
        train(
            tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=TrainSettings(loss="proxy-nca")
        )
    with pytest.raises(InputError, match="texts_per_label is 9, and nothing is trained by label"):
        train(
            tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=TrainSettings(texts_per_label=9)
        )
    with pytest.raises(InputError, match="cache_tokens is set, and proxy-anchor needs no large batch"):
        TrainSettings(loss="proxy-anchor", cache_tokens=100)
    with pytest.raises(InputError, match="texts_per_label is 1, at least 2"):
        TrainSettings(texts_per_label=1)


@pytest.mark.parametrize("loss", ["triplet", *OF_PROXIES])
def test_a_run_on_labels_goes_on_to_the_same_weights(
    loss: Loss, labelled: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    settings = replace(FAST, epochs=3, loss=loss)
    asked = by_label(labelled)

    def run(name: str, stop_after: int | None = None, *, resume: bool = False) -> dict[str, Any]:
        # A resumed run measures the third epoch alone.
        measured = 3 if resume else 0

        def evaluate(_encoder: Encoder) -> float:
            nonlocal measured
            measured += 1
            if measured == stop_after:
                raise KeyboardInterrupt
            return float(measured)

        encoder = Encoder.load(tiny_encoder_folder, device="cpu")
        return train(
            asked, None, encoder, tmp_path / name, settings=settings, evaluate_dev=evaluate, resume=resume
        )

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stop_after=4)  # the start, and after epochs 1 and 2; the third is measured on resuming
    resumed = run("stopped", resume=True)
    assert resumed["fingerprint"] == whole["fingerprint"]
    assert [entry["loss"] for entry in resumed["losses"]] == [entry["loss"] for entry in whole["losses"]]
    assert all(one < other for one, other in pairwise(entry["step"] for entry in whole["losses"]))


def test_by_label_nothing_is_mined_to_compare(
    labelled: Collection, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    settings = TrainSettings(epochs=1, batch_queries=4, strategy="mined", margin=0.2)
    with pytest.raises(InputError, match="strategy is mined, and no group has a mined negative"):
        train(labelled, None, tiny_encoder, tmp_path / "m", settings=settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows", "message"), [
    ([("rose", "a"), ("rose", "b")] * 20, "at least 2 such labels were expected|to learn from, at least 2"),
    ([("rose", "a"), ("tulip", "a"), ("wing", "b"), ("sail", "b")], "none for dev; give more|two distinct"),
    ([(f"rose {n}", "ab"[n % 2]) for n in range(5)], "none for dev; give more|two distinct"),
])  # fmt: skip
def test_too_few_texts_are_told_in_words_of_labels(rows: list[tuple[str, str]], message: str) -> None:
    """It said that there were no judgments, and that prepare makes them, which had run."""
    corpus = dataset_of(
        {
            "doc_id": [str(n) for n in range(len(rows))],
            "title": [""] * len(rows),
            "text": [text for text, _ in rows],
            "label": [label for _, label in rows],
        }
    )
    collection = Collection("few", corpus, dataset_of({"query_id": [], "text": []}))
    with pytest.raises(InputError, match=message):
        prepare_labels_to_train(collection)
