"""The options of a training: each does what it says, together with the others, or is refused in one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as layers
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import Triples
from textrip.training.lora import add_adapters, load_plain, without_adapters
from textrip.training.loss import GroupLoss, formula, shortened
from textrip.training.names import DISTANCES, Distance
from textrip.training.relations import Batch, Relation
from textrip.training.settings import TrainSettings
from textrip.training.shaping import without_dropout
from textrip.training.train import train
from textrip.training.trainer import GroupTrainer

X, R, P, M, B = Relation
SETTINGS = TrainSettings(epochs=4, batch_queries=8, learning_rate=1e-3, margin=0.2, strategy="batch-hard")


@pytest.fixture
def triples(tiny_collection: Collection) -> Triples:
    return mine(tiny_collection)


def losses(
    settings: TrainSettings, collection: Collection, triples: Triples, folder: Path, output: Path
) -> list[float]:
    encoder = Encoder.load(folder, device="cpu")
    manifest = train(collection, triples, encoder, output, settings=settings)
    assert {parameter.dtype for parameter in encoder.model.parameters()} == {torch.float32}
    return [entry["loss"] for entry in manifest["losses"]]


@pytest.mark.parametrize(("common", "option"), [
    ({"sampling": "positive"}, {"weight_power": 1.0}),
    ({}, {"sampling": "positive"}),
    ({}, {"hardest_positive": True}),
    ({"loss": "quadruplet"}, {"second_margin": 1e-6}),
    ({}, {"margin": 1e-6}),
    ({"loss": "smooth"}, {"temperature": 0.5}),
    ({}, {"max_gradient_norm": 1e-4}),
    ({}, {"weight_decay": 10.0}),
    ({}, {"warmup_share": 0.9}),
    ({}, {"schedule": "linear"}),
    ({}, {"dropout": True}),
    ({}, {"distance": "manhattan"}),
    ({}, {"seed": 1}),
])  # fmt: skip
def test_an_option_moves_the_weights_or_the_loss(
    common: dict[str, Any], option: dict[str, Any], tiny_collection: Collection, tiny_encoder_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Two documents are relevant for a query, and for every second one four."""
    documents = [f"d{number:02d}" for number in range(60)]
    judged = {
        query_id: dict.fromkeys(documents[place : place + (4 if place % 2 else 2)], 1)
        for place, query_id in enumerate(tiny_collection.qrels["train"])
    }
    collection = replace(tiny_collection, qrels={**tiny_collection.qrels, "train": judged})
    several = mine(collection, settings=MineSettings(positives=4))
    both = []
    for options in (common, common | option):
        encoder = Encoder.load(tiny_encoder_folder, device="cpu")
        given = {"margin": 0.2, "strategy": "batch-hard", "epochs": 1, "batch_queries": 8, **options}
        if given.get("loss", "triplet") != "triplet":
            given.pop("strategy")
        manifest = train(
            collection, several, encoder, tmp_path / "m", force=True,
            settings=TrainSettings(learning_rate=1e-2, **given),
        )  # fmt: skip
        weights = torch.cat([weights.flatten() for weights in encoder.model.parameters()])
        # An open hinge moves the weights by the same whatever its margin; its loss differs.
        both.append((weights.tolist(), manifest["losses"]))
    assert both[0] != both[1]


def test_dropout_that_is_no_module_is_switched_off_too() -> None:
    """T5's attention hands its share to a function."""
    model = T5EncoderModel(T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.5,
    )).train()  # fmt: skip
    asked = torch.arange(20).reshape(2, 10)

    def passes() -> tuple[torch.Tensor, torch.Tensor]:
        return model(asked).last_hidden_state, model(asked).last_hidden_state

    with without_dropout(model):
        torch.testing.assert_close(*passes(), rtol=0, atol=0)
    one, other = passes()
    assert (one - other).abs().max() > 0.01  # and as it was


@pytest.mark.parametrize("distance", DISTANCES)
def test_matryoshka_s_distances_have_the_unit_of_the_margin(distance: Distance) -> None:
    """Vectors that repeat are as far apart when they are cut: one margin is as large for all of them."""
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(5, 4), dim=1).repeat(1, 4) / 2
    labels = {
        "anchors": torch.tensor([0, 1]),
        "relations": torch.tensor([[P, M, B], [B, M, P]], dtype=torch.int8),
    }

    def apart(batch: Batch) -> torch.Tensor:
        return batch.distances.sum() + batch.documents().sum()

    class Given(torch.nn.Module):
        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sentence_embedding": features["input_ids"]}

    whole, short = (
        float(
            GroupLoss(Given(), distance=distance, of=apart, matryoshka=dimensions)(
                [{"input_ids": vectors}], labels
            )
        )
        for dimensions in ((), (8, 4))
    )
    assert short == pytest.approx(whole, rel=1e-5)


def test_matryoshka_is_the_mean_over_dimensions() -> None:
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    labels = {
        "anchors": torch.tensor([0, 1]),
        "relations": torch.tensor([[P, M, B], [B, M, P]], dtype=torch.int8),
    }  # fmt: skip
    of = formula(
        "triplet", strategy="batch-hard", margin=1.0, temperature=1, second_margin=1, hardest_positive=False
    )

    class Given(torch.nn.Module):
        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sentence_embedding": features["input_ids"]}

    def loss(matryoshka: tuple[int, ...]) -> float:
        group = GroupLoss(Given(), distance="squared-euclidean", of=of, matryoshka=matryoshka)
        return float(group([{"input_ids": vectors}], labels))

    def alone(dimension: int) -> float:
        short = vectors[:, :dimension] / vectors[:, :dimension].norm(dim=1, keepdim=True)
        apart = torch.cdist(short[:2], short[2:]).square()
        return float(of(Batch(apart, labels["relations"], lambda: apart)))

    assert loss(()) == pytest.approx(alone(8), abs=1e-5)
    assert loss((4, 2)) == pytest.approx((alone(8) + alone(4) + alone(2)) / 3, abs=1e-5)


def test_short_vectors_are_unit_vectors_where_the_whole_ones_are() -> None:
    unit = torch.nn.functional.normalize(torch.randn(3, 6), dim=1)
    assert torch.allclose(shortened(unit, 2).norm(dim=1), torch.ones(3))
    assert torch.equal(shortened(3 * unit, 2), 3 * unit[:, :2])
    # A text without a token has no direction; the others of its batch have theirs.
    with_zeros = torch.cat([unit, torch.zeros(1, 6)])
    assert torch.equal(shortened(with_zeros, 2), torch.cat([shortened(unit, 2), torch.zeros(1, 2)]))


def test_a_dimension_that_the_encoder_lacks_is_refused(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, matryoshka=(64, 16))
    with pytest.raises(InputError, match=r"matryoshka is 64, 16; .* has 32 dimensions, fewer were expected"):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_prompts_are_trained_with_saved_and_used_ever_after(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    plain = encoder.encode(["rose"], kind="query")
    settings = replace(SETTINGS, query_prompt="query: ", epochs=1, learning_rate=1e-9)
    train(tiny_collection, triples, encoder, tmp_path / "m", settings=settings)
    saved = Encoder.load(tmp_path / "m", device="cpu")
    assert (saved.prompt("query"), saved.prompt("document")) == ("query: ", "")
    assert abs(saved.encode(["rose"], kind="query") - plain).max() > 1e-3
    bare = Encoder.load(tiny_encoder_folder, device="cpu")
    assert abs(saved.encode(["rose"], kind="query") - bare.encode(["query: rose"])).max() < 1e-4
    assert saved.fingerprint != bare.fingerprint


def test_gradient_checkpointing_gives_the_same_losses(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    plain = losses(SETTINGS, tiny_collection, triples, tiny_encoder_folder, tmp_path / "a")
    settings = replace(SETTINGS, gradient_checkpointing=True)
    assert losses(settings, tiny_collection, triples, tiny_encoder_folder, tmp_path / "b") == pytest.approx(
        plain, abs=1e-5
    )


def test_bf16_is_autocast_over_float32_weights(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    plain = losses(SETTINGS, tiny_collection, triples, tiny_encoder_folder, tmp_path / "a")
    settings = replace(SETTINGS, precision="bf16")
    lower = losses(settings, tiny_collection, triples, tiny_encoder_folder, tmp_path / "b")
    assert lower != plain
    assert lower == pytest.approx(plain, abs=0.05)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_after_the_training_the_encoder_is_the_one_that_was_saved(
    precision: Any, tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    """The library leaves its model in autocast: what is indexed next would not be what is loaded later."""
    settings = replace(SETTINGS, precision=precision)
    train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    saved = Encoder.load(tmp_path / "m", device="cpu")
    np.testing.assert_array_equal(tiny_encoder.encode(["rose", "wave"]), saved.encode(["rose", "wave"]))


def test_all_of_them_together(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    settings = replace(
        SETTINGS, precision="bf16", cache_tokens=64, matryoshka=(16, 8), query_prompt="query: ", dropout=True
    )
    manifest = train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    assert manifest["settings"]["matryoshka"] == [16, 8]
    assert TrainSettings(**manifest["settings"]) == settings


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1e-3), ("linear", 0.0)])
def test_the_rate_rises_and_then_stays_or_falls(
    schedule: str, last: float, tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rates: list[float] = []
    training_step = GroupTrainer.training_step

    def spy(self: GroupTrainer, *args: object, **kwargs: object) -> object:
        rates.append(self.optimizer.param_groups[0]["lr"])
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(GroupTrainer, "training_step", spy)
    settings = replace(SETTINGS, schedule=schedule, warmup_share=0.25)  # type: ignore[arg-type]
    train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings)
    assert len(rates) == 12
    assert rates[:4] == pytest.approx([0.0, 1e-3 / 3, 2e-3 / 3, 1e-3])
    assert rates[-1] == pytest.approx(last, abs=1.2e-4)


def test_what_saves_the_same_memory_twice_is_refused() -> None:
    with pytest.raises(InputError, match="cache_tokens and gradient_checkpointing save the same memory"):
        TrainSettings(cache_tokens=64, gradient_checkpointing=True)


@pytest.mark.parametrize("others", [
    {}, {"gradient_checkpointing": True}, pytest.param({"compile": True}, marks=pytest.mark.slow),
    {"cache_tokens": 64, "precision": "bf16", "matryoshka": (16,)},
])  # fmt: skip
def test_adapters_of_low_rank_are_all_that_learns(
    others: dict[str, Any], tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    before = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    measured: list[np.ndarray] = []

    def dev(encoder: Encoder) -> float:
        measured.append(encoder.encode(["rose tulip", "wave"]))
        return float(len(measured))

    settings = replace(SETTINGS, lora_rank=2, learning_rate=1e-2, **others)
    manifest = train(tiny_collection, triples, encoder, tmp_path / "m", settings=settings, evaluate_dev=dev)
    saved = Encoder.load(tmp_path / "m", device="cpu")
    assert saved.fingerprint == encoder.fingerprint == manifest["fingerprint"]
    # What was measured last, with adapters, is what is saved, without.
    atol = 1e-2 if settings.precision == "bf16" else 1e-5
    np.testing.assert_allclose(saved.encode(["rose tulip", "wave"]), measured[-1], atol=atol)
    np.testing.assert_array_equal(saved.encode(["rose tulip"]), encoder.encode(["rose tulip"]))
    assert abs(measured[-1] - measured[0]).max() > 1e-2
    after = saved.model.state_dict()
    assert after.keys() == before.keys()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(changed) == 2 * 6  # the six matrices of each of two layers
    for name in changed:
        assert torch.linalg.matrix_rank(after[name] - before[name], atol=1e-5) <= 2
    assert all(parameter.requires_grad for parameter in encoder.model.parameters())


def build_t5(tokenizer: Path, folder: Path) -> Path:
    """A T5 of random weights: a transformer whose layers are in another transformer within it."""
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder / "raw")
    torch.manual_seed(0)
    config = T5Config(vocab_size=500, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0)
    T5EncoderModel(config).save_pretrained(folder / "raw")
    modules = [layers.Transformer(str(folder / "raw"), max_seq_length=32), layers.Pooling(16)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder / "t5"))
    return folder / "t5"


@pytest.mark.parametrize("architecture", ["bert", "t5"])
def test_a_rollback_starts_the_adapters_anew(
    architecture: str, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    folder = tiny_encoder_folder if architecture == "bert" else build_t5(tiny_encoder_folder, tmp_path)
    base, tuned = (Encoder.load(folder, device="cpu") for _ in range(2))
    wanted = base.encode(["rose tulip"])
    add_adapters(tuned.model, 4, seed=0)
    np.testing.assert_array_equal(tuned.encode(["rose tulip"]), wanted)  # they start at 0
    for name, parameter in tuned.model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    plain = Encoder(without_adapters(tuned.model), "plain")
    np.testing.assert_allclose(plain.encode(["rose tulip"]), tuned.encode(["rose tulip"]), atol=1e-5)
    assert abs(plain.encode(["rose tulip"]) - wanted).max() > 1e-2
    load_plain(tuned.model, base.model.state_dict())
    np.testing.assert_array_equal(tuned.encode(["rose tulip"]), wanted)


def test_a_training_that_fails_leaves_no_adapters(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    def dev(encoder: Encoder) -> float:
        raise RuntimeError("dev is broken")

    names = tiny_encoder.model.state_dict().keys()
    settings = replace(SETTINGS, lora_rank=2)
    with pytest.raises(RuntimeError, match="dev is broken"):
        train(tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=settings, evaluate_dev=dev)
    assert tiny_encoder.model.state_dict().keys() == names


def test_compiled_it_takes_the_same_steps(
    tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plain = losses(SETTINGS, tiny_collection, triples, tiny_encoder_folder, tmp_path / "a")
    compiled_frames = torch._dynamo.utils.counters["stats"]
    before = compiled_frames["unique_graphs"]
    settings = replace(SETTINGS, compile=True)
    found = losses(settings, tiny_collection, triples, tiny_encoder_folder, tmp_path / "b")
    assert found == pytest.approx(plain, abs=1e-4)
    assert compiled_frames["unique_graphs"] > before
    assert not any("_orig_mod" in name for name in load_file(tmp_path / "b" / "model.safetensors"))
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(InputError, match="compile needs a C\\+\\+ compiler on a CPU"):
        losses(settings, tiny_collection, triples, tiny_encoder_folder, tmp_path / "c")
    assert not (tmp_path / "c.unfinished").exists()


@pytest.mark.gpu
@pytest.mark.parametrize("option", [
    {"compile": True}, {"cache_tokens": 64}, {"gradient_checkpointing": True}, {"precision": "bf16"},
])  # fmt: skip
def test_on_cuda_an_option_takes_the_same_steps(
    option: dict[str, Any], tiny_collection: Collection, triples: Triples, tiny_encoder_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    found = []
    for name, settings in (("a", replace(SETTINGS, precision="float32")), ("b", replace(SETTINGS, **option))):
        encoder = Encoder.load(tiny_encoder_folder, device="cuda")
        manifest = train(tiny_collection, triples, encoder, tmp_path / name, settings=settings)
        found.append([entry["loss"] for entry in manifest["losses"]])
    assert found[1] == pytest.approx(found[0], abs=1e-2)  # with bf16 in one, the least exact of them


def test_tensorboard_has_the_log_and_dev(
    tiny_collection: Collection, triples: Triples, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    manifest = train(
        tiny_collection, triples, tiny_encoder, tmp_path / "m", settings=replace(SETTINGS, epochs=7),
        evaluate_dev=lambda _encoder: 0.5, tensorboard=True,
    )  # fmt: skip
    events = EventAccumulator(str(tmp_path / "m" / "tensorboard"))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"loss", "active_mined", "spread", "d_ap/50 %", "dev/nDCG@10"} <= set(tags)
    logged = [(event.step, pytest.approx(event.value)) for event in events.Scalars("loss")]
    assert [(entry["step"], entry["loss"]) for entry in manifest["losses"]] == logged
    assert [event.step for event in events.Scalars("dev/nDCG@10")] == [0, 3, 6, 9, 12, 15, 18, 21]
