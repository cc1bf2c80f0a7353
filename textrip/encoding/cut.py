"""No text is cut in silence: how many of a sample are longer than what an encoder reads."""

from collections.abc import Sequence

import numpy as np

from textrip.encoding.text_encoder import Kind, TextEncoder

SAMPLE = 256


def share_cut(encoder: TextEncoder, texts: Sequence[str], *, kind: Kind = "document") -> tuple[float, int]:
    """The share of texts that the encoder cuts, and how many were looked at, evenly over all of them."""
    count = min(SAMPLE, len(texts))
    places = np.linspace(0, len(texts) - 1, count).astype(int).tolist()
    prompt = encoder.prompt(kind)
    lengths = encoder.count_tokens([prompt + texts[place] for place in places], cut=False)
    return float(np.mean(np.asarray(lengths) > encoder.max_length_tokens)), count
