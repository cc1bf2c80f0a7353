"""How much of a device's own rate a training step reaches: counted operations against a matrix product's."""

import statistics
import time
from typing import Any

import torch
from torch import nn

# Small enough for a second on two cores, large enough to fill a GPU.
_SIZE = {"cpu": 1536, "cuda": 8192}
_REPEATS = 5


class Counted:
    """Counts the texts that go through a model and the floating-point operations of its matrix products.

    A pass over s tokens of n texts (padding included) takes 2 operations a weight and token, and 4 s d a
    layer and token for attention; with a gradient three times as many. Embeddings are looked up, not
    multiplied; what is not a matrix product is not counted. Attention that sees a window counts as such.

    Args:
        model: A SentenceTransformer whose first module is a transformer.
    """

    def __init__(self, model: Any) -> None:
        self.texts = 0
        self.operations = 0.0
        inner = model[0].auto_model
        self._weights = sum(
            module.weight.numel()
            for name, module in inner.named_modules()
            if isinstance(module, nn.Linear) and "pooler" not in name
        )
        self._width = inner.config.hidden_size
        self._windows = _windows(inner.config)
        model.register_forward_pre_hook(self._count)

    def _count(self, _module: Any, given: tuple[Any, ...]) -> None:
        texts, length = given[0]["input_ids"].shape
        self.texts += texts
        attended = sum(min(length, window) for window in self._windows)
        once = texts * length * (2.0 * self._weights + 4.0 * attended * self._width)
        self.operations += once * (3 if torch.is_grad_enabled() else 1)

    def begin(self) -> None:
        """Forget what was counted."""
        self.texts, self.operations = 0, 0.0


def _windows(config: Any) -> list[float]:
    """By layer how many tokens a token attends to at most."""
    layers = range(config.num_hidden_layers)
    window = getattr(config, "local_attention", None)
    every = getattr(config, "global_attn_every_n_layers", None)
    if window is None or every is None:
        return [float("inf") for _ in layers]
    return [float("inf") if layer % every == 0 else float(window) for layer in layers]


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large square matrix product: the median of a few, after one that is not."""
    kind = device.partition(":")[0]
    size = _SIZE.get(kind, _SIZE["cpu"])
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(_REPEATS + 1):
        wait(device)
        began = time.perf_counter()
        left @ right
        wait(device)
        seconds.append(time.perf_counter() - began)
    return float(2.0 * size**3 / statistics.median(seconds[1:]))


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
