"""The learning rate that auto stands for: by how wide the encoder is."""

from torch import nn

from textrip.encoding.encoder import Encoder
from textrip.training.shaping import transformers_of

# Held-out queries of SciFact, NFCorpus and stdlib, all-MiniLM-L6-v2 (docs/training.md): twice this rate gives
# no more, half of it is behind.
_RATE, _WIDTH = 4e-5, 384
# Adapters begin at 0 and are few: they want a rate of ten times that of the matrices themselves.
_OF_ADAPTERS = 10.0


def usual_rate(encoder: Encoder, *, adapters: bool = False) -> float:
    """The peak rate for an encoder: 4e-5 at a width of 384, 2e-5 at 768, with 2 digits.

    With Adam the best rate of a matrix falls as 1 / width ("Tensor Programs V", Yang et al., 2022, arXiv
    2203.03466); one that is right for a small encoder would be too high for a large one.

    Args:
        encoder: The base.
        adapters: Whether low-rank adapters are trained in place of its matrices.
    """
    rate = _RATE * _WIDTH / _width(encoder.model, encoder.dimension)
    return float(f"{rate * (_OF_ADAPTERS if adapters else 1):.2g}")


def _width(model: nn.Module, dimension: int) -> int:
    """Of the transformer's layers; a model without one is as wide as its vectors."""
    found = transformers_of(model)
    return int(getattr(found[0].config, "hidden_size", dimension)) if found else dimension
