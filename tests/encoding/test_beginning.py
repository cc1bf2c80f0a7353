"""What of a long text is tokenized makes the tokens that all of it would, and so the library's own vector."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from textrip.encoding.encoder import Encoder
from textrip.encoding.onnx import OnnxEncoder
from textrip.encoding.text_encoder import beginning

PIECES = [" ", "\n", "\t ", "a", "ab", "rose ", "rose", "tulip, ", "-", "日本語", "é", "🙂", "x" * 90]
LONG = [
    " " * 3000 + "rose tulip soil",
    "x" * 3000 + " rose tulip soil",
    "rose " + "x" * 5000 + " tulip" + "\n" * 9000 + "soil",
    "rose - " * 3000,
    " " * 200_000 + "rose",
    "\n" * 5000,
    "rose" * 2000,
    "tulip " * 31 + "x" * 3000 + " soil",
]


@pytest.mark.parametrize("kind", ["document", "query"])
def test_long_texts_have_the_librarys_own_vectors(encoder: Encoder, exported: OnnxEncoder, kind: Any) -> None:
    expected = encoder.model.encode(LONG, prompt=encoder.prompt(kind), normalize_embeddings=True)
    assert np.linalg.norm(expected[0] - expected[5]) > 0.1  # what comes after the blanks is read
    for made in (encoder, exported):
        np.testing.assert_allclose(made.encode(LONG, kind=kind), expected, atol=2e-6)


def trained(kind: str) -> Tokenizer:
    """A tokenizer of one of the kinds that encoders have, with a vocabulary of PIECES."""
    common: dict[str, Any] = {"vocab_size": 400, "show_progress": False}
    trainer: Any
    if kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(special_tokens=["[UNK]"], **common)
    elif kind == "byte-level BPE":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **common)
    elif kind == "BPE over all":
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        trainer = trainers.BpeTrainer(special_tokens=["[UNK]"], **common)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="[UNK]", special_tokens=["[UNK]"], **common)
    tokenizer.train_from_iterator([*PIECES, "".join(PIECES), "rose tulip unaffable " * 3], trainer)
    return tokenizer


KINDS = {kind: trained(kind) for kind in ("WordPiece", "byte-level BPE", "BPE over all", "Unigram")}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(
    parts=st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 1500)), min_size=1, max_size=5),
    tokens=st.integers(1, 40),
)
def test_the_first_tokens_are_those_of_the_whole_text(
    kind: str, parts: list[tuple[str, int]], tokens: int
) -> None:
    if kind == "Unigram":  # how it divides a word depends on all of it: here none is over 1,000 characters
        parts = [
            (piece, times if piece.isspace() else times % (199 // len(piece)) + 1) for piece, times in parts
        ]
    text, tokenizer = "".join(piece * times for piece, times in parts), KINDS[kind]
    kept = beginning(text, tokenizer, tokens)
    assert text.startswith(kept)
    assert tokenizer.encode(kept).ids[:tokens] == tokenizer.encode(text).ids[:tokens]


def test_a_text_of_100_megabytes_is_not_read_to_its_end(encoder: Encoder) -> None:
    for text in ("a" * 10**8, " " * 10**8, "rose " * (2 * 10**7)):
        assert len(beginning(text, encoder.tokenizer, 32)) <= 2**21
    assert len(beginning("rose " * (2 * 10**7), encoder.tokenizer, 32)) < 3000
