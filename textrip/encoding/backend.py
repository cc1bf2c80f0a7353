"""What runs an encoder: torch, or ONNX Runtime with float32 or int8 weights."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from textrip.encoding.encoder import Encoder
from textrip.encoding.text_encoder import TextEncoder
from textrip.errors import InputError

Backend = Literal["torch", "onnx", "onnx-int8"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


@contextmanager
def load_backend(
    name: str | Path,
    *,
    backend: str = "torch",
    device: str = "auto",
    max_length_tokens: int | None = None,
    dimension: int | None = None,
    trust_remote_code: bool = False,
    precision: str = "float32",
    texts: Sequence[str] = (),
) -> Iterator[tuple[TextEncoder, Encoder]]:
    """Yield an encoder on a backend, and the sentence-transformers one behind it.

    Args:
        name: As in `Encoder.load`.
        backend: torch, onnx or onnx-int8. The last two run on the CPU; the export is removed at the end.
        device: For torch.
        max_length_tokens: As in `Encoder.load`.
        dimension: As in `Encoder.load`.
        trust_remote_code: As in `Encoder.load`.
        precision: Of torch's matrix products, as in `Encoder.load`.
        texts: Some of those that will be encoded, to check an export with.

    Raises:
        InputError: no such backend, or a device that it does not run on.
        ExportError: the model cannot be had as ONNX.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend is {backend!r}, one of {', '.join(BACKENDS)} was expected")
    if backend != "torch" and device not in {"auto", "cpu"}:
        raise InputError(f"backend {backend} runs on the CPU; leave out --device {device}, or take torch")
    if backend != "torch" and precision != "float32":
        raise InputError(f"precision {precision} is for the backend torch; take --backend onnx-int8")
    encoder = Encoder.load(
        name,
        device=device if backend == "torch" else "cpu",
        max_length_tokens=max_length_tokens,
        dimension=dimension,
        trust_remote_code=trust_remote_code,
        precision=precision,  # type: ignore[arg-type]  # checked there
    )
    if backend == "torch":
        yield encoder, encoder
        return
    from textrip.encoding.export import export_onnx

    with tempfile.TemporaryDirectory(prefix="textrip-") as folder:
        weights: Literal["float32", "int8"] = "int8" if backend == "onnx-int8" else "float32"
        yield export_onnx(encoder, Path(folder) / "onnx", texts=texts, precision=weights), encoder
