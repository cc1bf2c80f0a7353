"""Encoder: a sentence-transformers model that gives unit vectors and knows its own identity."""

import copy
import hashlib
import json
import stat
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from textrip.encoding.load import DEFAULT_ENCODER, load_model, quieten
from textrip.encoding.text_encoder import TextEncoder, batches, require_texts
from textrip.encoding.turns import turn
from textrip.errors import InputError, NotFiniteError
from textrip.forked import cached_property
from textrip.records import Kind
from textrip.typed import require_type, typed_arguments

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Precision = Literal["float32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_TOKENS_A_BATCH = {"cpu": 4096, "cuda": 65536, "mps": 16384}
_MAX_TEXTS_A_BATCH = 1024
# Parts of a configuration that say where and with what a model was saved.
_NO_IDENTITY = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures"}


class Encoder(TextEncoder):
    """Texts to unit vectors, with the model's own prompts for queries and documents.

    Attributes:
        name: What it was loaded by, for reports.
        model: The sentence-transformers model.
        precision: Of its matrix products.
        unpadded: Whether a batch is one row without padding, by FlashAttention's kernel.
    """

    def __init__(
        self,
        model: "SentenceTransformer",
        name: str,
        *,
        max_length_tokens: int | None = None,
        dimension: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision is {precision!r}, one of {', '.join(PRECISIONS)} was expected")
        self.model = model
        self.name = name
        self.precision: Precision = precision
        self.unpadded = precision != "float32" and _leave_out_padding(model)
        learned = _learned_positions(model)
        if max_length_tokens is not None:
            self._limit_length(max_length_tokens, learned)
        elif learned is not None and self.max_length_tokens > learned:  # a longer text would be an IndexError
            self.model.max_seq_length = learned
        if dimension is not None:
            self._limit_dimension(dimension)

    @classmethod
    @typed_arguments
    def load(
        cls,
        name: str | Path = DEFAULT_ENCODER,
        *,
        device: str = "auto",
        max_length_tokens: int | None = None,
        dimension: int | None = None,
        trust_remote_code: bool = False,
        precision: Precision = "float32",
    ) -> Self:
        """Load an encoder by folder or name.

        Args:
            name: A folder; `all-MiniLM-L6-v2` (the embedded encoder, without a network where the extra
                `offline` is installed); or a model of the hub.
            device: auto, cpu, cuda or mps.
            max_length_tokens: Longer texts are cut; the model's own length where None.
            dimension: Of each vector the first so many components, brought to length 1: for a model that was
                trained so (Matryoshka, arXiv 2205.13147); all of them where None.
            trust_remote_code: Run code that the model brings along. Only for models that you trust.
            precision: float32, or bf16 or fp16 autocast for matrix products, for a GPU: vectors are float32
                in any case, and differ in their third digit. It is no part of the fingerprint. On CUDA, where
                the package flash-attn is installed and the model knows it, batches are then not padded.

        Raises:
            InputError: no such folder, or nothing in it that can be read.
            OfflineError: the name is only on the hub and the hub is out of reach.
        """
        model = load_model(name, device=device, trust_remote_code=trust_remote_code)
        return cls(
            model, str(name), max_length_tokens=max_length_tokens, dimension=dimension, precision=precision
        )

    def _limit_dimension(self, dimension: int) -> None:
        self.model.truncate_dim = None
        whole = self.dimension
        if not 1 <= dimension <= whole:
            raise InputError(
                f"dimension is {dimension}; {self.name} makes vectors of {whole}; 1 to {whole} was expected"
            )
        if dimension < whole:
            self.model.truncate_dim = dimension

    def _limit_length(self, max_length_tokens: int, learned: int | None) -> None:
        config = getattr(getattr(self.model[0], "auto_model", None), "config", None)
        limit = learned or getattr(config, "max_position_embeddings", None) or self.model.max_seq_length
        if max_length_tokens < 3:
            raise InputError(f"max_length_tokens is {max_length_tokens}; at least 3 are needed")
        if limit is not None and max_length_tokens > limit:
            raise InputError(
                f"max_length_tokens is {max_length_tokens}; {self.name} reads at most {limit} tokens"
            )
        self.model.max_seq_length = max_length_tokens

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.model.get_embedding_dimension() or self.encode([""]).shape[1])

    @property
    def max_length_tokens(self) -> int:
        """What is read of a text, special tokens included."""
        return int(self.model.max_seq_length or self.model.tokenizer.model_max_length)

    @property
    def device(self) -> str:
        """The torch device that the model is on."""
        return str(self.model.device)

    @cached_property
    def tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer`, which cuts nothing: a copy, as each call sets the model's own anew."""
        from tokenizers import Tokenizer

        with turn(self.model):
            tokenizer = Tokenizer.from_str(self.model.tokenizer.backend_tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def prompt(self, kind: Kind) -> str:
        """What the model puts before a query or a document; mostly nothing.

        One that is kept as "passage" or "corpus" is a document's (see `load_model`).
        """
        return self.model.prompts.get(kind) or ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer, modules, prompts and length: everything that moves a vector."""
        return digest_of_model(self.model, self._settings())

    def _settings(self) -> dict[str, Any]:
        modules = []
        for module in self.model:
            keys = getattr(module, "config_keys", [])
            config = {key: getattr(module, key, None) for key in sorted(keys) if key != "max_seq_length"}
            modules.append([type(module).__name__, {key: repr(value) for key, value in config.items()}])
        tokenizer = json.loads(self.model.tokenizer.backend_tokenizer.to_str())
        for passing in ("truncation", "padding"):  # states of the last call, no part of the identity
            tokenizer.pop(passing, None)
        cut = self.model.truncate_dim
        return {
            **({} if cut is None else {"dimension": cut}),
            "transformer": self._architecture(),
            "modules": modules[1:],
            "tokenizer": tokenizer,
            "prompts": {kind: self.prompt(kind) for kind in ("query", "document")},
            "max_length_tokens": self.max_length_tokens,
        }

    def _architecture(self) -> dict[str, Any]:
        """The transformer's configuration (heads, activation, epsilon): it moves vectors as weights do."""
        config = getattr(getattr(self.model[0], "auto_model", None), "config", None)
        values = {} if config is None else config.to_dict()
        return {name: repr(value) for name, value in values.items() if name not in _NO_IDENTITY}

    def _encode_window(self, texts: list[str], kind: Kind, advance: Any) -> NDArray[np.float32]:
        with turn(self.model):
            training = self.model.training
            self.model.eval()
            try:
                return self._encode_in_eval(self._beginnings(texts), kind, advance)
            finally:
                self.model.train(training)

    def _encode_in_eval(self, texts: list[str], kind: Kind, advance: Any) -> NDArray[np.float32]:
        import torch

        budget = _TOKENS_A_BATCH[self.model.device.type]
        vectors: NDArray[np.float32] | None = None
        with torch.inference_mode():
            lengths = self.count_tokens(texts)
            if not self.prompt(kind):
                texts = self.read(texts, lengths)
            for rows in batches(lengths, tokens=budget, texts=_MAX_TEXTS_A_BATCH):
                batch = self._forward([texts[row] for row in rows], kind)
                if vectors is None:
                    vectors = np.empty((len(texts), batch.shape[1]), dtype=np.float32)
                vectors[rows] = batch
                if advance is not None:
                    advance(len(rows))
        assert vectors is not None
        return vectors

    def _forward(self, texts: list[str], kind: Kind) -> NDArray[np.float32]:
        import torch

        features = self.model.preprocess(texts, prompt=self.prompt(kind) or None)
        features = {
            key: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
            for key, value in features.items()
        }
        with self._autocast():
            embeddings = self.model(features)["sentence_embedding"].float()[:, : self.model.truncate_dim]
        unit: NDArray[np.float32] = torch.nn.functional.normalize(embeddings, dim=-1).cpu().numpy()
        if not np.isfinite(unit).all():
            raise NotFiniteError(
                f"{self.name}: gives vectors that are not finite ({self.precision}); its weights are "
                "damaged, or too large for this precision: try float32"
            )
        return unit

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        import torch

        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.model.device.type, dtype=dtype)

    def count_tokens(self, texts: Sequence[str], *, cut: bool = True) -> list[int]:
        """How many tokens each text has, special tokens included, cut at the encoder's length or not."""
        require_texts(texts)
        with turn(self.model):
            encoded = self.model.tokenizer(
                list(texts), truncation=cut, max_length=self.max_length_tokens if cut else None,
                padding=False, return_attention_mask=False, return_token_type_ids=False,
            )  # fmt: skip
        return [len(ids) for ids in encoded["input_ids"]]

    def read(self, texts: Sequence[str], tokens: Sequence[int]) -> list[str]:
        """The texts; one without a token, which no vector could be of, is read as a padding.

        An empty text is one where the tokenizer adds nothing to it (GPT-2's).

        Args:
            texts: n of them.
            tokens: So many each has, prompt included.
        """
        padding = self.model.tokenizer.pad_token or ""
        return [text if length else padding for text, length in zip(texts, tokens, strict=True)]

    def copy(self) -> "Encoder":
        """One of its own weights, which may be changed."""
        return Encoder(copy.deepcopy(self.model), self.name, precision=self.precision)

    def become(self, other: "Encoder") -> None:
        """Take the weights, the length and the prompts of another one of the same architecture."""
        self.model.load_state_dict(other.model.state_dict())
        self.model.prompts = dict(other.model.prompts)
        self.model.max_seq_length = other.model.max_seq_length

    def save(self, folder: str | Path) -> None:
        """Write an ordinary sentence-transformers folder (safetensors)."""
        require_type("folder", folder, (str, Path), "a path")
        quieten()
        self.model.save_pretrained(str(folder), safe_serialization=True, create_model_card=False)
        usual = (Path(folder) / "modules.json").stat().st_mode
        for weights in Path(folder).rglob("*.safetensors"):  # safetensors' own are for their owner alone
            weights.chmod(stat.S_IMODE(usual))


def _learned_positions(model: "SentenceTransformer") -> int | None:
    """How many tokens a transformer with a vector for each position has one for; None where it has none.

    RoBERTa's and MPNet's begin behind the padding's row, so that of 514 they use 512.
    """
    embeddings = getattr(getattr(model[0], "auto_model", None), "embeddings", None)
    table: Any = getattr(embeddings, "position_embeddings", None)
    if not hasattr(table, "num_embeddings"):
        return None
    return int(table.num_embeddings) - (0 if table.padding_idx is None else int(table.padding_idx) + 1)


def _leave_out_padding(model: "SentenceTransformer") -> bool:
    """Take FlashAttention, whose kernel knows where a text ends, where it is there; whether it is taken."""
    from transformers.utils import is_flash_attn_2_available

    if model.device.type != "cuda" or not is_flash_attn_2_available():
        return False
    transformer: Any = model[0]
    former = transformer.auto_model.config._attn_implementation  # has no other name
    try:
        transformer.auto_model.set_attn_implementation("flash_attention_2")
        transformer.unpad_inputs = True  # the library looks whether it can
    except (ValueError, ImportError):  # the model does not know it
        return False
    if not transformer.can_flatten_inputs:
        transformer.auto_model.set_attn_implementation(former)
        return False
    return True


def digest_of_model(model: Any, settings: dict[str, Any]) -> str:
    """SHA-256 over a torch module's weights, by name, type and shape, and over settings (JSON)."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.flatten().view(dtype=torch.uint8).numpy().data)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()
