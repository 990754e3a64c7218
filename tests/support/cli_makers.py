"""The commands of the command line, as they are named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.testing import CliRunner

from hashmatch.cli.app import app


def commands_of(app: typer.Typer) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give each command with the words that name it."""
    yield from _inside(typer.main.get_command(app), ())


def _inside(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        yield names, command
        return
    for name in command.list_commands(None):
        yield from _inside(command.get_command(None, name), (*names, name))


def run(*words: object, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a command in this process: its exit code, output and messages; what no command expects is raised."""
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin, env={"TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr
