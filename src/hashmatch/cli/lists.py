"""``hashmatch list``: make, fill, import, check and describe hash-only lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from hashmatch.cli.console import OUT, Exit, emit, fail, hash_from, key_from, labels_from, safe
from hashmatch.cli.importing import import_file
from hashmatch.errors import HashFormatError, ImageError
from hashmatch.hashes import Fingerprint, ViewHash
from hashmatch.lists import LOCAL, Entry, ListInfo, ReferenceList
from hashmatch.lists.formats import default_entry_id

__all__ = ["list_app"]

list_app = typer.Typer(
    help="Make, fill, import, check and describe hash-only lists.", no_args_is_help=True, rich_markup_mode=None
)

ListFile = Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)]
Source = Annotated[str, typer.Option("--source", "-s", help="Who lists the entry.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE; may be given several times.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@list_app.command("create")
def create(
    path: ListFile, name: Annotated[str | None, typer.Option("--name", "-n", help="[default: the file's name]")] = None
) -> None:
    """Make an empty list."""
    with ReferenceList.create(path, name=name or path.stem) as ref:
        OUT.print(Text(safe(f"made list {ref.name!r}")), soft_wrap=True)


@list_app.command("add")
def add(
    path: ListFile,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE|HASH...", help='Picture files, or hashes written "pdq:<64 hex>".'),
    ],
    entry_id: Annotated[
        str | None,
        typer.Option("--id", help="Entry id for all that is given. [default: one entry each, named after its hash]"),
    ] = None,
    source: Source = LOCAL,
    label: Labels = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="For pictures; may be given several times. [default: pdq]"),
    ] = None,
    min_quality: Annotated[
        int, typer.Option("--min-quality", min=0, max=100, help="Refuse plainer pictures: they match each other.")
    ] = 50,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with a secret key for keypoint records.")
    ] = None,
) -> None:
    """Add the hashes of pictures, or hashes themselves. All or none: a picture that cannot be hashed stops it.

    Pictures are hashed and forgotten; neither pixels nor file names are kept.
    """
    labels = labels_from(label or ())
    names, key = tuple(algorithm or ("pdq",)), key_from(key_file)
    found = [_fingerprint(text, names, min_quality, key) for text in sources]
    entries = [
        Entry.of(entry_id or default_entry_id(item.hashes[0]), fingerprint=item, source=source, labels=labels)
        for item in found
    ]
    with ReferenceList.open(path, writable=True) as ref:
        counts = ref.add_many(entries)
        line = f"{counts.added} new, {counts.merged} changed, {counts.unchanged} unchanged; version {ref.version}"
    OUT.print(line, highlight=False)


def _fingerprint(text: str, algorithms: tuple[str, ...], min_quality: int, key: bytes | None) -> Fingerprint:
    from hashmatch.hashers.facade import fingerprint

    value = hash_from(text)
    if value is not None:
        return Fingerprint((ViewHash(value=value),))
    try:
        found = fingerprint(text, algorithms, keypoint_key=key)
    except HashFormatError as error:
        raise typer.BadParameter(str(error)) from error
    except ImageError as error:
        raise fail(f"{text}: {error}; nothing was added") from error
    if found.quality is not None and found.quality < min_quality:
        raise fail(
            f"{text}: quality {found.quality} is below {min_quality}, so it would match other plain pictures; nothing "
            "was added (--min-quality 0 adds it all the same)"
        )
    return found


@list_app.command("withdraw")
def withdraw(
    path: ListFile,
    entry_ids: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Entry ids.", show_default=False)],
    source: Source = LOCAL,
) -> None:
    """Take back what a source says of entries; an entry goes when its last source does.

    Exit code: 0 when the source listed every one of them, 1 when not.
    """
    with ReferenceList.open(path, writable=True) as ref:
        n_gone = ref.withdraw_many(entry_ids, source=source)
        OUT.print(f"{n_gone} withdrawn; version {ref.version}", highlight=False)
    if n_gone < len(set(entry_ids)):
        raise typer.Exit(Exit.NONE)


@list_app.command("info")
def info(path: ListFile, as_json: Json = False) -> None:
    """Show a list's name, version and counts."""
    with ReferenceList.open(path) as ref:
        _show(ref.info(), as_json=as_json)


@list_app.command("verify")
def verify(path: ListFile, as_json: Json = False) -> None:
    """Check every page, row and check value of a list. Exit code: 0 when all is sound, 2 when not."""
    with ReferenceList.open(path) as ref:
        found = ref.verify()
    _show(found, as_json=as_json)
    if not as_json:
        OUT.print("everything is as it was written", highlight=False)


def _show(found: ListInfo, *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "list": found.name,
                "list_id": found.list_id,
                "version": found.version,
                "digest": found.digest,
                "format_version": found.format_version,
                "entries": found.entries,
                "hashes": dict(found.hashes),
                "sources": dict(found.sources),
                "file_bytes": found.file_bytes,
            }
        )
        return
    table = Table(show_header=False, box=None)
    rows = [
        ("list", found.name),
        ("id", found.list_id),
        ("version", str(found.version)),
        ("content", "not known: format 1 or 2" if found.digest is None else found.digest[:16]),
        ("entries", str(found.entries)),
        ("hashes", ", ".join(f"{name} {count}" for name, count in found.hashes.items()) or "none"),
        ("sources", ", ".join(f"{name} {count}" for name, count in found.sources.items()) or "none"),
        ("file", f"{found.file_bytes:,} bytes, format {found.format_version}"),
    ]
    for name, value in rows:
        table.add_row(name, Text(safe(value)))
    OUT.print(table)


list_app.command("import")(import_file)
