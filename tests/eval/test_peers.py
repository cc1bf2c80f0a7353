"""The comparisons: each system deals with the same triples, and the table's ratios are those of one run."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.eval.peers import mining
from textrip.eval.peers.flops import Counted, _windows, matrix_rate
from textrip.eval.peers.random_encoder import load
from textrip.eval.peers.rows import Row, table, write_rows
from textrip.eval.peers.training import Case, measure


@pytest.mark.parametrize(("system", "encodings"), [
    ("TripletLoss", 3.0),
    ("TripletLoss, no dropout", 3.0),
    ("BatchHardTripletLoss", 2.0),
    ("MultipleNegativesRankingLoss", 2.0),
    ("CachedMultipleNegativesRankingLoss", 4.0),
    ("textrip, dropout on", 2.0),
    ("textrip", 2.0),
])  # fmt: skip
def test_every_system_takes_its_steps_and_its_encodings_are_counted(
    system: str, encodings: float, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "tiny")
    case = Case(str(data), str(tiny_encoder_folder), 2, 24, 4, 2, "cpu")
    found = measure(system, case)
    assert found["triples"] > 0
    assert found["memory"] > 10
    assert 0 < found["share"] < 1
    if system.startswith("textrip"):  # a text that two groups share is encoded once
        assert 1.0 < found["encodings"] <= encodings
    else:
        assert found["encodings"] == encodings


@pytest.mark.parametrize(("texts", "length"), [(3, 24), (1, 7)])
def test_the_operations_are_those_that_torch_counts(texts: int, length: int, tiny_encoder: Encoder) -> None:
    model = tiny_encoder.model.train()
    counted = Counted(model)
    features = model.preprocess([" ".join(["rose"] * (length - 2))] * texts)
    assert features["input_ids"].shape == (texts, length)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        vectors = model(dict(features))["sentence_embedding"]
        forward = counter.get_total_flops()
        vectors.sum().backward()
    assert counted.operations == pytest.approx(counter.get_total_flops(), rel=0.02)
    counted.begin()
    with torch.no_grad():
        model(dict(features))
    assert counted.operations == pytest.approx(forward, rel=0.02)
    assert counted.texts == texts
    assert matrix_rate("cpu", torch.float32) > 1e8


def test_a_window_bounds_what_attention_takes() -> None:
    config = SimpleNamespace(num_hidden_layers=4, local_attention=128, global_attn_every_n_layers=3)
    assert _windows(config) == [float("inf"), 128.0, 128.0, float("inf")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "millions"), [("random-bert-base", 85), ("random-modernbert-base", 110)])
def test_a_random_encoder_has_the_published_size_and_encodes(name: str, millions: int) -> None:
    encoder = load(name, device="cpu", max_length_tokens=64)
    weights = sum(
        parameter.numel() for key, parameter in encoder.model.named_parameters() if "embeddings" not in key
    )
    assert weights / 1e6 == pytest.approx(millions, rel=0.02)
    assert encoder.encode(["a question", "an answer of more words"]).shape == (2, 768)


@pytest.mark.gpu
@pytest.mark.parametrize("system", ["TripletLoss", "textrip", "textrip, cached"])
def test_on_cuda_in_bf16(
    system: str, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    data = write_beir(tiny_collection, tmp_path / "tiny")
    found = measure(system, Case(str(data), str(tiny_encoder_folder), 2, 24, 4, 2, "cuda", 64, "bf16"))
    assert found["triples"] > 0
    assert 0 < found["share"] < 1


def test_too_few_queries_are_said(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path,
    write_beir: Callable[[Collection, Path], Path],
) -> None:  # fmt: skip
    data = write_beir(tiny_collection, tmp_path / "tiny")
    with pytest.raises(InputError, match="queries with 2 negatives, 64 are a batch"):
        measure("textrip", Case(str(data), str(tiny_encoder_folder), 2, 24, 64, 4, "cpu"))


def test_the_systems_find_the_same_documents(
    tiny_collection: Collection, tmp_path: Path, write_beir: Callable[[Collection, Path], Path]
) -> None:
    data = write_beir(tiny_collection, tmp_path / "tiny")
    rows = mining.compare([mining.Case(str(data), size, 50, 5, 10, 1) for size in (20, None)])
    found = {(row.peer, row.case, row.measure): row.value for row in rows}
    small, whole = dict.fromkeys(row.case for row in rows)
    assert small == "tiny, 20 documents"
    for system in (mining.TEXTRIP, mining.BM25S, mining.RANK_BM25):
        assert found[system, whole, "index"] > 0
        assert found[system, whole, "queries at k = 10"] > 0
    assert found[mining.RANK_BM25, whole, "of textrip's 10 documents"] > 0.99
    assert found[mining.BM25S, whole, "of textrip's 10 documents"] > 0.9
    mining.plot(rows, tmp_path / "grown.png")
    assert (tmp_path / "grown.png").stat().st_size > 10_000


def test_the_memory_of_building_is_measured_in_a_process_of_its_own(
    tiny_collection: Collection, tmp_path: Path, write_beir: Callable[[Collection, Path], Path]
) -> None:
    rows = mining.building_memory(str(write_beir(tiny_collection, tmp_path / "tiny")))
    assert {row.case for row in rows} >= {"tiny, 1 process"}
    assert [row.unit for row in rows[:3]] == ["seconds", "MiB", "MiB"]
    assert 0 < rows[2].value < 1


def test_the_table_has_ratios_to_the_baseline_of_the_same_case(tmp_path: Path) -> None:
    rows = [
        Row("slow", "k = 1", "triples", 2.0, "per second"),
        Row("fast", "k = 1", "triples", 5.0, "per second"),
        Row("fast", "k = 8", "triples", 7.0, "per second"),
    ]
    lines = table(rows, baseline="slow").splitlines()
    assert lines[0] == "triples (per second)"
    assert lines[-2:] == ["| slow | 2 (1.00x) | - |", "| fast | 5 (2.50x) | 7 |"]
    write_rows(tmp_path / "r" / "rows.json", rows)
    assert json.loads((tmp_path / "r" / "rows.json").read_text())[1] == {
        "peer": "fast", "case": "k = 1", "measure": "triples", "value": 5.0, "unit": "per second",
    }  # fmt: skip
    assert "torch" in json.loads((tmp_path / "r" / "rows.about.json").read_text())["versions"]


def test_search_is_compared_on_encoded_vectors(
    tmp_path: Path, tiny_encoder: Encoder, tiny_collection: Collection
) -> None:
    from textrip.encoding.vectors import write_vectors
    from textrip.eval.peers import search

    texts = [f"{text} {number}" for number in range(8) for text in tiny_collection.texts]
    vectors = tiny_encoder.encode(texts)
    ids = map(str, range(len(texts)))
    write_vectors(tmp_path / "v.npy", ids, iter([vectors]), fingerprint="f", encoder="tiny")
    case = search.Case(tmp_path / "v.npy", documents=700, noise=0.3, queries=20, rounds=1)
    rows = search.compare([case], kinds=["exact", "hnsw", "binary"], breadths=[16])
    values = {(row.peer, row.measure): row.value for row in rows}
    assert {row.case for row in rows} == {"700 vectors"}
    assert values["FAISS flat", "recall@10"] == values["textrip, exact", "recall@10"] == 1.0
    assert values["textrip, hnsw", "recall@10"] > 0.9
    assert values["textrip, binary, 16 candidates", "recall@10"] <= values["textrip, binary", "recall@10"]
    assert all(value > 0 for (_, measure), value in values.items() if measure == "queries together")
    search.plot(rows, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_every_backend_is_compared(
    tmp_path: Path, tiny_encoder_folder: Path, tiny_collection: Collection, write_beir: Any
) -> None:
    from textrip.eval.peers import encoding

    data = write_beir(tiny_collection, tmp_path / "data")
    case = encoding.Case(str(data), 40, str(tiny_encoder_folder), None, 1, "cpu")
    rows = encoding.compare(case, quality=[str(data)])
    values = {(row.peer, row.measure): row.value for row in rows}
    assert values["textrip, onnx", "lowest cosine with sentence-transformers"] > 0.9999
    assert 0.9 < values["textrip, onnx-int8", "mean cosine with sentence-transformers"] < 1
    assert values["textrip, torch", "test nDCG@10"] == pytest.approx(values["textrip, onnx", "test nDCG@10"])


@pytest.mark.slow
def test_cold_starts_are_compared(
    tmp_path: Path, tiny_encoder_folder: Path, tiny_collection: Collection, write_beir: Any
) -> None:
    from textrip.eval.peers import cold

    data = write_beir(tiny_collection, tmp_path / "data")
    rows = cold.compare(data=str(data), model=str(tiny_encoder_folder), question="rose", rounds=1)
    values = {row.peer: row.value for row in rows}
    assert values["textrip search"] < values["sentence-transformers and FAISS"]
