"""The rate that auto stands for: by width, said, saved, and no other than the same one typed."""

from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
from transformers import BertConfig, BertModel

from textrip.encoding.encoder import Encoder
from textrip.training.rate import usual_rate


@pytest.mark.parametrize(("width", "rate"), [(384, 4e-5), (768, 2e-5), (1024, 1.5e-5)])
def test_a_wide_encoder_learns_at_a_lower_rate(
    tiny_encoder: Encoder, width: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_encoder.model[0].model.config, "hidden_size", width)
    assert usual_rate(tiny_encoder) == pytest.approx(rate)
    assert usual_rate(tiny_encoder, adapters=True) == pytest.approx(10 * rate)


def test_the_width_is_that_of_the_layers_and_not_of_the_vectors(
    tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    config = BertConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=2000
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    Encoder.load(tiny_encoder_folder, device="cpu").model.tokenizer.save_pretrained(tmp_path / "bert")
    transformer = Transformer(str(tmp_path / "bert"))
    model = SentenceTransformer(modules=[transformer, Pooling(64), Dense(64, 8)], device="cpu")
    encoder = Encoder(model, "with a head")
    assert encoder.dimension == 8
    assert usual_rate(encoder) == pytest.approx(4e-5 * 384 / 64)
