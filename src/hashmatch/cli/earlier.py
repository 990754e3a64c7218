"""``hashmatch list at``: what a list was at an earlier version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, emit
from hashmatch.cli.sources import open_list

__all__ = ["at"]


def at(
    path: ListFile,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Version of the list.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New list file, readable by its owner only.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Write what a list was at an earlier version as a list of its own, and check it in full.

    The list must have been made with --keep-history. Exit code: 0, or 2 an error; where the version is not at hand,
    the error names those that are.

    Example: hashmatch list at mine.hashmatch 41 --output then.hashmatch
    """
    with open_list(path, check="none") as ref, ref.at(version, output) as made:
        found = made.info()
    if as_json:
        emit({"list_id": found.list_id, "version": found.version, "digest": found.digest, "entries": found.entries})
    else:
        OUT.print(f"version {found.version}: {found.entries} entries, verified", highlight=False)
