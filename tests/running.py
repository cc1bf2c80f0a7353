"""Running a command in this process: arguments in, exit code, stdout and stderr out."""

import io
import json
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
