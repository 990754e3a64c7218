"""``hashmatch list replace`` and ``recover``: another file in a list's place, and what stands beside a list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashmatch.cli.console import OUT, emit
from hashmatch.cli.options import Json, ListFile
from hashmatch.lists import ListInfo, ReferenceList

__all__ = ["recover_file", "replace_file"]


def replace_file(
    path: ListFile,
    new: Annotated[Path, typer.Argument(metavar="NEW", help="List file that is copied there.", show_default=False)],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also by another list or an earlier version, and where the old list cannot be opened."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a copy of a later version of a list in its place, in one step; NEW is verified first and stays as it is.

    Matchers that run take it up. Exit code: 0, or 2 when the old list was left there.

    Example: hashmatch list replace mine.hashmatch delivered.hashmatch
    """
    _show("replaced", ReferenceList.replace(path, new, force=force), as_json=as_json)


def recover_file(
    path: ListFile,
    with_log: Annotated[
        bool,
        typer.Option(
            "--with-log/--without-log",
            help="Take over what the log beside the list holds, or remove it.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make a list usable again beside which files stand that do not belong to it.

    The outcome is verified before it is put there. Exit code: 0, or 2 when everything was left as it was.

    Example: hashmatch list recover mine.hashmatch --without-log
    """
    _show("recovered", ReferenceList.recover(path, keep_log=with_log), as_json=as_json)


def _show(done: str, found: ListInfo, *, as_json: bool) -> None:
    if as_json:
        emit({"list_id": found.list_id, "version": found.version, "digest": found.digest, "entries": found.entries})
    else:
        OUT.print(f"{done}: version {found.version}, {found.entries} entries", highlight=False)
