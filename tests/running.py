"""Running a command in this process: arguments in, exit code, stdout and stderr out."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from textrip.cli.main import app

Run = Callable[..., "Result"]


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
