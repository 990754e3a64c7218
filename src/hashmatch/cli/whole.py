"""``hashmatch list export | diff | compact``: whole lists."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, Exit, emit, fail, safe, stopped_reading, warn
from hashmatch.cli.list_entries import Hashes
from hashmatch.cli.list_sources import imported_at
from hashmatch.cli.sources import named, open_list
from hashmatch.errors import HashFormatError
from hashmatch.lists import Difference, ReferenceList, differences
from hashmatch.lists.formats.out import OUT_FORMATS, export_into, export_to

__all__ = ["compact", "diff", "export"]


def export(
    path: ListFile,
    kind: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(OUT_FORMATS)}.")] = "ndjson",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="New file, readable by its owner only. [default: standard output]"),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", "-s", help="Only what this source lists; may be given several times."),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            help="Only what is listed for this: alarm, benign, comparison; may be given several times. [default: all, "
            "or alarm where the format does not say which]",
        ),
    ] = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="Only hashes of this; may be given several times."),
    ] = None,
    category_scheme: Annotated[
        str | None,
        typer.Option("--category-scheme", help="Label whose values are the category numbers of VICS. [default: none]"),
    ] = None,
    despite_terms: Annotated[
        list[str] | None,
        typer.Option("--despite-terms", help="Source that is exported although it has terms, if they allow this."),
    ] = None,
) -> None:
    """Write what a list holds of its entries: ids, sources, labels, hashes, qualities. It is the list: guard it.

    NDJSON holds everything. CSV is for people: a cell that a spreadsheet would take for a formula gets an apostrophe
    before it. What another format cannot hold is counted on standard error. A source with terms is exported only if it
    is named with --despite-terms.

    Exit code: 0, or 2 an error, also where the list changed meanwhile.

    Example: hashmatch list export mine.hashmatch --format csv --output mine.csv
    """
    asked: dict[str, Any] = {
        "sources": source or (),
        "roles": role or (),
        "algorithms": algorithm or (),
        "category_scheme": category_scheme,
        "despite_terms": despite_terms or (),
    }
    try:
        with open_list(path) as ref:
            if output is not None:
                report = export_to(ref, output, kind, **asked)
            else:
                if sys.stdout.isatty():
                    warn(
                        "what follows is the list itself; with --output it goes to a file that its owner alone can read"
                    )
                sys.stdout.flush()
                report = export_into(ref, sys.stdout.buffer, kind, **asked)
                sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise stopped_reading() from None
    except HashFormatError as error:
        raise fail(str(error)) from error
    for what, count in report.left_out.items():
        warn(f"not written, as {kind} does not hold them here: {count:,} {what}")


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="List file.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="List file.", show_default=False)],
    hashes: Hashes = False,
    as_json: Json = False,
) -> None:
    """Show which entries a new list has, has no more, or has changed: hashes, qualities, sources, roles and labels.

    Changed terms of a source and times of import are shown too; they are no content, and alone no difference.

    Exit code: 0 the lists hold the same, 1 they differ, 2 an error.

    Example: hashmatch list diff old.hashmatch new.hashmatch
    """
    kinds: Counter[str] = Counter()
    with open_list(old) as before, open_list(new) as after, named(old, new):
        for item in differences(before, after):
            kinds[item.kind] += 1
            if as_json:
                emit(_record(item, hashes=hashes))
            else:
                for line in _lines(item, hashes=hashes):
                    OUT.print(Text(safe(line)), soft_wrap=True)
        moved = list(_sources_moved(before, after))
    for name, facts in moved:
        if as_json:
            emit({"source": name} | {what: {"old": was, "new": now} for what, (was, now) in facts.items()})
        else:
            for what, (was, now) in facts.items():
                OUT.print(Text(safe(f"source {name}: {what}: {was or 'none'} -> {now or 'none'}")), soft_wrap=True)
    counts = {name: kinds[name] for name in ("added", "withdrawn", "changed")}
    if as_json:
        emit({"summary": counts})
    else:
        OUT.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
    if kinds:
        raise typer.Exit(Exit.NONE)


def _sources_moved(
    old: ReferenceList, new: ReferenceList
) -> Iterator[tuple[str, dict[str, tuple[str | None, str | None]]]]:
    """Compare what the lists keep of their sources, by source."""
    was, now = ({info.name: info for info in ref.sources()} for ref in (old, new))
    for name in sorted(was.keys() | now.keys()):
        told = [
            {"role": info.role, "terms": info.terms or None, "imported": imported_at(info)} if info else {}
            for info in (was.get(name), now.get(name))
        ]
        facts = {
            what: (told[0].get(what), told[1].get(what))
            for what in ("role", "terms", "imported")
            if told[0].get(what) != told[1].get(what)
        }
        if facts:
            yield name, facts


def _record(item: Difference, *, hashes: bool) -> dict[str, Any]:
    moved = {"hashes_added": item.hashes_added, "hashes_withdrawn": item.hashes_withdrawn}
    shown = {
        name: [
            {"source": source, "algorithm": value.algorithm, "hash": value.hex(), "quality": quality}
            for source, value, quality in found
        ]
        if hashes
        else len(found)
        for name, found in moved.items()
    }
    labels = [
        {"source": source, "name": name, "old": was, "new": now} for (source, name), (was, now) in item.labels.items()
    ]
    roles = [{"source": source, "old": was, "new": now} for source, (was, now) in item.roles.items()]
    return {"entry_id": item.entry_id, "kind": item.kind, **shown, "labels": labels, "roles": roles}


def _lines(item: Difference, *, hashes: bool) -> Iterator[str]:
    counts = f"{len(item.hashes_added)} hashes more, {len(item.hashes_withdrawn)} fewer"
    yield f"{item.kind} {item.entry_id}: {counts}"
    for source, (before, after) in item.roles.items():
        if item.kind == "changed" or (before or after) != "alarm":
            yield f"    {source}: role: {before or 'not listed'} -> {after or 'not listed'}"
    for (source, name), (was, now) in item.labels.items():
        yield f"    {source}: {name}: {'no label' if was is None else was!r} -> {'no label' if now is None else now!r}"
    if hashes:
        for sign, found in (("+", item.hashes_added), ("-", item.hashes_withdrawn)):
            for source, value, quality in found:
                yield f"    {sign} {source}: {value}" + ("" if quality is None else f"  quality {quality}")


def compact(path: ListFile, as_json: Json = False) -> None:
    """Write a list's file anew without the room and the history that withdrawn rows left; its version stays.

    Index files and matchers then read the list from the start once. Exit code: 0, or 2 an error.

    Example: hashmatch list compact mine.hashmatch
    """
    with open_list(path, writable=True) as ref:
        before = path.stat().st_size
        ref.compact()
        version = ref.version
    after = path.stat().st_size
    if as_json:
        emit({"version": version, "bytes_before": before, "bytes": after})
    else:
        OUT.print(f"{before:,} bytes before, {after:,} bytes now; version {version}", highlight=False)
