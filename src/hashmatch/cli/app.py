"""The command tree and how a command ends: errors to messages, interruptions to a clean stop."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hashmatch._version import __version__
from hashmatch.cli.budget import budget
from hashmatch.cli.console import OUT, fail
from hashmatch.cli.demo import demo
from hashmatch.cli.indexes import index_app
from hashmatch.cli.info import info
from hashmatch.cli.lists import list_app
from hashmatch.cli.pictures import hash_pictures
from hashmatch.cli.policies import policy_app
from hashmatch.cli.search import match, scan_folders
from hashmatch.errors import HashmatchError

__all__ = ["app"]


class _Group(TyperGroup):
    """The root of the commands: what a command does not expect becomes one line for people and the error code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (HashmatchError, OSError) as error:
            raise fail(_sentence(error)) from error


app = typer.Typer(
    cls=_Group,
    help="Find known abuse material without ever holding an image.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        OUT.print(f"hashmatch {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Find known abuse material without ever holding an image."""


app.command("demo")(demo)
app.command("hash")(hash_pictures)
app.command("match")(match)
app.command("scan")(scan_folders)
app.command("budget")(budget)
app.command("info")(info)
app.add_typer(list_app, name="list")
app.add_typer(index_app, name="index")
app.add_typer(policy_app, name="policy")


def _sentence(error: Exception) -> str:
    """Say what went wrong, with the path only where the person at the terminal gave it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
