"""When a checkpoint is due."""

from types import SimpleNamespace

import pytest

from textrip.training.settings import TrainSettings
from textrip.training.trainer import Milestones


@pytest.mark.parametrize("first_says", [True, False])
def test_the_clock_of_the_first_process_counts(first_says: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes whose clocks differ by a moment would wait for one another in different places."""
    monkeypatch.setattr("textrip.training.trainer.agreed", lambda own: first_says)
    for minutes in (0.0, 60.0):  # what this process's own clock says
        milestones = Milestones(TrainSettings(), 10, evaluated=False, minutes=minutes)
        control = SimpleNamespace(should_save=False, should_evaluate=False)
        milestones.on_step_end(None, SimpleNamespace(global_step=3, max_steps=20), control)
        assert control.should_save is first_says
