"""Encoders of every family that people bring: BERT's kin, decoders with last-token pooling, RoPE, ALBERT."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.export import export_onnx
from textrip.mining.mine import mine
from textrip.training.settings import TrainSettings
from textrip.training.train import train

TEXTS = ["rose", "what is a tulip " * 30, "", "wave reef", "oak"]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
OF_BERT = {**SMALL, "max_position_embeddings": 66}
DECODER = {**SMALL, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64}
# By the name of its classes: the configuration, how it pools, and the side on which it pads.
FAMILIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "Albert": ({**OF_BERT, "embedding_size": 16}, "mean", "right"),
    "DebertaV2": ({**OF_BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, "mean", "right"),
    "DistilBert": ({"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}, "mean", "right"),
    "Electra": ({**OF_BERT, "embedding_size": 16}, "mean", "right"),
    "Gemma3Text": (DECODER, "mean", "right"),
    "Llama": (DECODER, "mean", "right"),
    "MPNet": (OF_BERT, "mean", "right"),
    "ModernBert": ({**OF_BERT, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}, "cls", "right"),
    "Qwen3": (DECODER, "lasttoken", "left"),
    "XLMRoberta": ({**OF_BERT, "pad_token_id": 0}, "cls", "right"),
}


@pytest.fixture(params=list(FAMILIES))
def encoder(request: pytest.FixtureRequest, tiny_encoder_folder: Path, tmp_path: Path) -> Encoder:
    """A model of random weights, read from its folder."""
    values, pooling, side = FAMILIES[request.param]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_encoder_folder)
    tokenizer.padding_side = side
    torch.manual_seed(0)
    config = getattr(transformers, f"{request.param}Config")(vocab_size=len(tokenizer), **values)
    getattr(transformers, f"{request.param}Model")(config).save_pretrained(tmp_path / "raw")
    tokenizer.save_pretrained(tmp_path / "raw")
    transformer = modules.Transformer(str(tmp_path / "raw"), max_seq_length=24)
    model = SentenceTransformer(
        modules=[transformer, modules.Pooling(32, pooling_mode=pooling), modules.Normalize()], device="cpu"
    )
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    return Encoder.load(tmp_path / "model", device="cpu")


def test_vectors_are_the_librarys_in_any_company(encoder: Encoder) -> None:
    wanted = encoder.model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), wanted, atol=1e-5)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone, atol=1e-5)


def trained(encoder: Encoder, collection: Collection, folder: Path, **options: Any) -> None:
    """Train a little, and read what came of it."""
    settings = TrainSettings(
        epochs=2, batch_queries=8, learning_rate=5e-3, strategy="in-batch", margin=0.1, **options
    )
    manifest = train(collection, mine(collection), encoder, folder, settings=settings)
    assert manifest["steps"] == 6
    again = Encoder.load(folder, device="cpu")
    assert again.fingerprint == manifest["fingerprint"] != manifest["base"]["fingerprint"]
    np.testing.assert_allclose(again.encode(TEXTS), encoder.encode(TEXTS), atol=1e-5)


def test_what_was_trained_is_what_is_read(
    encoder: Encoder, tiny_collection: Collection, tmp_path: Path
) -> None:
    """The trainer left a mark in the configuration, in memory alone: to an index its own copy was another."""
    trained(encoder, tiny_collection, tmp_path / "tuned")


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"lora_rank": 2}, {"cache_tokens": 64}], ids=str)
def test_so_it_is_with_adapters_and_with_gradient_caching(
    options: dict[str, Any], encoder: Encoder, tiny_collection: Collection, tmp_path: Path
) -> None:
    trained(encoder, tiny_collection, tmp_path / "tuned", **options)


@pytest.mark.slow
def test_it_is_had_as_onnx(encoder: Encoder, tmp_path: Path) -> None:
    exported = export_onnx(encoder, tmp_path / "onnx", texts=TEXTS)
    np.testing.assert_allclose(exported.encode(TEXTS), encoder.encode(TEXTS), atol=1e-4)
