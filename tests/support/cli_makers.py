"""The commands of the command line, as they are named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer


def commands_of(app: typer.Typer) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give each command with the words that name it."""
    yield from _inside(typer.main.get_command(app), ())


def _inside(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        yield names, command
        return
    for name in command.list_commands(None):
        yield from _inside(command.get_command(None, name), (*names, name))
