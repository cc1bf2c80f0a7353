"""Training: it learns, the same for the same seed; the best on dev is kept; what is bad is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, TextripError
from textrip.eval.dev import dev_evaluation
from textrip.eval.evaluate import evaluate
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.training.diagnosis import DivergedError
from textrip.training.log import _NUMBERS, Log, read_log
from textrip.training.names import LOSSES, OF_PROXIES, STRATEGIES, Loss, Strategy
from textrip.training.run_folder import RunFolder
from textrip.training.settings import TrainSettings
from textrip.training.shaping import without_dropout
from textrip.training.train import _lost_peers, train
from textrip.training.trainer import GroupTrainer

FAST = TrainSettings(epochs=12, batch_queries=8, learning_rate=5e-3, strategy="batch-hard")


@pytest.fixture
def triples(tiny_collection: Collection) -> Triples:
    return mine(tiny_collection, settings=MineSettings(negatives=2))


def train_ndcg(collection: Collection, encoder: Encoder) -> float:
    return evaluate(collection, split="train", bm25=False, encoders=[encoder])[encoder.name]["nDCG@10"]


@pytest.mark.parametrize(
    ("loss", "strategy"),
    [
        *(("triplet", strategy) for strategy in STRATEGIES),
        ("soft-margin", "batch-hard"),
        *((loss, "batch-all") for loss in LOSSES[2:] if loss not in OF_PROXIES),
    ],
)
def test_it_learns_its_training_queries(
    loss: Loss,
    strategy: Strategy,
    tiny_collection: Collection,
    triples: Triples,
    tiny_encoder: Encoder,
    tmp_path: Path,
) -> None:
    before = train_ndcg(tiny_collection, tiny_encoder)
    settings = TrainSettings(
        epochs=12, batch_queries=8, learning_rate=5e-3, loss=loss, strategy=strategy,
        margin=0.5 if "contrastive" in loss else "auto" if loss == "soft-margin" else 0.2,
    )  # fmt: skip
    manifest = train(tiny_collection, triples, tiny_encoder, tmp_path / "model", settings=settings)
    assert train_ndcg(tiny_collection, tiny_encoder) > before + 0.15
    assert manifest["losses"][-1]["loss"] < manifest["losses"][0]["loss"]


def test_the_result_is_an_ordinary_folder_with_card_and_manifest(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    folder = tmp_path / "model"
    settings = TrainSettings(epochs=1, batch_queries=8, max_length_tokens=24)
    manifest = train(
        tiny_collection, triples, tiny_encoder, folder, settings=settings, evaluate_dev=lambda _: 0.5
    )
    texts = ["rose tulip", "wave " * 40]
    loaded = SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(loaded.encode(texts), tiny_encoder.encode(texts), atol=1e-6)
    assert loaded.max_seq_length == 24
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    assert manifest["data"]["collection_sha256"] == tiny_collection.fingerprint
    assert manifest["fingerprint"] == Encoder.load(folder, device="cpu").fingerprint
    card = (folder / "README.md").read_text()
    assert "| before | 0.5000 |" in card
    # `encode` puts no prompt before a text, or the base's default one.
    assert re.findall(r"model\.(\w+)\(", card) == ["encode_query", "encode_document"]
    assert not [path for path in folder.rglob("*") if path.suffix in {".bin", ".pkl", ".pt"}]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_same_seed_gives_the_same_weights(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    def fingerprint(name: str, seed: int, dropout: bool) -> str:
        encoder = Encoder.load(tiny_encoder_folder, device="cpu")
        settings = TrainSettings(epochs=2, batch_queries=8, learning_rate=1e-3, seed=seed, dropout=dropout)
        return str(
            train(tiny_collection, triples, encoder, tmp_path / name, settings=settings)["fingerprint"]
        )

    assert fingerprint("a", 1, True) == fingerprint("b", 1, True)
    assert fingerprint("c", 2, True) != fingerprint("d", 1, True)


@pytest.mark.parametrize(("scores", "kept"), [
    ([0.5, 0.4, 0.6, 0.55], 6),
    ([0.5, 0.4, 0.3, 0.2], 0),
    ([0.1, 0.2, 0.3, 0.4], 9),
    ([0.5, 0.5, 0.5, 0.5], 0),
])  # fmt: skip
def test_the_best_on_dev_is_saved_and_the_start_takes_part(
    scores: list[float],
    kept: int,
    tiny_collection: Collection,
    triples: Triples,
    tiny_encoder: Encoder,
    tmp_path: Path,
) -> None:
    seen: list[str] = []

    def evaluate_dev(encoder: Encoder) -> float:
        seen.append(encoder.fingerprint)
        return scores[len(seen) - 1]

    settings = TrainSettings(epochs=3, batch_queries=8, learning_rate=1e-3)
    manifest = train(
        tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=evaluate_dev
    )
    assert len(set(seen)) == 4
    assert manifest["kept_step"] == kept
    assert manifest["fingerprint"] == seen[scores.index(max(scores))]
    assert [step["nDCG@10"] for step in manifest["dev"]] == scores


def test_master_weights_stay_float32_and_decay_spares_biases_and_norms(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    groups: list[dict[str, object]] = []
    original = GroupTrainer.train

    def spy(self: object, *args: object, **kwargs: object) -> object:
        result = original(self, *args, **kwargs)
        names = {parameter: name for name, parameter in self.loss.named_parameters()}  # type: ignore[attr-defined]
        groups.extend(
            {"decay": group["weight_decay"], "names": [names[p] for p in group["params"]]}
            for group in self.optimizer.param_groups  # type: ignore[attr-defined]
        )
        return result

    monkeypatch.setattr(GroupTrainer, "train", spy)
    train(
        tiny_collection,
        triples,
        tiny_encoder,
        tmp_path / "m",
        settings=TrainSettings(epochs=1, batch_queries=8),
    )
    assert {p.dtype for p in tiny_encoder.model.parameters()} == {torch.float32}
    spared = [name for group in groups if group["decay"] == 0 for name in group["names"]]  # type: ignore[attr-defined]
    decayed = [name for group in groups if group["decay"] != 0 for name in group["names"]]  # type: ignore[attr-defined]
    assert any("LayerNorm" in name for name in spared)
    assert any(name.endswith("bias") for name in spared)
    assert decayed
    assert not [name for name in decayed if "LayerNorm" in name or name.endswith("bias")]


def test_dropout_is_off_inside_and_as_it_was_after(tiny_encoder: Encoder) -> None:
    model = tiny_encoder.model
    before = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    with without_dropout(model):
        assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}
    assert [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)] == before
    assert max(before) > 0


def test_a_loss_that_is_not_a_number_is_said_and_nothing_is_written(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    with torch.no_grad():
        next(tiny_encoder.model.parameters())[:] = float("nan")
    # The first look at the loss would be after 10 steps; a checkpoint, of no use to anybody, after 3.
    with pytest.raises(
        TextripError,
        match="not a number: by step 3 the encoder's own vectors are not finite; look at the base",
    ):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=replace(FAST, margin=0.2))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="the untuned encoder gives vectors that are NaN or infinite"):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=FAST)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_number_is_said_before_dev_is_measured(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    """The first look at the loss would be after 10 steps, and an epoch has 3."""
    dev = dev_evaluation(tiny_collection, max_documents=0)
    settings = replace(FAST, margin=0.2, loss="smooth", strategy="batch-all", temperature=1e-40)
    with pytest.raises(
        TextripError, match="not a number: by step 3 the vectors are finite and the loss is not"
    ):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=dev)
    assert list(tmp_path.iterdir()) == []


def test_of_what_was_recorded_as_no_number_nothing_is_measured_or_saved(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    """The record of step 10 had emptied what the end of the epoch looked at."""
    measured = 0

    def evaluate(_: Encoder) -> float:
        nonlocal measured
        measured += 1
        return 0.5

    settings = replace(
        FAST, margin=0.2, loss="smooth", strategy="batch-all", temperature=1e-40, epochs=2, batch_queries=2
    )
    run = RunFolder(tmp_path / "run")
    with pytest.raises(TextripError, match="not a number: by step 10 the vectors are finite"):
        train(
            tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=evaluate,
            run=run,
        )  # fmt: skip
    assert measured == 1  # the untuned encoder
    assert not list(run.path.glob("checkpoint-*"))


def test_weights_that_are_not_numbers_are_said_before_they_are_measured(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    dev = dev_evaluation(tiny_collection, max_documents=0)
    with torch.no_grad():
        next(tiny_encoder.model.parameters())[:] = float("nan")
    with pytest.raises(TextripError, match=r"not a number: before the first step, .* is not finite"):
        train(
            tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=replace(FAST, margin=0.2),
            evaluate_dev=dev,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_vectors_that_are_no_numbers_after_a_step_are_the_trainings_end(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    """The weights are finite, and too large: the base was blamed, and a run left to go on with."""
    known = dev_evaluation(tiny_collection, max_documents=0)
    measured: list[int] = []

    def dev(encoder: Encoder) -> float:
        measured.append(1)
        if len(measured) == 2:
            with torch.no_grad():
                for name, weights in encoder.model.named_parameters():
                    if "word_embeddings" in name or "LayerNorm.weight" in name:
                        weights[:] = 3e38
        return known(encoder)

    with pytest.raises(DivergedError, match=r"not a number: after step \d+ the vectors are not finite"):
        train(
            tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=replace(FAST, margin=0.2),
            evaluate_dev=dev,
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["query", "document"])
def test_a_prompt_behind_which_nothing_is_read_is_refused(
    kind: str, tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    """All texts had one vector, and the training went on with it."""
    settings = replace(FAST, max_length_tokens=16, **{f"{kind}_prompt": "rose " * 14})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"{kind}_prompt has 16 tokens, and 16 are read of a text with its"):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_bad_settings_are_refused_together() -> None:
    with pytest.raises(
        InputError, match=r"epochs is 0.*learning_rate is 3.*loss is 'x'.*strategy is 'easy'.*margin is nan"
    ):
        TrainSettings(epochs=0, learning_rate=3, loss="x", strategy="easy", margin=float("nan"))  # type: ignore[arg-type]


def test_a_gradient_is_clipped_at_a_number() -> None:
    """JSON has no infinity: the manifest could not be read by others."""
    with pytest.raises(InputError, match="max_gradient_norm is inf, a number above 0"):
        TrainSettings(max_gradient_norm=float("inf"))


def test_a_batch_of_one_query_has_no_negatives_of_its_own() -> None:
    TrainSettings(batch_queries=1, strategy="mined")
    with pytest.raises(InputError, match="batch_queries is 1, and strategy batch-hard takes negatives"):
        TrainSettings(batch_queries=1, strategy="batch-hard")


@pytest.mark.parametrize(("settings", "reason"), [
    (TrainSettings(margin=5.0), "margin is 5; for cosine distance it must be above 0 and at most 2"),
    (TrainSettings(margin=3.0, distance="euclidean"), "euclidean distance between unit vectors .* at most 2"),
    (TrainSettings(max_length_tokens=1000), "reads at most 64 tokens"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused_before_any_step(
    settings: TrainSettings, reason: str, tiny_collection: Collection, triples: Triples,
    tiny_encoder: Encoder, tmp_path: Path,
) -> None:  # fmt: skip
    asked: list[Encoder] = []

    def evaluate_dev(encoder: Encoder) -> float:
        asked.append(encoder)
        return 0.0

    with pytest.raises(InputError, match=reason):
        train(
            tiny_collection,
            triples,
            tiny_encoder,
            tmp_path / "m",
            settings=settings,
            evaluate_dev=evaluate_dev,
        )
    assert list(tmp_path.iterdir()) == []
    assert asked == []


def test_an_existing_folder_is_refused(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="exists; name another place or overwrite it with --force"):
        train(tiny_collection, triples, tiny_encoder, tmp_path)


@pytest.mark.gpu
def test_it_learns_on_cuda_in_bf16(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    encoder = Encoder.load(tiny_encoder_folder, device="cuda")
    before = train_ndcg(tiny_collection, encoder)
    seen: set[torch.dtype] = set()
    linear = next(module for module in encoder.model.modules() if isinstance(module, torch.nn.Linear))
    hook = linear.register_forward_hook(
        lambda module, _, out: seen.add(out.dtype) if module.training else None
    )
    train(tiny_collection, triples, encoder, tmp_path / "m", settings=FAST)
    hook.remove()
    assert seen >= {torch.bfloat16}
    assert {p.dtype for p in encoder.model.parameters()} == {torch.float32}
    assert train_ndcg(tiny_collection, encoder) > before + 0.15


def test_a_strategy_without_mined_negatives_encodes_none(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    settings = TrainSettings(epochs=1, batch_queries=8, strategy="in-batch", margin=0.2)
    train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    entries = [json.loads(line) for line in (tmp_path / "m" / "log.jsonl").read_text().splitlines()]
    assert [entry["active_mined"] for entry in entries] == [None]
    assert entries[0]["active_in_batch"] > 0


def test_what_auto_chose_is_in_the_manifest(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    manifest = train(
        tiny_collection,
        triples,
        tiny_encoder,
        tmp_path / "m",
        settings=TrainSettings(epochs=1, batch_queries=8),
    )
    chosen = manifest["chosen"]
    assert chosen["margin"] == manifest["settings"]["margin"] > 0
    assert chosen["strategy"] == manifest["settings"]["strategy"]
    assert chosen["distance"] == "cosine"
    assert 0 < chosen["active_share"] < 1
    settings = TrainSettings(epochs=1, batch_queries=8, margin=0.2, strategy="mined")
    given = train(tiny_collection, triples, tiny_encoder, tmp_path / "n", settings=settings)
    assert given["chosen"] is None


def test_the_survey_keeps_to_the_budget_of_gradient_caching(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    largest = 0

    def look(module: torch.nn.Module, given: tuple[dict[str, torch.Tensor], ...]) -> None:
        nonlocal largest
        largest = max(largest, given[0]["input_ids"].numel())

    tiny_encoder.model.register_forward_pre_hook(look)
    settings = TrainSettings(batch_queries=24, cache_tokens=64, epochs=1)
    train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    assert 0 < largest <= 64


def test_a_strategy_that_finds_no_triplets_is_refused(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    bare = replace(triples, groups=[replace(group, negatives=()) for group in triples.groups])
    settings = TrainSettings(epochs=1, batch_queries=8, strategy="mined", margin=0.2)
    with pytest.raises(InputError, match="strategy is mined, and no group has a mined negative"):
        train(tiny_collection, bare, tiny_encoder, tmp_path / "m", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_a_second_margin_that_no_pair_could_satisfy_is_refused(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    settings = TrainSettings(epochs=1, batch_queries=8, loss="quadruplet", second_margin=50)
    with pytest.raises(InputError, match=r"second_margin is 50; for cosine distance .* at most 2"):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("options", "reason"), [
    ({"loss": "smooth", "strategy": "semi-hard"}, "strategy is semi-hard, which chooses among triplets"),
    ({"loss": "smooth", "strategy": "batch-hard"}, "strategy is batch-hard, which chooses among triplets"),
    ({"loss": "contrastive", "strategy": "mined"}, "strategy is mined, which chooses among triplets"),
    ({"loss": "contrastive", "hardest_positive": True}, "hardest_positive is set, and loss contrastive"),
    ({"loss": "soft-margin", "margin": 0.7}, "margin is 0.7, and loss soft-margin has none: auto"),
    ({"loss": "triplet", "second_margin": 0.1}, "second_margin is set, and loss triplet has none"),
    ({"loss": "triplet", "temperature": 0.1}, "temperature is 0.1, and loss triplet has none"),
    ({"proxy_learning_rate": 0.1}, "proxy_learning_rate is 0.1, and loss smooth has none"),
    ({"weight_decay": -1.0}, r"weight_decay is -1, from 0 to 100"),
    ({"weight_decay": float("nan")}, r"weight_decay is nan, from 0 to 100"),
    ({"max_gradient_norm": -3.0}, "max_gradient_norm is -3, a number above 0"),
])  # fmt: skip
def test_what_would_have_nothing_to_do_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        TrainSettings(**options)


def test_a_run_that_ends_inside_an_epoch_is_measured_once_in_the_end(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    settings = TrainSettings(batch_queries=4, epochs=0.5, evaluations=2, margin=0.2)
    manifest = train(
        tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=lambda _: 0.5
    )
    assert manifest["steps"] == 3  # 6 an epoch
    assert [entry["step"] for entry in manifest["dev"]] == [0, 3]


def test_gradient_caching_trains_as_without_it(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    losses = []
    for name, tokens in (("whole", None), ("cached", 64)):
        encoder = Encoder.load(tiny_encoder_folder, device="cpu")
        settings = replace(FAST, margin=0.2, cache_tokens=tokens)
        losses.append(train(tiny_collection, triples, encoder, tmp_path / name, settings=settings)["losses"])
    assert [entry["loss"] for entry in losses[1]] == pytest.approx(
        [entry["loss"] for entry in losses[0]], abs=1e-3
    )


@pytest.mark.parametrize("line", [
    b"3", b"{}", b"null", b"[]", b'{"step": null}', b'{"step": "x"}', b"\xff", b"[" * 100_000,
    b'{"step": 2, "loss": "x"}', b'{"step": 2, "loss": 0.5}',
])  # fmt: skip
def test_a_log_ends_before_a_line_that_no_training_wrote(line: bytes, tmp_path: Path) -> None:
    """Each of them made a resumed run end as a mistake of textrip's."""
    path = tmp_path / "log.jsonl"
    numbers = dict.fromkeys(_NUMBERS, 0.5)
    first = {"step": 1, **numbers, "d_ap": [0.1, 0.2, 0.3], "d_an": None}
    path.write_bytes(json.dumps(first).encode() + b"\n" + line + b"\n")
    assert read_log(path) == [first]
    log = Log(path)
    log.resume(5)
    assert log.entries == [first]
    assert read_log(path) == [first]


def test_a_process_that_is_lost_is_told_with_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By gloo's words, which were a mistake of textrip's; alone in its process a run has lost nobody."""
    closed = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:17812")
    run = RunFolder(tmp_path / "m.unfinished")
    with pytest.raises(RuntimeError, match="gloo"), _lost_peers(run):
        raise closed
    monkeypatch.setattr("textrip.processes.count", lambda: 2)
    told = (
        r"another of the 2 processes has ended.*start all of them again with: textrip train --resume .*m.unf"
    )
    with pytest.raises(TextripError, match=told), _lost_peers(run):
        raise closed
    with pytest.raises(RuntimeError, match="of another kind"), _lost_peers(run):
        raise RuntimeError("of another kind")
