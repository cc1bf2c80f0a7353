"""The trainer's eye: writes the monitor's records, says what is wrong, and acts on it."""

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback

from textrip.progress import say
from textrip.training.diagnosis import NOT_A_NUMBER, Diagnosis, diagnose
from textrip.training.log import Log
from textrip.training.monitor import Monitor, line
from textrip.training.names import OnCollapse

_ROLLBACKS = 3


class Watch(TrainerCallback):  # type: ignore[misc]
    """Records every few steps and at the end; stops at a loss that is not a number, and at a collapse.

    Args:
        monitor: Sees every batch.
        log: Where its records go.
        on_collapse: stop: the best weights on dev are saved. rollback: go back to them, at half the rate,
            at most three times. warn: go on.
        restore: Gives the encoder its best weights back; None where nothing was measured, so that there is
            nothing to roll back to.
    """

    def __init__(
        self, monitor: Monitor, log: Log, on_collapse: OnCollapse, restore: Callable[[], None] | None
    ) -> None:
        self.monitor = monitor
        self.log = log
        self.on_collapse = on_collapse
        self.restore = restore
        self.stopped: Diagnosis | None = None
        self._said: set[str] = set()
        self.rollbacks = 0
        self._mark = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **things: Any) -> None:
        """The last step is logged whatever its number, with its gradient."""
        self._mark = time.perf_counter()
        if state.global_step >= state.max_steps:
            control.should_log = True
        self._call_off(control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **things: Any) -> None:
        """Dev is about to be measured."""
        self._call_off(control)

    def _call_off(self, control: Any) -> None:
        """A loss that is no number is recorded, and ends the run: nothing is measured or saved of it."""
        if not (control.should_evaluate or control.should_save):
            return
        if not self.monitor.finite:
            control.should_log = True
        elif not self.diverged:  # and by the steps since it was recorded, which may be none
            return
        control.should_evaluate = control.should_save = False

    @property
    def diverged(self) -> bool:
        """Whether the run ended at a loss that is no number."""
        return self.stopped is not None and self.stopped.name == NOT_A_NUMBER

    def on_evaluate(self, args: Any, state: Any, control: Any, **things: Any) -> None:
        """Dev was measured: that time is no step's."""
        self._rested()

    def on_save(self, args: Any, state: Any, control: Any, **things: Any) -> None:
        """A checkpoint was written."""
        self._rested()

    def _rested(self) -> None:
        now = time.perf_counter()
        self.monitor.idle(now - self._mark)
        self._mark = now

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **things: Any
    ) -> None:
        """The trainer logs: so do we, with its rate and gradient."""
        if logs and "loss" in logs:
            self._record(
                state, control, things, learning_rate=logs["learning_rate"], grad_norm=logs["grad_norm"]
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **things: Any) -> None:
        """The steps since the last record, where the run ended early."""
        if self.monitor.steps:
            self._record(state, control, things)

    def _record(self, state: Any, control: Any, things: dict[str, Any], **trainer: float) -> None:
        entry = {"step": int(state.global_step), "epoch": round(float(state.epoch), 4)}
        entry |= {**self.monitor.summary(), **{name: float(value) for name, value in trainer.items()}}
        self.log.append(entry)
        say(line(entry))
        found = diagnose(self.log.entries, self.monitor.cost)
        for diagnosis in found:
            if diagnosis.name not in self._said:
                say(str(diagnosis))
        # One that went away is said again when it comes back.
        self._said = {diagnosis.name for diagnosis in found}
        for diagnosis in found:
            if diagnosis.name == NOT_A_NUMBER:
                self._stop(control, diagnosis)
            elif diagnosis.name == "collapsed":
                self._collapsed(control, things, diagnosis)

    def _stop(self, control: Any, diagnosis: Diagnosis) -> None:
        self.stopped = diagnosis
        control.should_training_stop = True

    def _collapsed(self, control: Any, things: dict[str, Any], diagnosis: Diagnosis) -> None:
        if self.on_collapse == "rollback" and self.restore is not None and self.rollbacks < _ROLLBACKS:
            self.restore()
            self._halve_the_rate(things["optimizer"], things["lr_scheduler"])
        elif self.on_collapse != "warn":
            self._stop(control, diagnosis)

    def _halve_the_rate(self, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
        self.rollbacks += 1
        optimizer.state.clear()  # the moments led here
        scheduler.base_lrs = [rate / 2 for rate in scheduler.base_lrs]
        for group in optimizer.param_groups:  # the scheduler has set the next step's rate already
            group["lr"] /= 2
        self._said.discard("collapsed")
        say(f"rolled back to the best weights, at half the rate ({self.rollbacks} of at most {_ROLLBACKS})")
