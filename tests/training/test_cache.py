"""Gradient caching: the gradients are those of a step without it, dropout included."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.mining.mine import mine
from textrip.training.batch import GroupCollator
from textrip.training.cache import chunks
from textrip.training.loss import GroupLoss, formula
from textrip.training.names import Distance
from textrip.training.shaping import without_dropout
from textrip.training.survey import buckets_of, on_device


def step(
    encoder: Encoder, collection: Collection, cache_tokens: int | None, distance: Distance = "cosine"
) -> tuple[float, dict[str, Tensor]]:
    """One step's loss and gradients; the loss is scaled, as gradient accumulation does."""
    triples = mine(collection)
    collated: dict[str, Any] = GroupCollator(triples, collection, encoder)(
        [{"group": place} for place in range(12)]
    )
    device = encoder.model.device
    labels = on_device(device, collated.pop("label"))
    of = formula(
        "triplet",
        strategy="batch-hard",
        margin=0.5,
        temperature=0.1,
        second_margin=0.1,
        hardest_positive=False,
    )
    loss = GroupLoss(encoder.model, distance=distance, of=of, cache_tokens=cache_tokens)
    encoder.model.train()
    encoder.model.zero_grad()
    torch.manual_seed(4)
    value = loss([on_device(device, bucket) for bucket in buckets_of(collated)], labels)
    (value / 3).backward()
    return value.item(), {
        name: parameter.grad.clone()
        for name, parameter in encoder.model.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("tokens", [1, 40, 100, 10**6])
def test_the_gradients_are_those_of_a_whole_batch(
    tokens: int, distance: Distance, tiny_collection: Collection, tiny_encoder: Encoder
) -> None:
    with without_dropout(tiny_encoder.model):
        loss, gradients = step(tiny_encoder, tiny_collection, None, distance)
        cached_loss, cached = step(tiny_encoder, tiny_collection, tokens, distance)
    assert cached_loss == pytest.approx(loss, abs=1e-6)
    assert cached.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(cached[name], gradient, atol=1e-5, rtol=1e-4)
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 1e-3


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_dropout_is_replayed(device: str, tiny_collection: Collection, tiny_encoder_folder: Path) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    tiny_encoder = Encoder.load(tiny_encoder_folder, device=device)
    # One chunk a bucket draws its masks in the order of a step without a cache: a replay that draws
    # others gives other gradients.
    loss, gradients = step(tiny_encoder, tiny_collection, None)
    cached_loss, cached = step(tiny_encoder, tiny_collection, 10**6)
    assert cached_loss == pytest.approx(loss, abs=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(cached[name], gradient, atol=1e-5, rtol=1e-4)


def test_replaying_leaves_the_random_state_alone(tiny_collection: Collection, tiny_encoder: Encoder) -> None:
    step(tiny_encoder, tiny_collection, None)
    after = torch.rand(3)
    step(tiny_encoder, tiny_collection, 10**6)
    assert torch.equal(torch.rand(3), after)


def test_no_chunk_is_over_the_budget_and_no_text_is_lost() -> None:
    bucket: dict[str, Any] = {"input_ids": torch.arange(70).reshape(7, 10), "modality": "text"}
    pieces = list(chunks([bucket, bucket], 25))
    assert [piece["input_ids"].shape[0] for piece in pieces] == [2, 2, 2, 1, 2, 2, 2, 1]
    assert torch.equal(torch.cat([piece["input_ids"] for piece in pieces[:4]]), bucket["input_ids"])
    assert [piece["input_ids"].shape[0] for piece in chunks([bucket], 3)] == [1] * 7
