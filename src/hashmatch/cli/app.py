"""The command tree and how a command ends: errors to messages, interruptions to a clean stop."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any

import typer

from hashmatch._version import __version__
from hashmatch.cli.console import OUT, fail
from hashmatch.cli.lazy import LazyGroup
from hashmatch.errors import HashmatchError

__all__ = ["app"]


class _Group(LazyGroup):
    """The root of the commands: what a command does not expect becomes one line for people and the error code."""

    places = MappingProxyType(
        {
            "demo": "hashmatch.cli.demo:demo",
            "hash": "hashmatch.cli.pictures:hash_pictures",
            "match": "hashmatch.cli.search:match",
            "scan": "hashmatch.cli.scanning:scan_folders",
            "rescan": "hashmatch.cli.ledgers:rescan_ledger",
            "report": "hashmatch.cli.ledgers:report",
            "serve": "hashmatch.cli.serving:serve",
            "budget": "hashmatch.cli.budget:budget",
            "info": "hashmatch.cli.info:info",
            "list": "hashmatch.cli.lists:list_app",
            "index": "hashmatch.cli.indexes:index_app",
            "keys": "hashmatch.cli.keys:keys_app",
            "policy": "hashmatch.cli.policies:policy_app",
            "audit": "hashmatch.cli.audit:audit_app",
            "urls": "hashmatch.cli.urls:urls_app",
            "explain": "hashmatch.cli.explaining:explain",
        }
    )

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


def _sentence(error: Exception) -> str:
    """Say what went wrong, with the path only where the person at the terminal gave it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
