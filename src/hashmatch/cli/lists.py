"""``hashmatch list``: make, fill, import, look into, compare, check and describe hash-only lists."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, emit, safe
from hashmatch.cli.lazy import LazyGroup
from hashmatch.cli.list_sources import imported_at, source_line
from hashmatch.cli.sources import named, open_list
from hashmatch.lists import ListInfo, ReferenceList
from hashmatch.lists.reader import SourceInfo

if TYPE_CHECKING:
    from hashmatch.lists.file.trust import Trust

__all__ = ["list_app"]


class _ListGroup(LazyGroup):
    """Commands of lists, each with what it needs alone."""

    places = MappingProxyType(
        {
            "create": "hashmatch.cli.lists:create",
            "info": "hashmatch.cli.lists:info",
            "verify": "hashmatch.cli.lists:verify",
            "add": "hashmatch.cli.adding:add",
            "import": "hashmatch.cli.importing:import_file",
            "formats": "hashmatch.cli.importing:formats",
            "replace": "hashmatch.cli.recovery:replace_file",
            "recover": "hashmatch.cli.recovery:recover_file",
            "show": "hashmatch.cli.list_entries:show",
            "find": "hashmatch.cli.list_entries:find",
            "relabel": "hashmatch.cli.list_entries:relabel",
            "withdraw": "hashmatch.cli.list_entries:withdraw",
            "role": "hashmatch.cli.list_sources:role",
            "terms": "hashmatch.cli.list_sources:terms",
            "fetch": "hashmatch.cli.fetching:fetch",
            "feedback": "hashmatch.cli.feedback:feedback",
            "export": "hashmatch.cli.whole:export",
            "diff": "hashmatch.cli.whole:diff",
            "compact": "hashmatch.cli.whole:compact",
            "bundle": "hashmatch.cli.bundling:bundle",
            "take": "hashmatch.cli.bundling:take",
            "at": "hashmatch.cli.earlier:at",
        }
    )


list_app = typer.Typer(
    cls=_ListGroup,
    help="Make, fill, import, look into, compare, check and describe hash-only lists.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def create(
    path: ListFile,
    name: Annotated[str | None, typer.Option("--name", "-n", help="[default: the file's name]")] = None,
    keep_history: Annotated[
        bool,
        typer.Option(
            "--keep-history",
            help="Keep what later versions withdraw, so that 'list at' shows any version. Withdrawn hashes then stay.",
            show_default=False,
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an empty list.

    Exit code: 0, or 2 an error.

    Example: hashmatch list create mine.hashmatch --name mine
    """
    with named(path), ReferenceList.create(path, name=name or path.stem, keep_history=keep_history) as ref:
        if as_json:
            emit({"list": ref.name, "list_id": ref.list_id, "version": ref.version})
        else:
            OUT.print(Text(safe(f"made list {ref.name!r}")), soft_wrap=True)


def info(path: ListFile, as_json: Json = False) -> None:
    """Show a list's name, version and counts.

    Exit code: 0, or 2 an error.

    Example: hashmatch list info mine.hashmatch
    """
    with open_list(path, check="none") as ref:
        _show(ref.info(), ref.sources(), ref.versions(), ref.trust(), as_json=as_json)


def verify(path: ListFile, as_json: Json = False) -> None:
    """Check every page, row and check value of a list.

    Exit code: 0 when all is sound, 2 when not.

    Example: hashmatch list verify mine.hashmatch
    """
    with open_list(path) as ref:
        found, sources, versions, trust = ref.verify(), ref.sources(), ref.versions(), ref.trust()
    _show(found, sources, versions, trust, as_json=as_json)
    if not as_json:
        OUT.print("everything is as it was written", highlight=False)


def _show(
    found: ListInfo,
    sources: tuple[SourceInfo, ...],
    versions: tuple[int, ...],
    trust: Trust | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        emit(
            {
                "list": found.name,
                "list_id": found.list_id,
                "version": found.version,
                "versions_at_hand": len(versions),
                "digest": found.digest,
                "taken": trust
                and {"issued": trust.issued, "expires": trust.expires, "keys": list(map(str, trust.keys))},
                "format_version": found.format_version,
                "entries": found.entries,
                "hashes": dict(found.hashes),
                "sources": dict(found.sources),
                "roles": {info.name: info.role for info in sources},
                "terms": {info.name: info.terms for info in sources if info.terms},
                "imported": {info.name: imported_at(info) for info in sources if info.heard},
                "file_bytes": found.file_bytes,
            }
        )
        return
    table = Table(show_header=False, box=None)
    rows = [
        ("list", found.name),
        ("id", found.list_id),
        ("version", str(found.version)),
        *([("history", f"{len(versions)} versions, from {versions[0]} on")] if len(versions) > 1 else ()),
        *([("taken", _taken(trust))] if trust is not None else ()),
        ("content", found.digest[:16]),
        ("entries", str(found.entries)),
        ("hashes", ", ".join(f"{name} {count}" for name, count in found.hashes.items()) or "none"),
        ("sources", ", ".join(f"{name} {count}" for name, count in found.sources.items()) or "none"),
        *(("", f"{info.name}: {said}") for info in sources if (said := source_line(info))),
        ("file", f"{found.file_bytes:,} bytes, format {found.format_version}"),
    ]
    for name, value in rows:
        table.add_row(name, Text(safe(value)))
    OUT.print(table)


def _taken(trust: Trust) -> str:
    """Say until when the last bundle stands, and whose it is."""
    until = datetime.fromtimestamp(trust.expires, UTC).strftime("%Y-%m-%d")
    said = "expired on" if trust.expires <= time.time() else "valid until"
    return f"from a bundle {said} {until}, signed by {', '.join(sorted({key.name for key in trust.keys}))}"
