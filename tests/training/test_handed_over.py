"""An encoder that is handed to a training: it becomes what is saved when all is done, and else stays."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.running import stopped_at
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError, MismatchError
from textrip.lexical.analyzer import Analyzer
from textrip.mining.settings import MineSettings
from textrip.pipeline.train import train
from textrip.training.settings import TrainSettings

LEARN = TrainSettings(
    epochs=3, batch_queries=8, learning_rate=5e-3, max_length_tokens=24, query_prompt="ask: "
)
UNFILTERED = MineSettings(denoise="none")


@pytest.mark.parametrize("rounds", [1, 2])
def test_it_becomes_what_is_saved(
    rounds: int, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    manifest = train(tiny_collection, tmp_path / "m", model=encoder, settings=LEARN, rounds=rounds)
    assert manifest["kept_step"] > 0
    assert encoder.fingerprint == Encoder.load(tmp_path / "m", device="cpu").fingerprint
    assert encoder.fingerprint == manifest["fingerprint"] != manifest["base"]["fingerprint"]
    assert (encoder.max_length_tokens, encoder.prompt("query")) == (24, "ask: ")


def test_it_stays_where_the_training_is_stopped_and_goes_on(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    before = encoder.fingerprint
    how: dict[str, Any] = {"settings": LEARN, "mining": UNFILTERED}
    with stopped_at(5), pytest.raises(KeyboardInterrupt):
        train(tiny_collection, tmp_path / "m", model=encoder, **how)
    assert encoder.fingerprint == before
    gone_on = train(tiny_collection, tmp_path / "m", model=encoder, resume=True, **how)
    whole = train(tiny_collection, tmp_path / "w", model=tiny_encoder_folder, device="cpu", **how)
    assert gone_on["fingerprint"] == whole["fingerprint"] == encoder.fingerprint


def test_it_stays_where_the_training_is_refused(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder.load(tiny_encoder_folder, device="cpu")
    before = encoder.fingerprint, encoder.max_length_tokens, encoder.prompt("query")
    settings = TrainSettings(query_prompt="ask: ", max_length_tokens=100_000)
    with pytest.raises(InputError, match="max_length_tokens is 100000"):
        train(tiny_collection, tmp_path / "m", model=encoder, settings=settings)
    assert (encoder.fingerprint, encoder.max_length_tokens, encoder.prompt("query")) == before


@pytest.mark.parametrize("rounds", [1, 2])
def test_what_goes_on_is_mined_as_it_was_begun(
    rounds: int, tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {
        "model": tiny_encoder_folder, "settings": LEARN, "mining": UNFILTERED, "device": "cpu",
        "rounds": rounds,
    }  # fmt: skip
    with stopped_at(5), pytest.raises(KeyboardInterrupt):
        train(tiny_collection, tmp_path / "m", **how)
    other = how | {"mining": MineSettings(denoise="none", negatives=3)}
    with pytest.raises(MismatchError, match=r"begun with another .*negatives \(1, now 3\)"):
        train(tiny_collection, tmp_path / "m", resume=True, **other)
    with pytest.raises(MismatchError, match=r"begun with another .*analyzer\.stemmer"):
        train(tiny_collection, tmp_path / "m", resume=True, analyzer=Analyzer.for_language("german"), **how)
    train(tiny_collection, tmp_path / "m", resume=True, **how)


def test_two_in_one_process_go_one_after_the_other(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    """Both would draw dropout from torch's one generator, and share the library's state."""
    settings = TrainSettings(epochs=3, batch_queries=8, dropout=True)
    done: dict[str, str] = {}

    def work(name: str) -> None:
        made = train(
            tiny_collection, tmp_path / name, model=tiny_encoder_folder, settings=settings,
            mining=UNFILTERED, device="cpu",
        )  # fmt: skip
        done[name] = made["fingerprint"]

    work("alone")
    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done["one"] == done["other"] == done["alone"]
