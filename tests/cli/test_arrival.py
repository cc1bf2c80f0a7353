"""What is typed arrives: each option of a command in the public function behind it."""

from pathlib import Path
from typing import Any

import pytest

from tests.running import Run
from textrip.errors import InputError

FUNCTIONS = {
    "fit": "pipeline.fit.fit",
    "train": "pipeline.train.train",
    "tune": "pipeline.tune.tune",
    "eval": "eval.evaluate.evaluate",
    "mine": "mining.mine.mine",
    "cluster": "pipeline.cluster.cluster",
}
# Command, what is typed, where it arrives among the arguments, and as what.
CASES: list[tuple[str, str, str, Any]] = [
    ("fit", "--stemmer german", "analyzer.stemmer", "german"),
    ("fit", "--negatives 3", "mining.negatives", 3),
    ("fit", "--dev-documents 7", "dev_documents", 7),
    ("fit", "--rounds 3", "rounds", 3),
    ("fit", "--rounds 2 --dense-share 0.25", "dense_share", 0.25),
    ("fit", "--seed 9", "settings.seed", 9),
    ("fit", "--seed 9", "mining.seed", 9),
    ("fit", "--force", "force", True),
    ("train", "--stemmer german", "analyzer.stemmer", "german"),
    ("train", "--negatives 3", "mining.negatives", 3),
    ("train", "--dev-documents 7", "dev_documents", 7),
    ("train", "--rounds 3", "rounds", 3),
    ("train", "--rounds 2 --dense-share 0.25", "dense_share", 0.25),
    ("train", "--seed 9", "settings.seed", 9),
    ("train", "--tensorboard", "tensorboard", True),
    ("train", "--checkpoint-minutes 3", "checkpoint_minutes", 3),
    ("tune", "--trials 3", "trials", 3),
    ("tune", "--minutes 3", "minutes", 3),
    ("tune", "--stemmer german", "analyzer.stemmer", "german"),
    ("tune", "--dev-documents 7", "dev_documents", 7),
    ("tune", "--seed 9", "settings.seed", 9),
    ("eval", "--split dev", "split", "dev"),
    ("eval", "--bm25", "bm25", True),
    ("eval", "--hybrid", "hybrid", True),
    ("eval", "--bm25 --stemmer german", "analyzer.stemmer", "german"),
    ("eval", "--max-length-tokens 9", "encoders.0.max_length_tokens", 9),
    ("mine", "--split dev", "settings.split", "dev"),
    ("mine", "--queries 3", "settings.queries", 3),
    ("mine", "--seed 9", "settings.seed", 9),
    ("mine", "--stemmer german", "searcher.analyzer.stemmer", "german"),
    ("cluster", "--seed 9", "seed", 9),
    ("cluster", "--k 3", "k", 3),
]


class _ArrivedError(InputError):
    """Ends a command where its work would begin."""


@pytest.mark.parametrize(("command", "typed", "place", "value"), CASES)
def test_an_option_arrives(
    command: str, typed: str, place: str, value: object,
    textrip: Run, beir_folder: Path, tiny_encoder_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: dict[str, Any] = {}

    def stand_in(*_: Any, **given: Any) -> None:
        seen.update(given)
        raise _ArrivedError("arrived")

    monkeypatch.setattr(f"textrip.{FUNCTIONS[command]}", stand_in)
    words = [command, beir_folder, *typed.split()]
    if command not in {"eval", "cluster"}:
        words += ["-o", tmp_path / ("t.parquet" if command == "mine" else "out")]
    if command != "mine":
        words += ["--model", tiny_encoder_folder]
    done = textrip(*words)
    assert "Error: arrived" in done.err
    found: Any = seen
    for name in place.split("."):
        if isinstance(found, dict):
            found = found[name]
        else:
            found = found[int(name)] if name.isdecimal() else getattr(found, name)
    assert found == value


@pytest.mark.parametrize("queries", [False, True])
def test_queries_are_encoded_with_their_prompt(
    queries: bool, textrip: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder_folder: Path
) -> None:
    from textrip.encoding.encoder import Encoder

    kinds: list[str] = []
    encode_window = Encoder._encode_window

    def watched(self: Encoder, texts: list[str], kind: Any, advance: Any) -> Any:
        kinds.append(kind)
        return encode_window(self, texts, kind, advance)

    monkeypatch.setattr(Encoder, "_encode_window", watched)
    flag = ["--queries"] if queries else []
    done = textrip(
        "encode", "-", "-o", tmp_path / "v.npy", "--model", tiny_encoder_folder, *flag, stdin="rose\n"
    )
    assert done.code == 0, done.err
    assert set(kinds) == {"query" if queries else "document"}
