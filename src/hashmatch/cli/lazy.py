"""Groups of commands that load the module of a command when it is named, so that each starts as fast as it can."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

__all__ = ["LazyGroup"]


class LazyGroup(TyperGroup):
    """A group whose commands are known by their places.

    Attributes
    ----------
    places : mapping of str to str
        Of each command, in the order of the help, ``"module:name"`` of its function or of its `typer.Typer`.
    """

    places: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as click calls it
        """Name all commands."""
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as click calls it
        """Load a command; all of them where the name is of none, since what it may mean is said then."""
        for name in [cmd_name] if cmd_name in self.places else self.places:
            if name not in self.commands:
                module, _, attribute = self.places[name].partition(":")
                self.commands[name] = _command(name, getattr(import_module(module), attribute))
        return self.commands.get(cmd_name)


def _command(name: str, what: Any) -> Any:
    if isinstance(what, typer.Typer):
        group = typer.main.get_group(what)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name)(what)
    return typer.main.get_command(alone)
