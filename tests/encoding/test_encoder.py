"""The encoder: unit vectors in order, whatever the batch; an identity that moves with all that matters."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import build_tiny_encoder
from textrip.encoding import encoder as encoder_module
from textrip.encoding import text_encoder
from textrip.encoding.encoder import Encoder, Precision
from textrip.encoding.export import export_onnx
from textrip.errors import InputError
from textrip.training.batch import Bucketed

ODD_TEXTS = [
    "",
    "   \t\n",
    "rose " * 250_000,
    "x" * 1_000_000,
    "🌹🌊 emoji 👩‍👩‍👧",
    "שלום עולם ورود",
    "caf\u00e9 rose",
    "cafe\u0301 rose",
    "rose",
    "\x1b[31mred\x1b[0m",
]


def test_odd_texts_give_finite_unit_vectors_in_order_at_any_batch_size(
    tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = tiny_encoder.encode(ODD_TEXTS)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = np.concatenate([tiny_encoder.encode([text]) for text in ODD_TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    monkeypatch.setitem(encoder_module._TOKENS_A_BATCH, "cpu", 32)
    monkeypatch.setattr(text_encoder, "WINDOW", 3)
    np.testing.assert_allclose(tiny_encoder.encode(ODD_TEXTS), together, atol=1e-6)
    backwards = tiny_encoder.encode(ODD_TEXTS[::-1])
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-6)


def test_a_text_without_a_token_has_a_vector(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    """A tokenizer that adds nothing, as GPT-2's, leaves nothing of an empty text."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_encoder_folder, folder)
    for path in folder.rglob("tokenizer.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))
    encoder = Encoder.load(folder, device="cpu")
    alone, company = encoder.encode(["", " "]), encoder.encode(["rose tulip", ""])
    np.testing.assert_allclose(alone, company[[1, 1]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-6)
    exported = export_onnx(encoder, tmp_path / "onnx", texts=["rose", ""])
    np.testing.assert_allclose(exported.encode(["", "rose"])[:1], alone[:1], atol=1e-5)
    (bucket,) = Bucketed(encoder).in_buckets(["", ""], "document").features
    assert bucket["attention_mask"].sum().item() == 2


def test_vectors_equal_sentence_transformers(tiny_encoder: Encoder) -> None:
    texts = ["rose tulip", "wave", "rose " * 50]
    np.testing.assert_allclose(tiny_encoder.encode(texts), tiny_encoder.model.encode(texts), atol=1e-6)


def test_no_text_gives_no_row(tiny_encoder: Encoder) -> None:
    assert tiny_encoder.encode([]).shape == (0, 32)


def test_a_string_is_refused_where_texts_are_wanted(tiny_encoder: Encoder) -> None:
    with pytest.raises(InputError, match="a list of texts was expected"):
        tiny_encoder.encode("rose")


def test_half_a_character_is_refused(tiny_encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"a text has a lone surrogate '\\ud800', no character"):
        tiny_encoder.encode(["rose", "a\ud800b"])


def test_prompts_of_the_model_go_before_queries_only(tmp_path: Path) -> None:
    encoder = Encoder.load(build_tiny_encoder(tmp_path, prompts={"query": "query : "}), device="cpu")
    as_query, as_document = (encoder.encode(["rose"], kind=kind) for kind in ("query", "document"))
    assert not np.allclose(as_query, as_document)
    np.testing.assert_allclose(as_query, encoder.encode(["query : rose"]), atol=1e-6)


@pytest.mark.parametrize("name", ["passage", "corpus"])
def test_a_prompt_of_passages_is_that_of_documents(name: str, tmp_path: Path) -> None:
    """The library's own encode_document passes over it: its models all have an empty one for "document"."""
    encoder = Encoder.load(build_tiny_encoder(tmp_path, prompts={name: "query : "}), device="cpu")
    np.testing.assert_allclose(encoder.encode(["rose"]), encoder.encode(["query : rose"], kind="query"))
    encoder.save(tmp_path / "saved")
    assert Encoder.load(tmp_path / "saved", device="cpu").prompt("document") == "query : "


def test_the_fingerprint_survives_saving_and_moves_with_weights_length_and_prompts(
    tiny_encoder: Encoder, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    import torch

    original = tiny_encoder.fingerprint
    tiny_encoder.encode(["rose " * 40])  # leaves truncation and padding switched on in the tokenizer
    assert tiny_encoder.fingerprint == original
    tiny_encoder.save(tmp_path / "saved")
    assert Encoder.load(tmp_path / "saved", device="cpu").fingerprint == original
    assert Encoder.load(tiny_encoder_folder, device="cpu", max_length_tokens=16).fingerprint != original
    prompted = Encoder.load(tiny_encoder_folder, device="cpu")
    prompted.model.prompts["query"] = "query : "
    assert prompted.fingerprint != original
    pooled = Encoder.load(tiny_encoder_folder, device="cpu")
    pooled.model[1].pooling_mode = ("cls",)
    assert pooled.fingerprint != original
    with torch.no_grad():
        next(tiny_encoder.model.parameters())[0, 0] += 1e-4
    assert tiny_encoder.fingerprint != original


def test_a_length_beyond_the_positions_is_refused(tiny_encoder_folder: Path) -> None:
    with pytest.raises(InputError, match=r"max_length_tokens is 65; .* reads at most 64 tokens"):
        Encoder.load(tiny_encoder_folder, device="cpu", max_length_tokens=65)
    with pytest.raises(InputError, match="at least 3 are needed"):
        Encoder.load(tiny_encoder_folder, device="cpu", max_length_tokens=2)


def test_tokens_are_counted_with_and_without_the_cut(tiny_encoder: Encoder) -> None:
    assert tiny_encoder.count_tokens(["rose", "rose " * 40]) == [3, 32]
    assert tiny_encoder.count_tokens(["rose " * 40], cut=False) == [42]


def test_half_precision_moves_a_vector_a_little(tiny_encoder_folder: Path, tiny_encoder: Encoder) -> None:
    half = Encoder.load(tiny_encoder_folder, device="cpu", precision="bf16")
    exact, found = tiny_encoder.encode(ODD_TEXTS), half.encode(ODD_TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert (exact * found).sum(axis=1).min() > 0.995
    assert np.abs(exact - found).max() > 1e-6
    assert half.fingerprint == tiny_encoder.fingerprint
    assert not half.unpadded  # there is no such kernel for a CPU
    with pytest.raises(InputError, match=r"precision is 'fp8', one of float32, bf16, fp16 was expected"):
        Encoder.load(tiny_encoder_folder, device="cpu", precision="fp8")  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_cuda(precision: Precision, tiny_encoder_folder: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    exact = Encoder.load(tiny_encoder_folder, device="cuda").encode(ODD_TEXTS)
    found = Encoder.load(tiny_encoder_folder, device="cuda", precision=precision).encode(ODD_TEXTS)
    assert (exact * found).sum(axis=1).min() > 0.995


@pytest.mark.gpu
def test_batches_without_padding(tiny_encoder_folder: Path) -> None:
    """FlashAttention wants heads of at least 8 dimensions and half precision; the tiny encoder's have 16."""
    import torch
    from transformers.utils import is_flash_attn_2_available

    if not torch.cuda.is_available() or not is_flash_attn_2_available():
        pytest.skip("no CUDA device, or flash-attn is not installed")
    exact = Encoder.load(tiny_encoder_folder, device="cuda")
    packed = Encoder.load(tiny_encoder_folder, device="cuda", precision="bf16")
    assert not exact.unpadded
    assert packed.unpadded
    texts = [*ODD_TEXTS, *(f"rose {'tulip ' * n}" for n in range(20))]
    assert (exact.encode(texts) * packed.encode(texts)).sum(axis=1).min() > 0.995
    assert packed.fingerprint == exact.fingerprint


@pytest.mark.gpu
def test_cuda_gives_the_vectors_of_the_cpu(tiny_encoder_folder: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    texts = ["rose tulip", "wave", "rose " * 50, ""]
    on_cpu = Encoder.load(tiny_encoder_folder, device="cpu").encode(texts)
    np.testing.assert_allclose(
        Encoder.load(tiny_encoder_folder, device="cuda").encode(texts), on_cpu, atol=1e-4
    )


def test_who_may_read_the_folder_may_read_the_weights(tiny_encoder: Encoder, tmp_path: Path) -> None:
    """Safetensors writes them for their owner alone, whatever the umask: a colleague had no encoder."""
    before = os.umask(0o022)
    try:
        tiny_encoder.save(tmp_path / "m")
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "m").rglob("*") if path.is_file()]
    assert "model.safetensors" in {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o644}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_encodes(tiny_encoder_folder: Path) -> None:
    """Torch computed with several threads before; the child has none of them, and waited for ever."""
    program = f"""
import os, signal
from textrip import Encoder
encoder = Encoder.load({str(tiny_encoder_folder)!r}, device="cpu")
texts = ["rose tulip soil seed " * 20] * 256
vectors = encoder.encode(texts)
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if abs(encoder.encode(texts) - vectors).max() < 1e-6 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "OMP_NUM_THREADS": "4"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "0\n", done.stderr
