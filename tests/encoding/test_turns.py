"""Threads that share an encoder: each has the vectors that it would have alone."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import build_cross_encoder
from tests.running import exit_code_of, forked
from textrip.encoding.encoder import Encoder
from textrip.encoding.turns import turn
from textrip.mining.scoring import load_scorer

# So long the first thread waits, in the middle of its work, for one that takes no turn.
PATIENCE = 0.5


@pytest.mark.parametrize("in_training", [False, True])
def test_a_thread_that_is_done_leaves_the_others_without_dropout(
    in_training: bool, tiny_encoder: Encoder
) -> None:
    """Its end put the model back to training, and the vectors of one in the middle were a dropout's."""
    alone = tiny_encoder.encode(["plants rose soil"])
    tiny_encoder.model.train(in_training)
    first, second, done = threading.Event(), threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        if not first.is_set():
            first.set()
            second.wait(PATIENCE)
        else:
            second.set()
            done.wait(10)

    handle = tiny_encoder.model.register_forward_pre_hook(wait)
    with ThreadPoolExecutor(2) as threads:
        before = threads.submit(tiny_encoder.encode, ["seed"])
        before.add_done_callback(lambda _: done.set())
        assert first.wait(10)
        found = threads.submit(tiny_encoder.encode, ["plants rose soil"])
        np.testing.assert_array_equal(found.result(20), alone)
    handle.remove()
    assert tiny_encoder.model.training is in_training


def test_an_encoder_is_loaded_without_dropout_and_stays_so(tiny_encoder: Encoder) -> None:
    assert not any(module.training for module in tiny_encoder.model.modules())
    tiny_encoder.encode(["rose"])
    assert not any(module.training for module in tiny_encoder.model.modules())


def test_many_threads_ask_one_encoder(tiny_encoder: Encoder) -> None:
    """The cut and the padding of its tokenizer are one for all."""
    texts = [f"rose {'soil ' * (7 * place % 90)}" for place in range(120)]
    alone = [tiny_encoder.encode([text])[0] for text in texts]
    lengths = [tiny_encoder.count_tokens([text], cut=False)[0] for text in texts]
    tiny_encoder.model.train()

    def ask(place: int) -> tuple[Any, int]:
        whole = tiny_encoder.count_tokens([texts[place]], cut=False)[0]
        return tiny_encoder.encode([texts[place]])[0], whole

    with ThreadPoolExecutor(8) as threads:
        for place, (vector, length) in enumerate(threads.map(ask, range(len(texts)))):
            np.testing.assert_allclose(vector, alone[place], atol=1e-6)
            assert length == lengths[place]


def test_threads_take_turns_with_a_cross_encoder(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    scorer: Any = load_scorer(str(build_cross_encoder(tiny_encoder_folder, tmp_path / "cross")), device="cpu")
    texts = [f"rose {'soil ' * (7 * place % 40)}" for place in range(64)]
    alone = [scorer.scores([("rose", place)], texts)[0] for place in range(64)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda place: scorer.scores([("rose", place)], texts)[0], range(64)))
    np.testing.assert_allclose(found, alone, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_waits_for_no_thread_of_its_parent(tiny_encoder: Encoder) -> None:
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with turn(tiny_encoder.model):
            held.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)

    def take_a_turn() -> bool:
        with turn(tiny_encoder.model):
            return True

    child = forked(take_a_turn)
    over.set()
    thread.join()
    assert exit_code_of(child) == 0
