"""An encoder that needs neither torch nor transformers: ONNX Runtime and a tokenizer.

ONNX/
  model.onnx       input_ids and attention_mask (batch, length) int64 to unit vectors (batch, dimension)
  tokenizer.json   of the `tokenizers` library
  onnx.json        kind, format, the encoder's fingerprint, prompts, length, how it was checked, digests

`export.py` writes it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from textrip import processes
from textrip.encoding.text_encoder import TextEncoder, batches, require_texts
from textrip.errors import InputError
from textrip.fields import require_fields
from textrip.files import read_json
from textrip.forked import cached_property
from textrip.place import require_utf8
from textrip.records import Kind
from textrip.stamps import require_digests

KIND = "textrip-onnx"
FORMAT = 1
FILES = ("model.onnx", "tokenizer.json")
_REMEDY = "the index is damaged, textrip index INDEX --rebuild exports its query encoder again"

Precision = Literal["float32", "int8"]

# A vector's length: of what is longer a few questions would fill the memory.
DIMENSIONS = range(1, 2**17)
_FIELDS = {
    "name": str,
    "fingerprint": str,
    "precision": get_args(Precision),
    "dimension": DIMENSIONS,
    "max_length_tokens": range(1, 2**31),
    "pad_token_id": range(2**31),
    "prompts": {"query": (str, NoneType), "document": (str, NoneType)},
    "sha256": dict.fromkeys(FILES, str),
}

# Small batches keep a layer's activations in the processor's cache; measured with 64 to 8192.
_TOKENS_A_BATCH = 2048
_MAX_TEXTS_A_BATCH = 64


def without_telemetry() -> Any:
    """The library onnxruntime, which else writes to the home folder and calls its maker."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read as it is loaded; its own function comes too late
    import onnxruntime

    return onnxruntime


class OnnxEncoder(TextEncoder):
    """Texts to unit vectors by ONNX Runtime on the CPU.

    Attributes:
        name: What the encoder was loaded by when it was exported.
        about: What onnx.json says.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.name: str = about["name"]
        self.precision: Precision = about["precision"]

    @classmethod
    def open(cls, folder: str | Path, *, fully: bool = False) -> Self:
        """Open what `export_onnx` wrote; the model is read at the first text. `fully` trusts no stamp.

        Raises:
            InputError: a file is missing or damaged, or of a newer format, or the folder's name is not UTF-8.
        """
        folder = Path(folder)
        require_utf8(folder)
        about = read_json(folder / "onnx.json", kind=KIND, version=FORMAT, sealed=True)
        require_fields(about, _FIELDS, folder / "onnx.json")
        digests = {name: about["sha256"][name] for name in FILES}
        require_digests(folder, digests, fully=fully, remedy=_REMEDY)
        return cls(folder, about)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.about["dimension"])

    @property
    def max_length_tokens(self) -> int:
        """What is read of a text, special tokens included."""
        return int(self.about["max_length_tokens"])

    @property
    def fingerprint(self) -> str:
        """The encoder's own; another one where the weights are int8."""
        return str(self.about["fingerprint"])

    @property
    def device(self) -> str:
        """Always the CPU."""
        return "cpu"

    def prompt(self, kind: Kind) -> str:
        """What the model puts before a query or a document; mostly nothing."""
        return str(self.about["prompts"].get(kind) or "")

    @cached_property
    def tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer`, which cuts nothing."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    @cached_property
    def _cutting(self) -> Any:
        """Another one that cuts: to change one while another thread uses it is an error."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.enable_truncation(self.max_length_tokens)
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        onnxruntime = without_telemetry()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.intra_op_num_threads = processes.threads_wanted()
        # Threads that wait by spinning take the processor from everything else, and win nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = str(self.folder / "model.onnx")
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has an error for every way to be damaged
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path}: cannot be run: {first}") from None

    def _run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        path = self.folder / "model.onnx"
        session = self._session
        try:
            (batch,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        except Exception as error:  # as above
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path}: cannot be run: {first}") from None
        if batch.shape != (len(ids), self.dimension):
            found = batch.shape[1:]
            raise InputError(f"{path}: makes vectors of shape {found}, {self.dimension} was expected")
        return batch  # type: ignore[no-any-return]

    def count_tokens(self, texts: Sequence[str], *, cut: bool = True) -> list[int]:
        """How many tokens each text has, special tokens included, cut at the encoder's length or not."""
        require_texts(texts)
        return [len(encoded.ids) for encoded in self._tokenize(list(texts), cut=cut)]

    def _tokenize(self, texts: list[str], *, cut: bool = True) -> list[Any]:
        tokenizer = self._cutting if cut else self.tokenizer
        return tokenizer.encode_batch(texts)  # type: ignore[no-any-return]

    def _encode_window(self, texts: list[str], kind: Kind, advance: Any) -> NDArray[np.float32]:
        tokenized = self._tokenize([self.prompt(kind) + text for text in self._beginnings(texts)])
        lengths = [len(encoded.ids) for encoded in tokenized]
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        # With int8 weights a vector moves with its company, and a question is to find the same in any.
        company = 1 if kind == "query" and self.precision == "int8" else _MAX_TEXTS_A_BATCH
        for rows in batches(lengths, tokens=_TOKENS_A_BATCH, texts=company):
            width = max(1, lengths[rows[0]])
            ids = np.full((len(rows), width), self.about["pad_token_id"], dtype=np.int64)
            mask = np.zeros((len(rows), width), dtype=np.int64)
            for place, row in enumerate(rows):
                ids[place, : lengths[row]] = tokenized[row].ids
                mask[place, : max(1, lengths[row])] = 1  # no token is read as a padding (see Encoder.read)
            vectors[rows] = self._run(ids, mask)
            if advance is not None:
                advance(len(rows))
        return vectors
