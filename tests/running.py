"""Running a command in this process: arguments in, exit code, stdout and stderr out."""

import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from textrip.cli.main import app
from textrip.encoding.export import ExportError

Run = Callable[..., "Result"]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def stopped_at(step: int, how: BaseException | type[BaseException] = KeyboardInterrupt) -> Iterator[None]:
    """Inside, a training is stopped where it has taken so many steps."""
    from textrip.training.trainer import GroupTrainer

    training_step = GroupTrainer.training_step

    def stop(self: GroupTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == step:
            raise how
        return training_step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GroupTrainer, "training_step", stop)
        yield


def forked(work: Callable[[], bool]) -> int:
    """Fork a child that does this work: it ends with 0 where that is true, and at 20 seconds anyway."""
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # and not the test runner's
            signal.alarm(20)
            code = 0 if work() else 1
        finally:  # or the child would go on with the tests
            os._exit(code)
    return child


def exit_code_of(child: int) -> int:
    """How a child of `forked` ended, when it has."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def without_export() -> Iterator[None]:
    """Inside, no encoder can be exported to ONNX, which takes seconds: for tests that are not about it."""

    def refuse(*_given: Any, **_how: Any) -> None:
        raise ExportError("a test goes without ONNX")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrip.retrieval.build.export_onnx", refuse)
        yield


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json_lines(self) -> list[Any]:
        """Standard output as JSON values, one a line; fails where a line is anything else."""
        assert self.code in {0, 3}, self.err
        return [json.loads(line) for line in self.out.splitlines()]


class _Terminal(io.BytesIO):
    """Where nobody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def textrip(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `textrip ARGUMENTS` with `stdin` as standard input; a terminal's where None."""

    def run(*arguments: object, stdin: str | None = "") -> Result:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["textrip", *words])
        given = _Terminal() if stdin is None else io.BytesIO(stdin.encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given))
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            app(words, prog_name="textrip")
        captured = capsys.readouterr()
        code = stopped.value.code
        assert isinstance(code, int)
        return Result(code, captured.out, captured.err)

    return run
