"""Loading by name: folder, embedded package, hub; no network unless it is wanted, no code from files."""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from textrip.encoding import load
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, OfflineError


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt to reach the network is kept, and fails."""
    attempts: list[object] = []

    def refuse(*args: object, **_kwargs: object) -> None:
        attempts.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


def test_offline_means_no_attempt(tiny_encoder_folder: Path, no_sockets: list[object]) -> None:
    Encoder.load(tiny_encoder_folder, device="cpu").encode(["rose"])
    with pytest.raises(
        OfflineError, match="model 'someone/some-model' is on the hub and the network is switched"
    ):
        Encoder.load("someone/some-model", device="cpu")
    assert no_sockets == []


def test_a_hub_out_of_reach_is_said_at_once(
    no_sockets: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        OfflineError, match=r"is on the hub and \S+ cannot be reached \(no network in this test\)"
    ):
        Encoder.load("someone/some-model", device="cpu")
    assert len(no_sockets) == 1


def test_a_name_that_the_hub_does_not_know_is_told_before_anything_is_read() -> None:
    class Hub(BaseHTTPRequestHandler):
        """One that has a single model."""

        def do_GET(self) -> None:
            known = self.path == "/api/models/someone/some-model"
            self.send_response(200 if known else 404)
            if not known:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(b'{"id": "someone/some-model"}' if known else b"{}")

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    asks = """
import sys
from textrip.encoding.load import require_models
from textrip.errors import InputError
for name in sys.argv[1:]:
    try:
        require_models(name)
        print("there")
    except InputError as error:
        print(error)
"""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxies = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"}
        env = {name: value for name, value in os.environ.items() if name.upper() not in proxies}
        env |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0"}
        asked = [sys.executable, "-c", asks, "someone/some-model", "someone/sum-model", "some-model"]
        done = subprocess.run(asked, env=env, capture_output=True, text=True, timeout=120, check=True)
        server.shutdown()
    assert done.stdout.splitlines() == [
        "there",
        "'someone/sum-model' is no folder here, and no model of the hub that this machine may read",
        "'some-model' is no folder here, and no model of the hub that this machine may read",
    ]


@pytest.mark.parametrize(("name", "reason"), [
    ("", "the model's name is '', a name or a folder was expected"),
    ("./nowhere", "./nowhere: no such folder"),
    ("/no/where/at/all", "/no/where/at/all: no such folder"),
])  # fmt: skip
def test_a_path_is_never_taken_for_a_name_of_the_hub(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Encoder.load(name, device="cpu")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no encoder \(no modules.json or config.json\)"):
        Encoder.load(tmp_path, device="cpu")


def test_a_file_that_may_not_be_read_is_told_as_that(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors calls it missing."""
    shutil.copytree(tiny_encoder_folder, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(b"")  # as little as the reader is shown
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != weights and access(path, mode))
    with pytest.raises(InputError, match=rf"^{weights}: permission denied$"):
        Encoder.load(tmp_path / "model", device="cpu")


def test_an_embedding_without_a_transformer_is_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    """A static one has a tokenizer of another kind, and was an AttributeError with the first text."""
    tokenizer = Tokenizer.from_file(str(next(tiny_encoder_folder.rglob("tokenizer.json"))))
    model = SentenceTransformer(modules=[modules.StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    model.save_pretrained(str(tmp_path / "static"), create_model_card=False)
    with pytest.raises(InputError, match="its first module is a StaticEmbedding"):
        Encoder.load(tmp_path / "static", device="cpu")


def test_a_model_of_two_towers_is_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    """Queries went the documents' way, without a word."""
    towers = [
        [modules.Transformer(str(tiny_encoder_folder)), modules.Pooling(32, pooling_mode="mean")]
        for _ in range(2)
    ]
    model = SentenceTransformer(modules=[modules.Router.for_query_document(*towers)], device="cpu")
    model.save_pretrained(str(tmp_path / "towers"), create_model_card=False)
    with pytest.raises(InputError, match=r"through modules of their own \(a Router\)"):
        Encoder.load(tmp_path / "towers", device="cpu")


def test_positions_behind_the_padding_are_no_length(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    """RoBERTa has 34 rows for 32 tokens: with a length of 34 a long text was an IndexError."""
    config = RobertaConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=34, pad_token_id=1,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(tmp_path / "raw")
    AutoTokenizer.from_pretrained(tiny_encoder_folder).save_pretrained(tmp_path / "raw")
    encoder = Encoder.load(tmp_path / "raw", device="cpu")
    assert encoder.max_length_tokens == 32
    assert encoder.encode(["rose " * 100]).shape == (1, 32)
    with pytest.raises(InputError, match=r"max_length_tokens is 33; .*raw reads at most 32 tokens"):
        Encoder.load(tmp_path / "raw", device="cpu", max_length_tokens=33)


def test_a_damaged_model_is_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_encoder_folder, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be loaded as an encoder"):
        Encoder.load(copy, device="cpu")


def test_weights_in_a_pickle_run_no_code(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (marker,)

    copy = shutil.copytree(tiny_encoder_folder, tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(InputError):
        Encoder.load(copy, device="cpu")
    assert not marker.exists()


def test_code_that_a_model_brings_is_not_run(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    copy = shutil.copytree(tiny_encoder_folder, tmp_path / "copy")
    (copy / "attack.py").write_text(f"open({str(marker)!r}, 'w')\nclass Attack: ...\n")
    config = json.loads((copy / "config.json").read_text())
    config |= {
        "auto_map": {"AutoModel": "attack.Attack", "AutoConfig": "attack.Attack"},
        "model_type": "attack",
    }
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError):
        Encoder.load(copy, device="cpu")
    modules = json.loads((tiny_encoder_folder / "modules.json").read_text())
    modules[0]["type"] = "attack.Attack"
    shutil.copy(tiny_encoder_folder / "config.json", copy / "config.json")
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError):
        Encoder.load(copy, device="cpu")
    assert not marker.exists()


def test_the_embedded_encoder_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    if load.embedded_folder() is None:
        pytest.skip("the extra `offline` is not installed")
    monkeypatch.setattr(load, "sha256", lambda _path: "0" * 64)
    with pytest.raises(InputError, match="are not the official weights of all-MiniLM-L6-v2; reinstall"):
        Encoder.load("all-MiniLM-L6-v2", device="cpu")


def test_devices_that_are_not_there() -> None:
    assert load.resolve_device("cpu") == "cpu"
    with pytest.raises(
        InputError, match="device 'tpu' is not known; one of auto, cpu, cuda, mps was expected"
    ):
        load.resolve_device("tpu")
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"device 'cuda' is not available here \(there is: cpu"):
            load.resolve_device("cuda")
