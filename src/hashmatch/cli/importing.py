"""``hashmatch list import``: a file of hashes into a list, every row accounted for."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from hashmatch.cli.console import ERRORS, OUT, emit, fail, labels_from
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import LOCAL, ReferenceList
from hashmatch.lists.formats import ColumnMapping, ImportReport, Refused, import_into, read_table, read_text

__all__ = ["import_file"]

_SHOWN: Final = 20


def import_file(
    path: Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="CSV, TSV or plain text of hashes.", show_default=False)],
    hashes: Annotated[
        list[str] | None,
        typer.Option(
            "--hash",
            help="COLUMN=ALGORITHM for each column of hashes of a table. Without it the file is plain text, a hash a "
            "line.",
        ),
    ] = None,
    entry_id: Annotated[
        str | None, typer.Option("--id", help="Column of the entry id. [default: entries are named after their hash]")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="COLUMN=LABEL of a table, NAME=VALUE for all of a plain text.")
    ] = None,
    quality: Annotated[str | None, typer.Option("--quality", help="Column of the hashes' quality.")] = None,
    source: Annotated[str, typer.Option("--source", "-s", help="Who lists these hashes.")] = LOCAL,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", "-a", help='What bare hashes of a plain text are, such as "pdq".')
    ] = None,
    header: Annotated[
        bool, typer.Option("--header/--no-header", help="Whether the first row names the columns; else 1, 2, …")
    ] = True,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="One character. [default: found out]")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="[default: UTF-8, or UTF-16 by its mark]")] = None,
    refused: Annotated[
        Path | None, typer.Option("--refused", help="Write every refused row's line number and reason to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Import hashes in one transaction: interrupted or failed, the list stays as it was.

    A bad row is refused with its line number and never stops the rest. Exit code: 0 when the import was made, also
    when rows were refused; 2 when it was not.
    """
    if refused is not None and any(_same_file(refused, other) for other in (path, file)):
        raise fail("--refused names the list or the file to import: name another file; nothing was imported")
    try:
        pairs = labels_from(label or ())
        if hashes:
            mapping = ColumnMapping(
                hashes=labels_from(hashes),
                entry_id=entry_id,
                labels=pairs,
                quality=quality,
                source=source,
                header=header,
            )
            rows = read_table(file, mapping, delimiter=delimiter, encoding=encoding)
        elif entry_id or quality or delimiter or not header:
            raise typer.BadParameter("a table needs --hash COLUMN=ALGORITHM for each column of hashes")
        else:
            rows = read_text(file, algorithm, source=source, labels=pairs, encoding=encoding)
        with ExitStack() as stack:
            ref = stack.enter_context(ReferenceList.open(path, writable=True))
            sink = None if refused is None else stack.enter_context(refused.open("w", encoding="utf-8"))
            progress = stack.enter_context(
                Progress(
                    SpinnerColumn(),
                    TextColumn("{task.completed:,} rows"),
                    console=ERRORS,
                    transient=True,
                    disable=not ERRORS.is_terminal,
                )
            )
            task = progress.add_task("import", total=None)
            report = import_into(
                ref,
                rows,
                on_refused=None if sink is None else lambda row: _write(sink, row),
                progress=lambda done: progress.update(task, completed=done),
                max_refused=_SHOWN,
            )
    except (HashFormatError, ReferenceListError, LookupError, ValueError) as error:
        raise fail(f"{error}; nothing was imported") from error
    _show(report, as_json=as_json)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _write(sink: TextIO, row: Refused) -> None:
    sink.write(f"{row.line}\t{row.reason}\n")


def _show(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        for row in report.refused:
            emit({"line": row.line, "refused": row.reason})
        emit(
            {
                "rows": report.rows,
                "accepted": report.accepted,
                "new_entries": report.new_entries,
                "duplicates": report.duplicates,
                "refused": report.refused_count,
                "version": report.version,
            }
        )
        return
    for row in report.refused:
        ERRORS.print(f"line {row.line}: {row.reason}", markup=False, highlight=False)
    if report.refused_count > len(report.refused):
        more = report.refused_count - len(report.refused)
        ERRORS.print(f"and {more:,} refused rows more; --refused FILE writes them all", highlight=False)
    OUT.print(
        f"{report.rows:,} rows: {report.accepted:,} accepted ({report.new_entries:,} new entries), "
        f"{report.duplicates:,} duplicate, {report.refused_count:,} refused; version {report.version}",
        highlight=False,
    )
