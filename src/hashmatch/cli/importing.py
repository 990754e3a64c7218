"""``hashmatch list import``: a file of hashes into a list, every row accounted for."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from hashmatch.cli.console import ERRORS, OUT, Exit, emit, fail, labels_from, safe, warn
from hashmatch.cli.sources import STDIN, check_list, named, standard_input
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import LOCAL, ReferenceList
from hashmatch.lists.formats import ColumnMapping, Flaw, ImportReport, Refused, import_into, read_table, read_text

__all__ = ["import_file"]

_SHOWN: Final = 20
_MAX_REFUSED: Final = "50%"


def import_file(
    path: Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)],
    file: Annotated[
        Path, typer.Argument(help="CSV, TSV or plain text of hashes; - for standard input.", show_default=False)
    ],
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
        Path | None,
        typer.Option("--refused", help="Write the line number and reason of every refused row and cell to this file."),
    ] = None,
    max_refused: Annotated[
        str,
        typer.Option("--max-refused", help="Largest share of the rows that may be refused, such as 0.1 or 10%."),
    ] = _MAX_REFUSED,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Import hashes in one transaction: interrupted or failed, the list stays as it was.

    A bad row is refused with its line number and does not stop the rest, and a bad cell costs itself alone; where more
    rows, or cells of a column, are refused than --max-refused allows, nothing is imported. Exit code: 0 when the import
    was made, 1 when the file has no rows, 2 when too many rows or all were refused, or on an error.

    Example: hashmatch list import mine.hashmatch delivery.csv --hash pdq_hash=pdq --id case --source ncmec
    """
    share = _share_from(max_refused)
    shown: list[Refused] = []
    if refused is not None and any(_same_file(refused, other) for other in (path, file)):
        raise fail("--refused names the list or the file to import: name another file; nothing was imported")
    delivery = standard_input() if str(file) == STDIN else file
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
            rows = read_table(delivery, mapping, delimiter=delimiter, encoding=encoding)
        elif entry_id or quality or delimiter or not header:
            raise typer.BadParameter("a table needs --hash COLUMN=ALGORITHM for each column of hashes")
        else:
            rows = read_text(delivery, algorithm, source=source, labels=pairs, encoding=encoding)
        check_list(path)
        with ExitStack() as stack:
            stack.enter_context(_few_collections())
            with named(path):
                ref = stack.enter_context(ReferenceList.open(path, writable=True, check="none"))
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
                on_refused=lambda row: _take_refused(row, shown, sink),
                on_flaw=None if sink is None else lambda flaw: _write(sink, flaw.line, str(flaw)),
                progress=lambda done: progress.update(task, completed=done),
                max_refused=_SHOWN,
                max_refused_share=share,
            )
    except (HashFormatError, ReferenceListError, LookupError, ValueError) as error:
        _show_refused(shown, as_json=as_json)
        raise fail(f"{file}, into {path}: {error}; nothing was imported, the list is as it was") from error
    _show(report, as_json=as_json)
    if not report.rows:
        warn("the file has no rows; nothing was imported")
        raise typer.Exit(Exit.NONE)
    if report.took_nothing:
        raise fail("every row was refused; nothing was imported")


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for unreachable cycles less often: rows make none, and the looking is a sixth of an import."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _share_from(text: str) -> float:
    """Read a share, as a number from 0 to 1 or in per cent."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share <= 1:
        raise typer.BadParameter("write a share from 0 to 1, or from 0% to 100%", param_hint="--max-refused")
    return share


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _take_refused(row: Refused, shown: list[Refused], sink: TextIO | None) -> None:
    if len(shown) < _SHOWN:
        shown.append(row)
    if sink is not None:
        _write(sink, row.line, row.reason)


def _write(sink: TextIO, line: int, reason: str) -> None:
    sink.write(f"{line}\t{reason}\n")


def _show_refused(rows: Iterable[Refused], *, as_json: bool) -> None:
    for row in rows:
        if as_json:
            emit({"line": row.line, "refused": row.reason})
        else:
            ERRORS.print(Text(safe(f"line {row.line}: {row.reason}")), soft_wrap=True)


def _show_flaws(flaws: Iterable[Flaw], *, as_json: bool) -> None:
    for flaw in flaws:
        if as_json:
            emit({"line": flaw.line, "column": flaw.column, "kind": flaw.kind, "reason": flaw.reason})
        else:
            ERRORS.print(Text(safe(f"line {flaw.line}: {flaw}")), soft_wrap=True)


def _show(report: ImportReport, *, as_json: bool) -> None:
    _show_refused(report.refused, as_json=as_json)
    _show_flaws(report.flaws, as_json=as_json)
    if as_json:
        emit(
            {
                "rows": report.rows,
                "accepted": report.accepted,
                "new_entries": report.new_entries,
                "duplicates": report.duplicates,
                "refused": report.refused_count,
                "refused_share": report.refused_share,
                "flawed": report.flawed,
                "columns": {name: dict(kinds) for name, kinds in report.columns.items()},
                "version": report.version,
            }
        )
        return
    if report.refused_count > len(report.refused):
        more = report.refused_count - len(report.refused)
        ERRORS.print(f"and {more:,} refused rows more; --refused FILE writes them all", highlight=False)
    for name, kinds in report.columns.items():
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        ERRORS.print(Text(safe(f"column {name}: {counts}" if name else f"lines: {counts}")), soft_wrap=True)
    OUT.print(
        f"{report.rows:,} rows: {report.accepted:,} accepted ({report.new_entries:,} new entries), "
        f"{report.duplicates:,} duplicate, {report.refused_count:,} refused"
        + (f", {report.flawed:,} in part" if report.flawed else "")
        + f"; version {report.version}",
        highlight=False,
    )
