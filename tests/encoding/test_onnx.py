"""The exported encoder gives the encoder's own vectors, without torch, or is refused."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import TOPICS, build_tiny_encoder
from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding import export as export_module
from textrip.encoding.backend import BACKENDS, load_backend
from textrip.encoding.encoder import Encoder
from textrip.encoding.export import ExportError, export_onnx
from textrip.encoding.onnx import OnnxEncoder
from textrip.errors import InputError, StorageError
from textrip.interrupt import Terminated, listen
from textrip.retrieval.index import Index

TEXTS = [
    "rose tulip",
    "",
    "  Two  blanks\n",
    "garden " * 100,
    "Ünï 🙂 rose",
    "a",
    *(f"rose {n}" for n in range(70)),
]


def test_gives_the_encoders_vectors(encoder: Encoder, exported: OnnxEncoder) -> None:
    for kind in ("query", "document"):
        np.testing.assert_allclose(
            exported.encode(TEXTS, kind=kind),
            encoder.encode(TEXTS, kind=kind),
            atol=2e-6,
        )
    assert exported.encode([]).shape == (0, encoder.dimension)
    assert exported.fingerprint == encoder.fingerprint
    assert (exported.dimension, exported.max_length_tokens) == (encoder.dimension, encoder.max_length_tokens)
    assert exported.prompt("query") == "query : "
    assert exported.count_tokens(TEXTS) == encoder.count_tokens(TEXTS)
    assert exported.count_tokens(TEXTS, cut=False) == encoder.count_tokens(TEXTS, cut=False)
    assert exported.about["lowest_cosine"] >= 0.9999
    with pytest.raises(InputError, match=r"texts is a string"):
        exported.encode("rose")


def test_needs_neither_torch_nor_transformers(exported: OnnxEncoder) -> None:
    program = f"""
import sys
for name in ("torch", "transformers", "sentence_transformers", "datasets", "onnx", "scipy", "sklearn"):
    sys.modules[name] = None  # an import of it fails
from textrip.encoding.onnx import OnnxEncoder
print(OnnxEncoder.open({str(exported.folder)!r}).encode(["rose"]).shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "(1, 32)\n", done.stderr


def test_a_damaged_file_is_refused(exported: OnnxEncoder, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "onnx"))
    content = (folder / "model.onnx").read_bytes()
    for damaged in (content[:-1], content[:100] + b"\x01" + content[101:], b""):
        (folder / "model.onnx").write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.onnx: does not match its digest"):
            OnnxEncoder.open(folder)
    with pytest.raises(InputError, match=r"model\.onnx: cannot be run"):
        OnnxEncoder(folder, exported.about).encode(["rose"])
    about = json.loads((folder / "onnx.json").read_text(encoding="utf-8"))
    (folder / "onnx.json").write_text(json.dumps({**about, "max_length_tokens": 3}), encoding="utf-8")
    with pytest.raises(InputError, match=r"onnx\.json: does not match its own digest"):
        OnnxEncoder.open(folder)


def test_int8_is_another_encoder_of_a_quarter_of_the_size(
    encoder: Encoder, exported: OnnxEncoder, tmp_path: Path
) -> None:
    small = export_onnx(encoder, tmp_path / "int8", precision="int8")
    assert small.precision == "int8"
    assert small.fingerprint not in {encoder.fingerprint, ""}
    cosines = (small.encode(TEXTS) * encoder.encode(TEXTS)).sum(axis=1)
    assert 0.9 < cosines.min() < 0.999999
    assert small.about["lowest_cosine"] <= cosines.min() + 1e-5
    again = OnnxEncoder.open(exported.folder)  # the float32 one is what it was
    np.testing.assert_array_equal(again.encode(TEXTS), exported.encode(TEXTS))


def test_an_export_that_gives_other_vectors_is_refused(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "_exported", {})
    real = export_module._write_graph

    def of_another(_: Encoder, path: Path) -> None:
        real(Encoder.load(build_tiny_encoder(tmp_path / "other", seed=5), device="cpu"), path)

    monkeypatch.setattr(export_module, "_write_graph", of_another)
    with pytest.raises(ExportError, match=r"as ONNX gives other vectors: the lowest cosine is -?0\.\d+"):
        export_onnx(encoder, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_an_encoder_is_exported_once(
    encoder: Encoder, tiny_collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again where what was exported has gone or is another."""
    monkeypatch.setattr(export_module, "_exported", {})
    exports: list[Path] = []
    real = export_module._write_graph

    def counting(given: Encoder, path: Path) -> None:
        exports.append(path)
        if len(exports) == 1:
            real(given, path)
        else:
            shutil.copyfile(graph, path)

    graph = tmp_path / "index" / "onnx" / "model.onnx"
    monkeypatch.setattr(export_module, "_write_graph", counting)
    Index.build(tiny_collection, encoder, tmp_path / "index").close()
    export_onnx(encoder, tmp_path / "second")
    assert len(exports) == 1
    assert (tmp_path / "second" / "model.onnx").read_bytes() == graph.read_bytes()
    damaged = bytearray(graph.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "second" / "model.onnx").write_bytes(damaged)
    export_onnx(encoder, tmp_path / "third")
    assert len(exports) == 2
    shutil.rmtree(tmp_path / "third")
    export_onnx(encoder, tmp_path / "fourth")
    assert len(exports) == 3


def test_an_index_falls_back_to_torch_and_says_so(
    encoder: Encoder, tiny_collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "_exported", {})

    def fails(*_: object) -> None:
        raise NotImplementedError("no operator\nfor this")

    monkeypatch.setattr(export_module, "_write_graph", fails)
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        Index.build(tiny_collection, encoder, tmp_path / "index").close()
    (remark,) = [one for one in said if "ONNX" in one]
    assert remark.endswith("cannot be exported to ONNX: no operator; queries are encoded by torch, which "
                           "takes seconds to start")  # fmt: skip
    assert not (tmp_path / "index" / "onnx").exists()
    with Index.open(tmp_path / "index") as index:
        assert isinstance(index.encoder, Encoder)
        assert len(index.search("plants rose")) == 10
        assert index.check() == []


def test_a_full_disk_is_no_fault_of_the_model(
    encoder: Encoder, tiny_collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told; an index without ONNX, and a remark that the model has no operator, would hide it."""
    monkeypatch.setattr(export_module, "_exported", {})
    write = export_module._write_graph

    def to_a_full_disk(given: Encoder, path: Path) -> None:
        path.symlink_to("/dev/full")
        write(given, path)

    monkeypatch.setattr(export_module, "_write_graph", to_a_full_disk)
    with pytest.raises(StorageError, match="no space left on device"):
        Index.build(tiny_collection, encoder, tmp_path / "index")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_indexes_and_searches(
    backend: str, encoder: Encoder, tiny_collection: Collection, tmp_path: Path
) -> None:
    with (
        load_backend(encoder.name, backend=backend) as (made, model),
        Index.build(tiny_collection, made, tmp_path / "index", model=model) as index,
    ):
        expected = index.search("plants rose")
    with Index.open(tmp_path / "index") as index:
        assert isinstance(index.encoder, OnnxEncoder)
        assert index.encoder.precision == ("int8" if backend == "onnx-int8" else "float32")
        found = index.search("plants rose")
        assert [hit.doc_id for hit in found] == [hit.doc_id for hit in expected]
        assert index.check() == []
        assert isinstance(index.torch_encoder(), Encoder)


def test_a_question_has_its_vector_in_any_company(encoder: Encoder, tmp_path: Path) -> None:
    """With int8 weights the activations of a batch share their scale."""
    small = export_onnx(encoder, tmp_path / "int8", precision="int8")
    questions = [" ".join(words[:length]) for words in TOPICS.values() for length in (2, 5, 9)]
    together = small.encode(questions, kind="query")
    single = np.concatenate([small.encode([question], kind="query") for question in questions])
    np.testing.assert_array_equal(together, single)


def test_int8_weights_run_on_the_cpu_and_another_device_is_told_so(
    encoder: Encoder, tiny_collection: Collection, tmp_path: Path
) -> None:
    """Torch has the float32 weights, whose vectors are not the index's."""
    with load_backend(encoder.name, backend="onnx-int8") as (made, model):
        Index.build(tiny_collection, made, tmp_path / "index", model=model).close()
    with Index.open(tmp_path / "index", device="cpu:0") as index:
        assert isinstance(index.encoder, OnnxEncoder)
    told = r"index: has vectors of int8 weights, which run on the CPU; leave out --device cuda, or build it"
    with (
        Index.open(tmp_path / "index", device="cuda") as index,
        pytest.raises(InputError, match=told),
    ):
        index.search("plants rose")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"backend": "jax"}, r"backend is 'jax', one of torch, onnx, onnx-int8"),
        ({"backend": "onnx", "device": "cuda"}, r"backend onnx runs on the CPU; leave out --device cuda"),
    ],
)
def test_backends_that_cannot_be_are_refused(how: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message), load_backend("x", **how):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_during_the_export_ends_it_afterwards(
    number: int,
    how: type[BaseException],
    tiny_encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In torch's compiled code it became another error: the export failed, and the command went on."""
    export = torch.onnx.export

    def interrupted(*given: Any, **more: Any) -> Any:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            raise TypeError("unsupported operand") from error  # as torch makes of it
        return export(*given, **more)

    monkeypatch.setattr(torch.onnx, "export", interrupted)
    monkeypatch.setattr(export_module, "_copied", lambda *_: False)  # what was exported before
    former = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    listen()
    try:
        with pytest.raises(how):
            export_onnx(tiny_encoder, tmp_path / "onnx")
    finally:
        listen()  # forgets what was asked: the next training in this process would end by it
        for each, handler in former.items():
            signal.signal(each, handler)
    assert not (tmp_path / "onnx").exists()
