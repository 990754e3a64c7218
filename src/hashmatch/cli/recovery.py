"""``hashmatch list replace`` and ``recover``: another file in a list's place, and what stands beside a list."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, emit, fail, in_commands
from hashmatch.cli.sources import check_list, named, open_list
from hashmatch.errors import ReferenceListError
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
    try:
        found = ReferenceList.replace(path, new, force=force)
    except ReferenceListError as error:
        with open_list(new, check="full"):  # says what is wrong with it, if anything is
            pass
        raise fail(f"{path}: {in_commands(str(error), path)}{_advice(path, new)}") from error
    _show("replaced", found, as_json=as_json)


def _advice(path: Path, new: Path) -> str:
    """Say what to do where there is no old list that could be compared with the new one."""
    if not path.exists():
        return f", or put the first one there with: cp {shlex.quote(str(new))} {shlex.quote(str(path))}"
    try:
        ReferenceList.open(path, check="none").close()
    except ReferenceListError:
        return "" if path.is_dir() else f"; --force puts {new} there all the same"
    return ""


def recover_file(
    path: ListFile,
    with_log: Annotated[
        bool | None,
        typer.Option(
            "--with-log/--without-log",
            help="Take over what the log beside the list holds, or remove it.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a list usable again beside which files stand that do not belong to it.

    The outcome is verified before it is put there. Exit code: 0, or 2 when everything was left as it was.

    Example: hashmatch list recover mine.hashmatch --without-log
    """
    if with_log is None:
        raise typer.BadParameter("give --with-log to take over what the log holds, or --without-log to remove it")
    check_list(path)
    with named(path):
        found = ReferenceList.recover(path, keep_log=with_log)
    _show("recovered", found, as_json=as_json)


def _show(done: str, found: ListInfo, *, as_json: bool) -> None:
    if as_json:
        emit({"list_id": found.list_id, "version": found.version, "digest": found.digest, "entries": found.entries})
    else:
        OUT.print(f"{done}: version {found.version}, {found.entries} entries", highlight=False)
