"""Where a value came from that nobody typed: the environment, or a file of defaults."""

import os
import re
from typing import Any

from typer.core import TyperCommand

from textrip.errors import InputError


class Command(TyperCommand):
    """A command whose errors say where an untyped value that they speak of came from."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            error.args = (str(error) + _places(ctx, str(error)),)
            raise


def origin(context: Any, option: Any) -> tuple[Any, str] | None:
    """What was found for an option and where, in words; None where it was typed or is the default."""
    source = getattr(context.get_parameter_source(option.name), "name", "")
    variable = f"{context.auto_envvar_prefix}_{option.name}".upper()
    if source == "ENVIRONMENT" and variable in os.environ:
        return os.environ[variable], f"in the environment as {variable}"
    if source == "DEFAULT_MAP" and option.name in (context.default_map or {}):
        return context.default_map[option.name], f"in {context.params.get('config')}"
    return None


def _places(context: Any, message: str) -> str:
    """For each option that a message names with its value: where that was found."""
    told = []
    for option in context.command.params:
        found = origin(context, option)
        name = re.escape(str(option.name)).replace("_", "[-_]")
        if found is not None and re.search(rf"\b{name}\b", message) and str(found[0]) in message:
            told.append(f", {option.name} found {found[1]}")
    return "".join(told)
