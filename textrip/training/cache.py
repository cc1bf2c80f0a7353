"""Gradient caching: batches of any size in the memory of a few texts.

"Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", Gao et al., RepL4NLP 2021,
arXiv 2101.06983. The texts are encoded twice: once without a gradient, to get all vectors, the loss and its
gradient by vector; and once chunk by chunk with one, to carry that gradient into the weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Features = dict[str, Any]


def chunks(buckets: Sequence[Features], max_tokens: int) -> Iterator[Features]:
    """Cut buckets so that no piece has more padded tokens than the budget, and at least one text."""
    for bucket in buckets:
        texts, length = bucket["input_ids"].shape
        size = max(1, max_tokens // length)
        for start in range(0, texts, size):
            yield {
                name: value[start : start + size] if isinstance(value, Tensor) else value
                for name, value in bucket.items()
            }


@dataclass(frozen=True)
class _Chunk:
    """A piece of a batch with the random state and the precision of its first pass."""

    features: Features
    cpu_state: Tensor
    device_state: Tensor | None
    device: torch.device
    autocast: torch.dtype | None

    @classmethod
    def of(cls, features: Features) -> "_Chunk":
        device = features["input_ids"].device
        return cls(
            features,
            torch.get_rng_state(),
            torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            device,
            torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None,
        )

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """The dropout masks and the precision of the first pass, whatever is in force outside."""
        with ExitStack() as stack:
            devices = [self.device] if self.device_state is not None else []
            stack.enter_context(torch.random.fork_rng(devices=devices))
            torch.set_rng_state(self.cpu_state)
            if self.device_state is not None:
                torch.cuda.set_rng_state(self.device_state, self.device)
            enabled = self.autocast is not None
            stack.enter_context(torch.autocast(self.device.type, dtype=self.autocast, enabled=enabled))
            stack.enter_context(torch.enable_grad())
            yield


class CachedVectors:
    """The vectors of a batch, whose gradient reaches the weights by way of `loss`.

    Attributes:
        vectors: (q + n, d) float32, a leaf that collects the loss's gradient.
    """

    def __init__(self, model: nn.Module, buckets: Sequence[Features], max_tokens: int) -> None:
        self._model = model
        self._chunks: list[_Chunk] = []
        parts = []
        with torch.no_grad():
            for features in chunks(buckets, max_tokens):
                self._chunks.append(_Chunk.of(features))
                parts.append(self._model(dict(features))["sentence_embedding"].float())
        self.vectors = torch.cat(parts).requires_grad_()

    def loss(self, value: Tensor) -> Tensor:
        """A loss of the vectors as one of the weights: its backward carries the gradient on.

        Args:
            value: (), computed from `vectors`.
        """
        if not torch.is_grad_enabled():
            return value
        (gradient,) = torch.autograd.grad(value, self.vectors)
        carrier = value.detach().requires_grad_()
        carrier.register_hook(lambda scale: self._carry_back(gradient * scale))
        return carrier

    def _carry_back(self, gradient: Tensor) -> None:
        start = 0
        for chunk in self._chunks:
            with chunk.replayed():
                vectors = self._model(dict(chunk.features))["sentence_embedding"].float()
            torch.autograd.backward(vectors, gradient[start : start + vectors.shape[0]])
            start += vectors.shape[0]
