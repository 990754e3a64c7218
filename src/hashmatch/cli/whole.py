"""``hashmatch list export | diff | compact``: whole lists."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import OUT, Exit, emit, fail, safe, stopped_reading
from hashmatch.cli.list_entries import Hashes, entry_record
from hashmatch.cli.sources import named, open_list
from hashmatch.lists import Difference, Entry, ReferenceList, differences

__all__ = ["compact", "diff", "export"]

_COLUMNS: Final = ("entry_id", "source", "algorithm", "hash", "quality", "labels")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last: full width


class Form(Enum):
    """What a list can be exported as."""

    NDJSON = "ndjson"
    CSV = "csv"


def export(
    path: ListFile,
    form: Annotated[Form, typer.Option("--format", "-f", help="One JSON object an entry, or one row a hash.")] = (
        Form.NDJSON
    ),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="New file, readable by its owner only. [default: standard output]"),
    ] = None,
) -> None:
    """Write all that a list holds of its entries: ids, sources, labels, hashes, qualities. It is the list: guard it.

    NDJSON is for programs and holds everything as it is. CSV is for people: a cell that a spreadsheet would take for a
    formula gets an apostrophe before it, and labels are one JSON object a cell.

    Exit code: 0, or 2 an error, also where the list changed meanwhile.

    Example: hashmatch list export mine.hashmatch --format csv --output mine.csv
    """
    with open_list(path) as ref, _sink(output) as sink:
        version = ref.version
        try:
            for line in _ndjson(ref) if form is Form.NDJSON else _csv(ref):
                sink.write(line)
            sink.flush()
        except BrokenPipeError:
            raise stopped_reading() from None
        if ref.version != version:
            raise fail("the list changed while it was exported, and parts may be of two versions: export again")


@contextmanager
def _sink(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise fail(f"{output}: a file is already there; name another one") from None
    try:
        with open(number, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException:
        os.unlink(output)
        raise


def _ndjson(ref: ReferenceList) -> Iterator[str]:
    for entry in ref:
        yield json.dumps(entry_record(entry, hashes=True), ensure_ascii=True, separators=(",", ":")) + "\n"


class _Line:
    """Takes what a writer of CSV writes, one row at a time."""

    text = ""

    def write(self, text: str) -> None:
        """Keep the row."""
        self.text = text


def _csv(ref: ReferenceList) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(_COLUMNS)
    yield line.text
    for entry in ref:
        for row in _rows(entry):
            writer.writerow([_cell(text) for text in row])
            yield line.text


def _rows(entry: Entry) -> Iterator[tuple[str, ...]]:
    for listing in entry.listings:
        labels = json.dumps(dict(listing.labels), ensure_ascii=False) if listing.labels else ""
        for item in listing.hashes:
            quality = "" if item.quality is None else str(item.quality)
            # with its algorithm, no row of digits is taken for a number
            yield entry.entry_id, listing.source, item.value.algorithm, str(item.value), quality, labels


def _cell(text: str) -> str:
    """Keep a spreadsheet from taking text for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="List file.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="List file.", show_default=False)],
    hashes: Hashes = False,
    as_json: Json = False,
) -> None:
    """Show which entries a new list has, has no more, or has changed: hashes, qualities, sources and labels.

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
    counts = {name: kinds[name] for name in ("added", "withdrawn", "changed")}
    if as_json:
        emit({"summary": counts})
    else:
        OUT.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
    if kinds:
        raise typer.Exit(Exit.NONE)


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
    return {"entry_id": item.entry_id, "kind": item.kind, **shown, "labels": labels}


def _lines(item: Difference, *, hashes: bool) -> Iterator[str]:
    counts = f"{len(item.hashes_added)} hashes more, {len(item.hashes_withdrawn)} fewer"
    yield f"{item.kind} {item.entry_id}: {counts}"
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
