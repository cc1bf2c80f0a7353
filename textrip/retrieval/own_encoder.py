"""The encoder that an index carries: by ONNX where that serves, else as a sentence-transformers model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textrip.encoding.onnx import OnnxEncoder
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import InputError, MismatchError
from textrip.stamps import require_digests

if TYPE_CHECKING:
    from textrip.encoding.encoder import Encoder


def load_own(folder: Path, about: Mapping[str, Any], device: str) -> TextEncoder:
    """The encoder that made an index's vectors.

    Raises:
        InputError: another device than the CPU is wanted for int8 weights.
        MismatchError: the index's copy is another encoder.
    """
    encoder: TextEncoder
    if about["encoder"]["onnx"] and device.partition(":")[0] in {"auto", "cpu"}:
        encoder = OnnxEncoder.open(folder / "onnx")
    elif about["encoder"]["precision"] == "int8":  # torch's copy makes other vectors
        raise InputError(
            f"{folder}: has vectors of int8 weights, which run on the CPU; leave out "
            f"--device {device}, or build it with --backend torch"
        )
    else:
        encoder = load_torch(folder, about, device)
    encoder.name = about["encoder"]["name"]
    require_same(folder, about, encoder)
    return encoder


def load_torch(folder: Path, about: Mapping[str, Any], device: str) -> "Encoder":
    """The sentence-transformers model that an index carries, its digests looked at first.

    Raises:
        InputError: it carries none.
    """
    from textrip.encoding.encoder import Encoder

    if not about["encoder"]["torch"]:
        raise InputError(f"{folder}: carries its encoder as ONNX alone, which runs on the CPU")
    require_digests(folder, about["sha256"])
    return Encoder.load(folder / "encoder", device=device, dimension=about["encoder"]["dimension"])


def require_same(folder: Path, about: Mapping[str, Any], encoder: TextEncoder) -> None:
    """Raise MismatchError where an encoder is not the one that made an index's vectors."""
    built, given = about["encoder"]["fingerprint"], encoder.fingerprint
    if built != given:
        raise MismatchError(
            f"{folder}: was built by encoder {about['encoder']['name']!r} ({built[:12]}), "
            f"{encoder.name!r} is another ({given[:12]}): other weights, tokenizer, pooling, "
            "prompts or length; search with the index's own encoder, or build the index again with this one"
        )
