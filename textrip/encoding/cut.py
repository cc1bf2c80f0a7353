"""No text is cut in silence: how many of a sample are longer than what an encoder reads."""

from collections.abc import Sequence

import numpy as np

from textrip.encoding.text_encoder import TextEncoder
from textrip.progress import say
from textrip.records import Kind

SAMPLE = 256
# In an index that does not cut documents into passages.
FURTHER_DOWN = ": what stands further down is found by words alone"


def say_what_is_cut(
    encoder: TextEncoder, texts: Sequence[str], then: str, *, what: str = "documents", kind: Kind = "document"
) -> None:
    """Say which share of some texts an encoder cuts, where it is any, and what that means."""
    share, count = _share_cut(encoder, texts, kind) if texts else (0.0, 0)
    if share:
        said = f"{share:.0%}" if share >= 0.005 else "under 1%"
        say(
            f"{said} of {count:,} {what} looked at are longer than the {encoder.max_length_tokens} "
            f"tokens that the encoder reads{then}"
        )


def whole_lengths(encoder: TextEncoder, texts: Sequence[str], kind: Kind) -> list[int]:
    """How many tokens texts have before they are cut, with the prompt that goes before them."""
    prompt = encoder.prompt(kind)
    return encoder.count_tokens([prompt + text for text in texts], cut=False)


def _share_cut(encoder: TextEncoder, texts: Sequence[str], kind: Kind) -> tuple[float, int]:
    """The share of texts that the encoder cuts, and how many were looked at, evenly over all of them."""
    count = min(SAMPLE, len(texts))
    places = np.linspace(0, len(texts) - 1, count).astype(int).tolist()
    lengths = whole_lengths(encoder, [texts[place] for place in places], kind)
    return float(np.mean(np.asarray(lengths) > encoder.max_length_tokens)), count
