"""The options of a training: each does what it says, together with the others, or is refused in one line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.mining.mine import mine
from textrip.mining.triples import Triples
from textrip.training.loss import GroupLoss, formula, shortened
from textrip.training.relations import Batch, Relation
from textrip.training.settings import TrainSettings
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
