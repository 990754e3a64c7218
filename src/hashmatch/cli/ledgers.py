"""``hashmatch rescan`` and ``hashmatch report``: what a ledger holds, matched again, and told."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.text import Text

from hashmatch.cli.console import OUT, Exit, emit, fail, safe, stopped_reading, warn
from hashmatch.cli.policy_options import Formats, MaxBytes, MaxPixels, policy_from
from hashmatch.cli.search import Frames, IndexFolder, Json, KeyFile, Lists, Policy, Threshold
from hashmatch.cli.sources import STDIN, check_list, open_list
from hashmatch.errors import ReferenceListError
from hashmatch.matching import Match
from hashmatch.scan import Ledger, Rescan
from hashmatch.scan import rescan as matched_again
from hashmatch.scan.items import shown_name
from hashmatch.scan.rescan import Answered

__all__ = ["report", "rescan_ledger"]

_Ledger = Annotated[Path, typer.Argument(help="Ledger of a scan.", show_default=False)]


class Form(Enum):
    """Forms of a report."""

    HTML = "html"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    VICS = "vics"


def rescan_ledger(
    ledger: _Ledger,
    lists: Lists,
    policy: Policy = "standard",
    threshold: Threshold = None,
    index_folder: IndexFolder = None,
    key_file: KeyFile = None,
    formats: Formats = None,
    frames: Frames = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="A list that is given no longer: its matches are taken back; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Match what a ledger holds again, without the pictures, against what has changed in the lists since.

    Shows every content whose answer is another: the matches that are new, and those that are taken back because their
    entries were withdrawn. All is written at the end; a rescan that is stopped has changed nothing. Views that a ledger
    does not keep (crops, small rotations, keypoints) are told: scan again, which looks at those files alone.

    Exit code: 0 a new match was found, 1 none, 2 an error, 3 no new match, but something could not be compared, 130
    interrupted.

    Example: hashmatch rescan uploads.ledger --list mine.hashmatch
    """
    for path in lists:
        check_list(path)
    rules = policy_from(
        policy,
        threshold or (),
        key_file,
        formats=formats,
        frames=frames,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    _check_there(ledger)
    summary, gained, withdrawn = Rescan(), 0, 0
    with Ledger.open(ledger) as book:
        answers = matched_again(
            book, *lists, policy=rules, without=without or (), index_folder=index_folder, summary=summary
        )
        for item in _named(answers, lists):
            gained += len(item.gained)
            withdrawn += len(item.withdrawn)
            items = [shown_name(name) if name is not None else key.hex() for key, name in book.items_of(item.content)]
            if as_json:
                emit(
                    {
                        "content": item.content,
                        "items": items,
                        "before": {"outcome": item.before.outcome.value, "reason": item.before.reason},
                        "now": {"outcome": item.now.outcome.value, "reason": item.now.reason},
                        "gained": [match.to_dict() for match in item.gained],
                        "withdrawn": [match.to_dict() for match in item.withdrawn],
                    }
                )
            else:
                _show(f"{item.before.outcome.value} -> {item.now.outcome.value}", items, item.gained, item.withdrawn)
        waits = summary.to_scan
    if as_json:
        emit(
            {
                "summary": {
                    "contents": summary.contents,
                    "answered": summary.answered,
                    "changed_entries": summary.changed_entries,
                    "whole": summary.whole,
                    "gained": gained,
                    "withdrawn": withdrawn,
                    "not_compared": list(summary.gap),
                    "to_scan": waits,
                }
            }
        )
    else:
        OUT.print(
            f"{summary.contents:,} contents, {summary.answered:,} answered anew, {gained:,} new matches,"
            f" {withdrawn:,} taken back",
            highlight=False,
            soft_wrap=True,
        )
    if waits:
        missing = f" ({', '.join(summary.gap)})" if summary.gap else ""
        warn(f"{waits:,} contents could not be compared in full{missing}: scan again, which looks at those alone")
    raise typer.Exit(Exit.FOUND if gained else Exit.UNDECIDED if waits else Exit.NONE)


def _named(answers: Iterator[Answered], lists: list[Path]) -> Iterator[Answered]:
    """Give the answers; an error that is of one list names it."""
    try:
        yield from answers
    except ReferenceListError as error:
        for path in lists:
            with open_list(path):
                pass
        raise fail(f"{', '.join(map(str, lists))}: {error}") from error


def _show(outcome: str, items: list[str], gained: tuple[Match, ...], withdrawn: tuple[Match, ...]) -> None:
    more = f" and {len(items) - 1:,} more" if len(items) > 1 else ""
    OUT.print(Text(safe(f"{outcome}  {items[0] if items else 'no item'}{more}")), soft_wrap=True)
    for what, matches in (("new", gained), ("taken back", withdrawn)):
        for match in matches:
            line = (
                f"    {what}: entry {match.entry_id} of list {match.list_name}, {match.algorithm}, view: {match.view}"
            )
            OUT.print(Text(safe(line)), soft_wrap=True)


def report(
    ledger: _Ledger,
    output: Annotated[Path, typer.Option("--output", "-o", help='File to be written; "-" is standard output.')],
    form: Annotated[Form, typer.Option("--format", "-f", help="Form of the report.")] = Form.HTML,
    digests: Annotated[
        bool, typer.Option("--digests", help="Name MD5, SHA-1 and SHA-256 of each item in CSV, NDJSON and Parquet.")
    ] = False,
    category_scheme: Annotated[
        str | None, typer.Option("--category-scheme", help="For VICS: the label whose value is the category.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Write what a ledger holds: a page for people, or tables and records for programs.

    The page (html) holds counts, charts and a table of matches and doubts that sorts and filters. It is one file, loads
    nothing and shows no picture. VICS holds the contents that match, by MD5.

    Exit code: 0 done, 2 an error.

    Example: hashmatch report uploads.ledger -o report.html
    """
    from hashmatch.scan.out import write_report  # a scan needs none of it

    _check_there(ledger)
    if category_scheme is not None and form is not Form.VICS:
        raise typer.BadParameter("categories are written in VICS alone", param_hint="--category-scheme")
    if digests and form is Form.HTML:
        raise typer.BadParameter("the page shows no digest: ask for them in another form", param_hint="--digests")
    if output.exists() and not force and str(output) != STDIN:
        raise fail(f"{output}: is there already: give --force to write over it, or another name")
    if str(output) != STDIN and output.exists() and os.path.samefile(output, ledger):
        raise fail(f"{output}: is the ledger: name another file")
    with Ledger.open(ledger, writable=False) as book, _written(output) as file:
        write_report(book, file, form.value, digests=digests, scheme=category_scheme)


def _check_there(ledger: Path) -> None:
    if not ledger.exists():
        raise fail(f"{ledger}: there is no ledger; hashmatch scan ROOT --list LIST --ledger {ledger} makes one")


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there as a whole, or not at all."""
    if str(path) == STDIN:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise stopped_reading() from None
        return
    try:
        made = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    except OSError as error:
        raise fail(f"{path}: cannot be written: {error.strerror}") from None
    with made as file:
        try:
            yield file  # type: ignore[misc]
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
