"""``hashmatch list role | terms``: what a list keeps of its sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, emit, fail, safe
from hashmatch.cli.sources import open_list
from hashmatch.lists import ReferenceList
from hashmatch.lists.entry import ROLES, Role
from hashmatch.lists.reader import SourceInfo

__all__ = ["imported_at", "role", "source_line", "terms"]

Name = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of the source.", show_default=False)]


def imported_at(info: SourceInfo) -> str | None:
    """Say when a source was last imported, as ISO 8601 in UTC; None if it never was."""
    return None if info.heard is None else f"{datetime.fromtimestamp(info.heard, UTC):%Y-%m-%dT%H:%M:%SZ}"


def source_line(info: SourceInfo) -> str:
    """Say in one line what a list keeps of a source, beside its entries; empty if it is nothing particular."""
    parts = [
        "" if info.role == "alarm" else info.role,
        f"terms: {info.terms}" if info.terms else "",
        f"imported {imported_at(info)}" if info.heard else "",
    ]
    return "; ".join(filter(None, parts))


def role(
    path: ListFile,
    source: Name,
    new: Annotated[str, typer.Argument(metavar="ROLE", help=f"{', '.join(ROLES)}.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Change what a source lists its entries for.

    What is listed for an alarm is reported as a match; benign entries and those for comparison never are.

    Exit code: 0 also where it was this already, 2 an error, such as a source that the list does not have.

    Example: hashmatch list role mine.hashmatch nsrl benign
    """
    with open_list(path, writable=True, check="none") as ref:
        changed = ref.set_role(source, cast("Role", new))
        version = ref.version
    if as_json:
        emit({"changed": changed, "version": version})
    else:
        OUT.print(f"{'changed' if changed else 'unchanged'}; version {version}", highlight=False)


def terms(
    path: ListFile,
    source: Name,
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The new terms; empty for none. [default: show them]", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set what the owner of a source allows; a source with terms is exported only if it is named for that.

    The terms also hold for sources that are named after it, as SOURCE/benign. They are no content of the list, whose
    version stays.

    Exit code: 0, or 2 an error, such as a source that the list does not have.

    Example: hashmatch list terms mine.hashmatch hotline "no onward sharing"
    """
    with open_list(path, writable=text is not None, check="none") as ref:
        found = _info(ref, source)
        if text is not None:
            ref.set_terms(source, text)
            found = _info(ref, source)
    if as_json:
        emit({"source": found.name, "terms": found.terms})
    else:
        OUT.print(Text(safe(found.terms or "no terms")), soft_wrap=True)


def _info(ref: ReferenceList, source: str) -> SourceInfo:
    found = next((info for info in ref.sources() if info.name == source), None)
    if found is None:
        raise fail(f"the list has no source {source!r}")
    return found
