"""How a command gets its options: its own, the groups that it shares with others, and the common ones.

An option given wins over its environment variable (TEXTRIP_<COMMAND>_<OPTION>, shown by --help), which
wins over --config FILE, which wins over the default.
"""

import inspect
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from textrip import processes, progress
from textrip.cli import output
from textrip.cli.origin import Command
from textrip.errors import InputError, reason_of

COMMON = "Common options"
_TYPED = "COMMANDLINE"
# Whether the command that runs, or ran last, was to show tracebacks.
_verbose = [False]


@dataclass(frozen=True)
class OptionGroup:
    """Options that several commands share, and the one value that they make.

    Attributes:
        argument: The parameter of a command's function that gets the value.
        options: By name the type, typer's option and the default.
        make: The value, from the group's values and the command's own ones (a seed, say).
    """

    argument: str
    options: dict[str, tuple[Any, Any, Any]]
    make: Callable[[dict[str, Any], dict[str, Any]], Any]


def with_defaults(group: OptionGroup, **defaults: Any) -> OptionGroup:
    """A group some of whose options have other defaults."""
    options = {
        name: (annotation, info, defaults.get(name, default))
        for name, (annotation, info, default) in group.options.items()
    }
    return replace(group, options=options)


def command(
    app: typer.Typer, name: str, *groups: OptionGroup
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command with the common options and those of groups.

    Args:
        app: The program.
        name: What is typed.
        groups: The function takes one argument for each, by the group's name.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        made = {group.argument for group in groups}
        signature = inspect.signature(function, eval_str=True)
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
            if parameter.name not in made
        ]
        for options in (*(group.options for group in groups), _COMMON):
            parameters += [_parameter(option, *value) for option, value in options.items()]

        def run(**values: Any) -> Any:
            if processes.count() > 1 and name != "train":
                raise InputError(f"textrip {name} runs in one process; only train is for torchrun")
            common = {key: values.pop(key) for key in _COMMON}
            shared = [(group, {key: values.pop(key) for key in group.options}) for group in groups]
            with _in_force(**common):
                _say_slips(name, [parameter.name for parameter in parameters])
                arguments = {group.argument: group.make(own, values) for group, own in shared}
                return function(**values, **arguments)

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, cls=Command)(run)
        return function

    return register


def typed(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those of the named parameters that were typed, as they are typed; the common ones are passed over."""
    shown = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [
        shown[name]
        for name in names
        if getattr(context.get_parameter_source(name), "name", "") == _TYPED and name not in _COMMON
    ]


def refuse_idle(context: typer.Context, reason: str, names: Iterable[str]) -> None:
    """Raise InputError where options were typed that have nothing to do.

    A value from the environment or a file may be meant for other commands, and is passed over.

    Args:
        context: Of the command.
        reason: Why, in words.
        names: Of the options; the common ones are passed over.
    """
    idle = typed(context, names)
    if len(idle) == 1:
        raise InputError(f"{reason}: {idle[0]} has nothing to do, leave it out")
    if idle:
        words = f"{', '.join(idle[:-1])} and {idle[-1]}"
        raise InputError(f"{reason}: {words} have nothing to do, leave them out")


def _parameter(name: str, annotation: Any, info: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, info]
    )


def is_verbose() -> bool:
    """Whether the command that ran was to show tracebacks, however that was said."""
    return _verbose[0]


@contextmanager
def _in_force(*, threads: int | None, offline: bool, quiet: bool, verbose: bool, **_: Any) -> Iterator[None]:
    """Put the common options into force for one command."""
    _verbose[:] = [verbose]
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded, which is later
    quiet = quiet or not processes.is_first()
    with progress.reporting(bars=not quiet, say=None if quiet else output.say):
        yield


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make a TOML file's values the defaults: its top level for every command, [train] for train."""
    if path is None or context.resilient_parsing:
        return path
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors begin with a mark
    except OSError as error:
        raise InputError(f"{path}: {reason_of(error)}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not TOML: {error}") from None
    command = context.info_name or ""
    own = values.get(command, {})
    shared = {name: value for name, value in values.items() if not isinstance(value, dict)}
    known = {name for name in (parameter.name for parameter in context.command.params) if name}
    if not isinstance(own, dict):
        raise InputError(f"{path}: {command!r} is a value, a table [{command}] was expected")
    known -= {"config"}  # a file names no other one
    unknown = [name for name in own if name.replace("-", "_") not in known]
    if unknown:
        raise InputError(
            f"{path}: [{command}] has {', '.join(unknown)}, which textrip {command} does not know"
        )
    _refuse_slips(context, path, values)
    merged = {name.replace("-", "_"): value for name, value in {**shared, **own}.items()}
    for parameter in context.command.params:
        if parameter.name in merged:
            merged[parameter.name] = _as_typed(parameter, merged[parameter.name], path)
    context.default_map = merged
    return path


def _refuse_slips(context: typer.Context, path: Path, values: dict[str, Any]) -> None:
    """Raise InputError where a file names what no command knows: it would do nothing, without a word."""
    commands: dict[str, Any] = getattr(context.find_root().command, "commands", {})
    options = {parameter.name for known in commands.values() for parameter in known.params}
    for name, value in values.items():
        if isinstance(value, dict) and name not in commands:
            raise InputError(f"{path}: there is no command {name!r} for its table [{name}]")
        if not isinstance(value, dict) and name.replace("-", "_") not in options:
            raise InputError(f"{path}: has {name}, which is an option of no command")


def _say_slips(command: str, options: Sequence[str]) -> None:
    """Say which variables of the environment look like options of this command, and are none.

    A file that names one is refused; an environment is shared with others.
    """
    prefix = f"TEXTRIP_{command.upper()}_"
    known = [f"{prefix}{name.upper()}" for name in options]
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            from difflib import get_close_matches  # only where there is one: every search starts here

            meant = get_close_matches(name, known, n=1)
            instead = f"; {meant[0]} is one" if meant else ""
            progress.say(f"{name} is set, and is no option of textrip {command}{instead}")


def _as_typed(parameter: Any, value: Any, path: Path) -> Any:
    """A value of a file for an option: one may stand for a list of one; true and false are for flags."""
    is_flag = getattr(parameter, "is_flag", False)
    if isinstance(value, bool) != is_flag:
        wanted = "true or false" if is_flag else "a value"
        found = str(value).lower() if isinstance(value, bool) else repr(value)
        raise InputError(f"{path}: {parameter.name} is {found}, {wanted} was expected")
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        raise InputError(f"{path}: {parameter.name} is a table, one value was expected")
    if isinstance(value, list) and not getattr(parameter, "multiple", False):
        raise InputError(f"{path}: {parameter.name} is a list, one value was expected")
    return [value] if getattr(parameter, "multiple", False) and not isinstance(value, list) else value


_COMMON = {
    "threads": (
        int | None,
        typer.Option("--threads", min=1, help="CPU threads.", rich_help_panel=COMMON),
        None,
    ),
    "offline": (bool, typer.Option("--offline", help="No network, at all.", rich_help_panel=COMMON), False),
    "quiet": (
        bool,
        typer.Option("--quiet", "-q", help="No progress and no remarks.", rich_help_panel=COMMON),
        False,
    ),
    "verbose": (
        bool,
        typer.Option("--verbose", "-v", help="Tracebacks of errors.", rich_help_panel=COMMON),
        False,
    ),
    "config": (
        Path | None,
        typer.Option(
            "--config",
            help="TOML with defaults.",
            rich_help_panel=COMMON,
            is_eager=True,
            callback=_read_config,
        ),
        None,
    ),
}
