"""A query encoder that is damaged is exported again from the model that the index carries."""

from itertools import islice
from pathlib import Path
from typing import Any

from textrip.encoding.onnx import OnnxEncoder, Precision
from textrip.errors import InputError, MismatchError
from textrip.progress import say
from textrip.replacing import replacing
from textrip.retrieval.store import DocumentStore
from textrip.stamps import require_digests

_SAMPLE = 16


def require_onnx(folder: Path, about: dict[str, Any]) -> None:
    """Raise InputError where INDEX/onnx is not whole, or another encoder; no stamp is trusted."""
    if not about["encoder"]["onnx"]:
        return
    if OnnxEncoder.open(folder / "onnx", fully=True).fingerprint != about["encoder"]["fingerprint"]:
        raise InputError(f"{folder / 'onnx'}: is another encoder than the one that built the index")


def mend_onnx(folder: Path, about: dict[str, Any], store: DocumentStore) -> None:
    """Export INDEX/onnx anew where it is damaged or missing; nothing where the index carries no model.

    Raises:
        InputError: the model is damaged, too.
        MismatchError: what comes out is not the encoder that made the vectors.
    """
    encoder = about["encoder"]
    if not encoder["onnx"] or not encoder["torch"]:
        return
    try:
        require_onnx(folder, about)
    except InputError as error:
        damage = error
    else:
        return
    from textrip.encoding.encoder import Encoder
    from textrip.encoding.export import export_onnx, note_moved

    require_digests(folder, about["sha256"])
    texts = [stored.document.full_text for stored in islice(store, _SAMPLE)]
    with replacing(folder / "onnx", force=True) as made:
        model = Encoder.load(folder / "encoder", device="cpu", dimension=encoder["dimension"])
        # Vectors of torch in half precision are searched by a float32 export.
        weights: Precision = "int8" if encoder["precision"] == "int8" else "float32"
        found = export_onnx(model, made, precision=weights, texts=texts)
        if found.fingerprint != encoder["fingerprint"]:
            raise MismatchError(f"{folder / 'encoder'}: is another encoder than the one that built the index")
    note_moved(made, folder / "onnx")
    say(f"{damage}: exported again from the index's model")
