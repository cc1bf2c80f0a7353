"""A model that is not there is told before a corpus is read, split and mined for it."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import textrip as library
from tests.running import Run
from textrip.errors import TextripError
from textrip.mining.settings import MineSettings

NOWHERE = "no/such/model"
TOLD = "no/such/model: no such folder"
DENSE = MineSettings(dense=1, negatives=2, dense_model=NOWHERE)
FILTER = MineSettings(denoise=NOWHERE)


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """Data whose last line is cut: whoever reads it to the end fails at it."""
    path = tmp_path / "data.jsonl"
    path.write_text('{"query": "a rose", "positive": "a red flower"}\n' * 3 + '{"query": "a ca')
    return path


@pytest.mark.parametrize("arguments", [
    ["check", "{data}", "--model", NOWHERE],
    ["cluster", "{data}", "--model", NOWHERE],
    ["encode", "{data}", "-o", "{tmp}/v.npy", "--model", NOWHERE],
    ["eval", "{data}", "--model", NOWHERE],
    ["fit", "{data}", "-o", "{tmp}/fit", "--model", NOWHERE],
    ["fit", "{data}", "-o", "{tmp}/fit", "--model", "{model}", "--denoise", NOWHERE],
    ["index", "{data}", "-o", "{tmp}/index", "--model", NOWHERE],
    ["mine", "{data}", "-o", "{tmp}/t.parquet", "--denoise", NOWHERE],
    ["mine", "{data}", "-o", "{tmp}/t.parquet", "--negatives", "2", "--dense", "1", "--dense-model", NOWHERE],
    ["mine", "{data}", "-o", "{tmp}/t.parquet", "--report", "{tmp}/r.html", "--report-model", NOWHERE],
    ["train", "{data}", "-o", "{tmp}/model", "--model", NOWHERE],
    ["train", "{data}", "-o", "{tmp}/model", "--model", "{model}", "--denoise", NOWHERE],
    ["train", "{data}", "-o", "{tmp}/model", "--model", NOWHERE, "--dry-run"],
    ["tune", "{data}", "-o", "{tmp}/study", "--model", NOWHERE],
], ids=" ".join)  # fmt: skip
def test_by_commands(
    arguments: list[str], cut_off: Path, tiny_encoder_folder: Path, tmp_path: Path, textrip: Run
) -> None:
    names = {"data": cut_off, "tmp": tmp_path, "model": tiny_encoder_folder}
    done = textrip(*(argument.format(**names) for argument in arguments))
    assert (done.code, done.err.strip()) == (2, f"Error: {TOLD}")
    assert list(tmp_path.iterdir()) == [cut_off]


def test_a_device_that_is_not_there_is_told_as_early(cut_off: Path, tmp_path: Path, textrip: Run) -> None:
    done = textrip("fit", cut_off, "-o", tmp_path / "fit", "--model", NOWHERE, "--device", "tpu")
    assert (done.code, "device 'tpu' is not known" in done.err) == (2, True)


@pytest.mark.parametrize("arguments", [
    ["check", "{data}", "--model", "{model}"],
    ["encode", "{data}", "-o", "{tmp}/v.npy", "--model", "{model}"],
    ["eval", "{data}", "--model", "{model}"],
    ["fit", "{data}", "-o", "{tmp}/fit", "--model", "{model}"],
    ["index", "{data}", "-o", "{tmp}/index", "--model", "{model}"],
    ["train", "{data}", "-o", "{tmp}/model", "--model", "{model}"],
    ["train", "{data}", "-o", "{tmp}/model", "--model", "{model}", "--dry-run"],
    ["tune", "{data}", "-o", "{tmp}/study", "--model", "{model}"],
], ids=" ".join)  # fmt: skip
def test_a_length_that_the_model_has_no_positions_for(
    arguments: list[str], cut_off: Path, tiny_encoder_folder: Path, tmp_path: Path, textrip: Run
) -> None:
    names = {"data": cut_off, "tmp": tmp_path, "model": tiny_encoder_folder}
    done = textrip(*(argument.format(**names) for argument in arguments), "--max-length-tokens", 65)
    told = f"{tiny_encoder_folder} has positions for 64 tokens, and reads at most so many"
    assert (done.code, done.err.strip()) == (2, f"Error: max_length_tokens is 65; {told}")
    assert list(tmp_path.iterdir()) == [cut_off]


@pytest.mark.parametrize("call", [
    lambda data, out, _: library.fit(data, out, model=NOWHERE),
    lambda data, out, model: library.fit(data, out, model=model, mining=FILTER),
    lambda data, out, _: library.train(data, out, model=NOWHERE),
    lambda data, out, model: library.train(data, out, model=model, mining=DENSE),
    lambda data, out, _: library.tune(data, out, model=NOWHERE),
    lambda data, out, model: library.tune(data, out, model=model, mining=replace(FILTER, negatives=4)),
    lambda data, *_: library.mine(data, settings=FILTER),
    lambda data, *_: library.mine(data, settings=DENSE),
    lambda data, *_: library.cluster(data, model=NOWHERE),
])  # fmt: skip
def test_by_functions(
    call: Callable[..., Any], cut_off: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TextripError, match=f"^{re.escape(TOLD)}$"):
        call(cut_off, tmp_path / "out", tiny_encoder_folder)
    assert list(tmp_path.iterdir()) == [cut_off]


@pytest.mark.parametrize("call", [library.fit, library.train, library.tune])
def test_a_length_by_functions(
    call: Callable[..., Any], cut_off: Path, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    settings = library.TrainSettings(max_length_tokens=65)
    with pytest.raises(TextripError, match=r"^max_length_tokens is 65; .* has positions for 64 tokens"):
        call(cut_off, tmp_path / "out", model=tiny_encoder_folder, settings=settings)
    assert list(tmp_path.iterdir()) == [cut_off]
