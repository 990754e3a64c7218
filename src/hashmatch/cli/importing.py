"""``hashmatch list import`` and ``formats``: a delivery into a list, every row accounted for."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final, TextIO, cast

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from hashmatch.cli.common_options import Json
from hashmatch.cli.console import ERRORS, OUT, Exit, emit, fail, labels_from, safe, warn
from hashmatch.cli.sources import STDIN, check_list, check_once, named, standard_input
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import LOCAL, ReferenceList
from hashmatch.lists.entry import Role
from hashmatch.lists.formats import (
    FORMATS,
    ColumnMapping,
    Delivery,
    Flaw,
    Format,
    ImportReport,
    Refused,
    format_named,
    import_into,
    mapping_from_toml,
    read_deliveries,
)
from hashmatch.lists.formats.registry import flag_of

__all__ = ["formats", "import_file"]

_SHOWN: Final = 20
_MAX_REFUSED: Final = "50%"
_MAX_LOST: Final = "10%"


def import_file(
    path: Annotated[Path, typer.Argument(metavar="LIST", help="List file.", show_default=False)],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files of one delivery; - for standard input.", show_default=False),
    ],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="Format of the files, as list formats names it. [default: what they begin with]"),
    ] = None,
    mapping_file: Annotated[
        Path | None, typer.Option("--mapping", help="File in TOML that says what the columns or fields mean.")
    ] = None,
    hashes: Annotated[
        list[str] | None,
        typer.Option("--hash", help="COLUMN=ALGORITHM for each column of hashes of a table."),
    ] = None,
    entry_id: Annotated[
        str | None, typer.Option("--id", help="Column of the entry id. [default: entries are named after their hash]")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="COLUMN=LABEL of a table; NAME=VALUE for every entry of another format."),
    ] = None,
    quality: Annotated[str | None, typer.Option("--quality", help="Column of the hashes' quality.")] = None,
    source: Annotated[str, typer.Option("--source", "-s", help="Who lists these hashes.")] = LOCAL,
    source_column: Annotated[
        str | None, typer.Option("--source-column", help="Column that names who lists each row.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="COLUMN=VALUE: take only rows with this value; may be given several times."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", help="alarm, benign or comparison. [default: what the format says, else alarm]"),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--category-profile", help="What the category numbers of VICS mean.")
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option("--member", help="ID=SUFFIX: what this member of NCMEC lists goes under SOURCE/SUFFIX."),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", "-a", help='What bare hashes of a plain text are, such as "pdq".')
    ] = None,
    header: Annotated[
        bool, typer.Option("--header/--no-header", help="Whether the first row names the columns; else 1, 2, …")
    ] = True,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="One character. [default: found out]")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="[default: UTF-8, or UTF-16 by its mark]")] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="The files are all that the source lists: take back what they do not have."),
    ] = False,
    max_lost: Annotated[
        str, typer.Option("--max-lost", help="Largest share of the source's entries that --replace may take back.")
    ] = _MAX_LOST,
    refused: Annotated[
        Path | None,
        typer.Option("--refused", help="Write the line number and reason of every refused row and cell to this file."),
    ] = None,
    max_refused: Annotated[
        str,
        typer.Option("--max-refused", help="Largest share of the rows that may be refused, such as 0.1 or 10%."),
    ] = _MAX_REFUSED,
    as_json: Json = False,
) -> None:
    """Import one delivery in one transaction: interrupted or failed, the list stays as it was.

    A bad row is refused with its line number and does not stop the rest, and a bad cell costs itself alone; where more
    rows, or cells of a column, are refused than --max-refused allows, nothing is imported. Exit code: 0 when the import
    was made, 1 when the files have no rows, 2 when too many rows or all were refused, or on an error.

    Example: hashmatch list import mine.hashmatch delivery.csv --hash pdq_hash=pdq --id case --source ncmec
    """
    refused_share, lost_share = _share_from(max_refused, "--max-refused"), _share_from(max_lost, "--max-lost")
    if refused is not None and any(_same_file(refused, other) for other in (path, *files)):
        raise fail("--refused names the list or the file to import: name another file; nothing was imported")
    check_once(map(str, files))
    told = _Told(files)
    try:
        pairs = labels_from(label or ())
        mapping = None
        if mapping_file is not None:
            if hashes or entry_id or quality or not header:
                raise typer.BadParameter("--mapping says it all: leave --hash, --id, --quality and --no-header out")
            mapping = mapping_from_toml(mapping_file.read_text(encoding="utf-8"))
        elif hashes:
            mapping = ColumnMapping(
                hashes=labels_from(hashes), entry_id=entry_id, labels=pairs, quality=quality, header=header
            )
        elif entry_id or quality or delimiter or not header:
            raise typer.BadParameter(
                "a table needs --mapping FILE, or --hash COLUMN=ALGORITHM for each column of hashes"
            )
        delivery = Delivery(
            source=source,
            source_column=source_column,
            where=labels_from(where or ()),
            role=cast("Role | None", role),
            labels={} if hashes else pairs,
            encoding=encoding,
            algorithm=algorithm,
            mapping=mapping,
            delimiter=delimiter,
            category_profile=profile,
            members=labels_from(member or ()),
        )
        kind = None if format_name is None else format_named(format_name)
        operations = read_deliveries(
            [standard_input() if str(file) == STDIN else file for file in files],
            delivery,
            kind,
            replace=replace,
            on_file=told.begin,
        )
        check_list(path)
        with ExitStack() as stack:
            stack.enter_context(_few_collections())
            with named(path):
                ref = stack.enter_context(ReferenceList.open(path, writable=True, check="none"))
            if refused is not None:
                told.sink = stack.enter_context(refused.open("w", encoding="utf-8"))
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
                operations,
                replace=replace,
                on_refused=told.refuse,
                on_flaw=told.note,
                progress=lambda done: progress.update(task, completed=done),
                max_refused=_SHOWN,
                max_refused_share=refused_share,
                max_lost=lost_share,
            )
    except (HashFormatError, ReferenceListError, LookupError, ValueError) as error:
        told.show(as_json=as_json)
        raise fail(f"{told.file}, into {path}: {error}; nothing was imported, the list is as it was") from error
    told.show(as_json=as_json)
    _show(report, told.formats, as_json=as_json)
    if not report.rows:
        warn("the delivery has no rows; nothing was imported")
        raise typer.Exit(Exit.NONE)
    if report.took_nothing:
        raise fail("every row was refused; nothing was imported")


def formats(as_json: Json = False) -> None:
    """Show the formats that list import reads, one line each.

    Exit code: 0.

    Example: hashmatch list formats --json
    """
    if as_json:
        for item in FORMATS.values():
            emit(
                {
                    "format": item.name,
                    "summary": item.summary,
                    "snapshot": item.is_snapshot,
                    "needs": sorted(map(flag_of, item.needs)),
                    "takes": sorted(map(flag_of, item.takes)),
                }
            )
        return
    width = max(map(len, FORMATS))
    for item in FORMATS.values():
        needs = f"; needs {', '.join(sorted(map(flag_of, item.needs)))}" if item.needs else ""
        OUT.print(f"{item.name:<{width}}  {item.summary}{needs}", highlight=False, soft_wrap=True)


class _Told:
    """What is said of rows: the first on the terminal, all in a file; each names its file where there are several."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._place = 0
        self._shown: list[tuple[str, Refused | Flaw]] = []
        self._left: dict[type, int] = {Refused: _SHOWN, Flaw: _SHOWN}
        self.sink: TextIO | None = None
        self.formats: list[str] = []

    @property
    def file(self) -> Path:
        """The file that is being read."""
        return self._files[self._place]

    def begin(self, place: int, kind: Format | None) -> None:
        """Note which file is read, and by which format."""
        self._place = place
        if kind is not None:
            self.formats.append(kind.name)

    def refuse(self, row: Refused) -> None:
        """Take a refused row."""
        self._take(row, row.reason)

    def note(self, flaw: Flaw) -> None:
        """Take a flaw."""
        self._take(flaw, str(flaw))

    def _take(self, item: Refused | Flaw, reason: str) -> None:
        where = f"{self.file}\t" if len(self._files) > 1 else ""
        if self._left[type(item)]:
            self._left[type(item)] -= 1
            self._shown.append((str(self.file) if where else "", item))
        if self.sink is not None:
            self.sink.write(f"{where}{item.line}\t{reason}\n")

    def show(self, *, as_json: bool) -> None:
        """Show the first rows."""
        for file, item in self._shown:
            where: dict[str, object] = {"file": file} if file else {}
            if isinstance(item, Refused):
                said: dict[str, object] = {"refused": item.reason}
            else:
                said = {"column": item.column, "kind": item.kind, "reason": item.reason}
            if as_json:
                emit({**where, "line": item.line, **said})
                continue
            text = item.reason if isinstance(item, Refused) else str(item)
            ERRORS.print(Text(safe(f"{file + ', ' if file else ''}line {item.line}: {text}")), soft_wrap=True)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for unreachable cycles less often: rows make none, and the looking is a sixth of an import."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _share_from(text: str, flag: str) -> float:
    """Read a share, as a number from 0 to 1 or in per cent."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share <= 1:
        raise typer.BadParameter("write a share from 0 to 1, or from 0% to 100%", param_hint=flag)
    return share


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _show(report: ImportReport, formats: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "formats": list(dict.fromkeys(formats)),
                "rows": report.rows,
                "accepted": report.accepted,
                "new_entries": report.new_entries,
                "deleted": report.deleted,
                "lost": report.lost,
                "duplicates": report.duplicates,
                "refused": report.refused_count,
                "left_out": report.left_out,
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
    deleted = f", {report.deleted:,} deletes" if report.deleted else ""
    OUT.print(
        f"{report.rows:,} rows: {report.accepted:,} accepted ({report.new_entries:,} new entries{deleted}), "
        f"{report.duplicates:,} duplicate, {report.refused_count:,} refused"
        + (f", {report.left_out:,} not asked for" if report.left_out else "")
        + (f", {report.flawed:,} in part" if report.flawed else "")
        + (f"; {report.lost:,} entries that are no longer listed were taken back" if report.lost else "")
        + f"; version {report.version}",
        highlight=False,
    )
