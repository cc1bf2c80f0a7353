"""From a sentence-transformers model to ONNX: exported, run, and compared before it is trusted."""

import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textrip.encoding.encoder import Encoder
from textrip.encoding.onnx import FILES, FORMAT, KIND, OnnxEncoder, Precision, without_telemetry
from textrip.errors import TextripError, first_line
from textrip.files import sha256, write_sealed_json
from textrip.interrupt import deferring
from textrip.stamps import digested

_GRAPH = "model.onnx"
# Lower than this on any text of the sample, and the export is no copy of the model.
LEAST_COSINE = 0.9999
# Read as they stand: what a tokenizer, a normaliser and an empty mask can differ in.
_ODD_TEXTS = ("", " ", "a", "  Two  blanks\tand a line\nend ", "Café naïve 北京 🙂 ﬁ", "word " * 700)
# The last export of every encoder in this process, by fingerprint: the folder and the graph's digest. The
# same one is not exported twice, which takes seconds for the smallest.
_exported: dict[str, tuple[Path, str]] = {}


class ExportError(TextripError):
    """The model cannot be had as ONNX; it runs with torch alone."""


def export_onnx(
    encoder: Encoder, folder: str | Path, *, texts: Sequence[str] = (), precision: Precision = "float32"
) -> OnnxEncoder:
    """Write an encoder as ONNX into a new folder, checked against the encoder.

    Args:
        encoder: What is exported.
        folder: Where; made here.
        texts: Some of those that will be encoded; odd ones are added. float32 has to give each the
            encoder's own vector (cosine 0.9999 and more); int8 is measured on them, not held to that.
        precision: int8 holds the weights of matrix products in 8 bits; activations are quantised as they
            come, a batch at a time (onnxruntime's dynamic quantisation), so that a vector moves a little
            with its company.

    Raises:
        ExportError: the model is of a kind that cannot be exported, or the export gives other vectors.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    try:
        return _export(encoder, folder, list(texts), precision)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _export(encoder: Encoder, folder: Path, texts: list[str], precision: Precision) -> OnnxEncoder:
    fingerprint = encoder.fingerprint
    if not _copied(fingerprint, folder / _GRAPH):
        try:
            _write_graph(encoder, folder / _GRAPH)
        except OSError:  # the disk refused, which says nothing of the model
            raise
        except Exception as error:  # the exporter has an error of its own for every operation it lacks
            raise ExportError(f"{encoder.name} cannot be exported to ONNX: {first_line(error)}") from error
    encoder.tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "kind": KIND,
        "format": FORMAT,
        "name": encoder.name,
        "fingerprint": fingerprint,
        "precision": "float32",
        "dimension": encoder.dimension,
        "max_length_tokens": encoder.max_length_tokens,
        "pad_token_id": int(encoder.model.tokenizer.pad_token_id or 0),
        "prompts": {kind: encoder.prompt(kind) for kind in ("query", "document")},
    }
    lowest = _lowest_cosine(encoder, OnnxEncoder(folder, about), [*texts, *_ODD_TEXTS])
    if not lowest >= LEAST_COSINE:
        raise ExportError(
            f"{encoder.name} as ONNX gives other vectors: the lowest cosine is {lowest:.4f}, "
            f"{LEAST_COSINE} was expected"
        )
    if precision == "int8":
        _quantise(folder / _GRAPH)
        about |= {"precision": "int8", "fingerprint": _int8_fingerprint(fingerprint)}
        lowest = _lowest_cosine(encoder, OnnxEncoder(folder, about), [*texts, *_ODD_TEXTS])
    about["lowest_cosine"] = round(lowest, 6)
    about["checked_texts"] = len(texts) + len(_ODD_TEXTS)
    about["sha256"] = digests = digested(folder, FILES)
    write_sealed_json(folder / "onnx.json", about)
    if precision == "float32":
        _exported[fingerprint] = folder, digests[_GRAPH]
    return OnnxEncoder.open(folder)


def _copied(fingerprint: str, path: Path) -> bool:
    """Whether an encoder's graph could be copied from where it was exported last."""
    if fingerprint not in _exported:
        return False
    folder, digest = _exported[fingerprint]
    try:
        shutil.copyfile(folder / _GRAPH, path)
        return sha256(path) == digest
    except OSError:  # it was taken away; or a disk is full, which the export will tell
        return False


def note_moved(former: Path, folder: Path) -> None:
    """An export was moved: it can be copied from there."""
    for fingerprint, (place, digest) in list(_exported.items()):
        if place == former:
            _exported[fingerprint] = folder, digest


def _int8_fingerprint(fingerprint: str) -> str:
    return hashlib.sha256(f"{fingerprint} int8".encode()).hexdigest()


def _write_graph(encoder: Encoder, path: Path) -> None:
    import torch

    class Whole(torch.nn.Module):
        """Every module of the model and the normalisation, as one function of two tensors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            embeddings = self.model(features)["sentence_embedding"].float()[:, : self.model.truncate_dim]
            return torch.nn.functional.normalize(embeddings, dim=-1)

    model = encoder.model
    place, training = model.device, model.training
    features = model.preprocess(["two texts", "of more than one length"])
    example = tuple(features[name].cpu() for name in ("input_ids", "attention_mask"))
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        model.to("cpu").eval()
        # Both signals wait: raised in torch's compiled code one becomes another error, two end the process.
        with deferring(), _silence(), torch.no_grad():
            program = torch.onnx.export(
                Whole(), example, dynamo=True, dynamic_shapes=(sizes, sizes), verbose=False,
                input_names=["input_ids", "attention_mask"], output_names=["vector"],
            )  # fmt: skip
            assert program is not None
            program.save(str(path), external_data=False)
    finally:
        model.to(place).train(training)


class _silence:  # noqa: N801  # reads as a statement
    """The exporter talks about its own insides."""

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)
        self._warnings.__exit__(None, None, None)


def _lowest_cosine(encoder: Encoder, exported: OnnxEncoder, texts: list[str]) -> float:
    cosines: list[Any] = []
    for kind in ("query", "document"):
        wanted, found = encoder.encode(texts, kind=kind), exported.encode(texts, kind=kind)
        cosines.append((wanted.astype(np.float64) * found).sum(axis=1).min())
    return float(min(cosines))


def _quantise(path: Path) -> None:
    with _silence():
        without_telemetry()
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory() as folder:
            small = Path(folder) / "model.onnx"
            # A scale for each channel: with one for a whole matrix the mean cosine falls from .995 to .937.
            quantize_dynamic(str(path), str(small), weight_type=QuantType.QInt8, per_channel=True)
            shutil.copyfile(small, path)
