"""Encoders of a known size with random weights: for throughput, where no weights are at hand."""

import tempfile
from collections.abc import Callable
from typing import Any

from textrip.encoding.encoder import Encoder
from textrip.encoding.load import DEFAULT_ENCODER, resolve_device

# As published; only the vocabulary is the default encoder's, whose tokenizer they get.
_BERT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
_MODERNBERT_BASE = {
    "hidden_size": 768, "num_hidden_layers": 22, "num_attention_heads": 12, "intermediate_size": 1152,
}  # fmt: skip
RANDOM = ("random-bert-base", "random-modernbert-base")


def load(name: str, *, device: str, max_length_tokens: int | None) -> Encoder:
    """An encoder by name or folder, as Encoder.load does; or one of RANDOM."""
    if name not in RANDOM:
        return Encoder.load(name, device=device, max_length_tokens=max_length_tokens)
    import torch
    from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel

    tokenizer = Encoder.load(DEFAULT_ENCODER, device="cpu").model.tokenizer
    tokens = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    made: Callable[[], Any] = {
        "random-bert-base": lambda: BertModel(BertConfig(**_BERT_BASE, **tokens), add_pooling_layer=False),
        "random-modernbert-base": lambda: ModernBertModel(
            ModernBertConfig(
                **_MODERNBERT_BASE, **tokens, cls_token_id=tokenizer.cls_token_id,
                sep_token_id=tokenizer.sep_token_id, bos_token_id=tokenizer.cls_token_id,
                eos_token_id=tokenizer.sep_token_id,
            )
        ),
    }[name]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        made().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return Encoder(_assembled(folder, device), name, max_length_tokens=max_length_tokens)


def _assembled(folder: str, device: str) -> Any:
    """The transformer with mean pooling and unit vectors, as the default encoder has them."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    transformer = Transformer(folder)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device=resolve_device(device))
