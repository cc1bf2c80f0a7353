"""`textrip`: the program, its commands, and how every error becomes one line and an exit code.

0 done; 1 failed; 2 bad usage, bad input, an index that does not fit, a disk or network that refuses; 3 the
gate says REGRESSION; 130 Ctrl-C, 143 terminated. A pipe that is closed early is quiet.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from textrip import interrupt, processes
from textrip.cli import (
    change,
    check,
    cluster,
    command,
    demo,
    encode,
    evaluate,
    fit,
    index,
    mine,
    search,
    train,
    tune,
)
from textrip.cli.origin import origin
from textrip.cli.output import say
from textrip.errors import InputError, OfflineError, StorageError, TextripError

DONE, FAILED, BAD_INPUT, REGRESSION, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143


class Program(TyperGroup):
    """A group of commands whose errors are one line on stderr."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run and exit with the code; never a traceback (save under -v)."""
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:  # closed by who called: nothing to read, and nobody to talk to
                setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        for stream in (sys.stdout, sys.stderr):
            # A console that cannot show a character shows a substitute in its place.
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        kwargs["standalone_mode"] = False
        interrupt.listen()
        sys.exit(self._run(*args, **kwargs))

    def _run(self, *args: Any, **kwargs: Any) -> int:
        code = DONE
        try:
            ended = super().main(*args, **kwargs)
            code = ended if isinstance(ended, int) else DONE
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            _pipe_closed()
            return code  # a verdict is one, whoever has stopped to listen
        except KeyboardInterrupt as stopped:
            return _interrupted(stopped)
        except Exception as error:  # the last line of defence
            return _report(error)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the words; the help is printed here."""
        with _as_promised():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _as_promised():
            return super().invoke(ctx)


@contextlib.contextmanager
def _as_promised() -> Iterator[None]:
    """Typer's own handling would make a closed pipe and Ctrl-C exit with 1."""
    try:
        yield
    except BrokenPipeError:
        _pipe_closed()
        raise typer.Exit(DONE) from None
    except SystemExit as stopped:
        if not isinstance(stopped.__context__, BrokenPipeError):  # as rich ends the help
            raise
        _pipe_closed()
        raise typer.Exit(DONE) from None
    except KeyboardInterrupt as stopped:
        raise typer.Exit(_interrupted(stopped)) from None


def _pipe_closed() -> None:
    # What is still buffered goes nowhere, so that Python's own flush at exit is quiet too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted(stopped: KeyboardInterrupt) -> int:
    with contextlib.suppress(InputError):  # which process this is may be unknown
        if processes.is_first():
            say("Interrupted: nothing is left half-written.")
    return TERMINATED if isinstance(stopped, interrupt.Terminated) else INTERRUPTED


def _report(error: Exception) -> int:
    if command.is_verbose() or {"-v", "--verbose"} & set(sys.argv[1:]):  # the latter before it is parsed
        traceback.print_exc()
    match error:
        case InputError() | OfflineError() | StorageError():
            message, code = str(error), BAD_INPUT
        case TextripError():
            message, code = str(error), FAILED
        case _ if hasattr(error, "format_message"):  # typer's errors of usage
            context = getattr(error, "ctx", None)
            ask = f" (see {context.command_path} --help)" if context is not None else ""
            message, code = error.format_message() + _typed(error) + ask, BAD_INPUT
            if not error.format_message():  # no arguments at all: the help was shown
                return code
        case MemoryError() | ImportError() | OSError() if _lacks_memory(error):
            message, code = "out of memory; give less data or smaller batches", FAILED
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            message, code = f"{where}{(error.strerror or str(error)).lower()}", BAD_INPUT
        case _:
            message = f"{type(error).__name__}: {error} (a mistake in textrip; -v shows where)"
            code = FAILED
    if code == BAD_INPUT:
        with contextlib.suppress(InputError):  # which process this is may be what is wrong
            processes.leave_it_to_the_first()
    say("Error: " + " ".join(message.split()))
    return code


def _lacks_memory(error: Exception) -> bool:
    """Whether it is memory that was not given, to a library that is loaded, too."""
    words = ("failed to map segment", "cannot allocate memory")
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)


def _typed(error: Exception) -> str:
    """What was given for an option whose value is refused, and where; typer's message leaves it out."""
    option, context = getattr(error, "param", None), getattr(error, "ctx", None)
    names = getattr(option, "opts", [])
    if option is not None and context is not None:
        found = origin(context, option)
        if found is not None:
            return f", found {found[0]!r} {found[1]}"
    words = sys.argv[1:]
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names and (equals or place + 1 < len(words)):
            value = value if equals else words[place + 1]
            return "" if repr(value) in str(error) else f", found {value!r}"
    return ""


app = typer.Typer(
    cls=Program,
    name="textrip",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"auto_envvar_prefix": "TEXTRIP", "help_option_names": ["-h", "--help"]},
    help="From a pile of text to a fine-tuned search, with proof that the tuning helped.",
)


def _print_version(asked: bool) -> None:
    if asked:
        from textrip import __version__

        typer.echo(f"textrip {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: bool = typer.Option(
        False,
        "--version",
        is_eager=True,
        callback=_print_version,
        help="The version.",
        allow_from_autoenv=False,  # TEXTRIP_VERSION is set by who builds an image, and asks for nothing
    ),
) -> None:
    """From a pile of text to a fine-tuned search, with proof that the tuning helped."""


# In the order in which they are used.
for module in (demo, check, fit, mine, tune, train, evaluate, encode, index, change, search, cluster):
    module.register(app)
