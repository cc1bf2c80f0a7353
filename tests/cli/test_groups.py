"""The groups of options: every setting has one, with the record's own default."""

from dataclasses import fields

import pytest

from tests.running import Run
from textrip.cli.groups import MINING, TRAINING
from textrip.errors import InputError
from textrip.mining.settings import MineSettings
from textrip.training.settings import TrainSettings


def test_every_setting_of_a_training_has_an_option_and_its_default() -> None:
    assert {*TRAINING.options, "seed"} == {field.name for field in fields(TrainSettings)}
    assert {*MINING.options, "seed", "split", "queries"} == {field.name for field in fields(MineSettings)}
    defaults = {name: default for name, (_, _, default) in TRAINING.options.items()}
    assert TRAINING.make(defaults, {"seed": 3}) == TrainSettings(seed=3)
    mining = {name: default for name, (_, _, default) in MINING.options.items()}
    assert MINING.make(mining, {"seed": 3}) == MineSettings(seed=3)


@pytest.mark.parametrize(("name", "given", "reason"), [
    ("margin", "wide", "margin is 'wide', a number or auto was expected"),
    ("matryoshka", "64;32", "matryoshka is '64;32', dimensions with commas were expected"),
])  # fmt: skip
def test_what_is_no_number_is_said_with_what_was_found(name: str, given: str, reason: str) -> None:
    defaults = {name: default for name, (_, _, default) in TRAINING.options.items()}
    with pytest.raises(InputError, match=reason):
        TRAINING.make({**defaults, name: given}, {"seed": 0})


def test_dimensions_are_typed_with_commas() -> None:
    defaults = {name: default for name, (_, _, default) in TRAINING.options.items()}
    assert TRAINING.make({**defaults, "matryoshka": "256, 64"}, {"seed": 0}).matryoshka == (256, 64)


def test_mining_options_are_refused_where_triples_are_given(textrip: Run, tmp_path, beir_folder) -> None:  # type: ignore[no-untyped-def]
    triples = tmp_path / "t.parquet"
    assert textrip("mine", beir_folder, "-o", triples).code == 0
    done = textrip("train", triples, "--data", beir_folder, "-o", tmp_path / "m", "--skip", 3)
    assert done.code == 2
    assert "is mined already: --skip has nothing to do, leave it out" in done.err
