"""``hashmatch list fetch``: what is new in a feed, from the service of its owner into a list."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json, ListFile
from hashmatch.cli.console import ERRORS, OUT, emit, fail, labels_from, safe, warn
from hashmatch.cli.sources import named, open_list
from hashmatch.errors import HashFormatError
from hashmatch.lists.feeds import FEEDS, FetchReport, fetch_into
from hashmatch.lists.formats import Delivery, Flaw, Refused
from hashmatch.lists.formats.importing import MAX_LOST

__all__ = ["fetch"]

_TOKEN: Final = "HASHMATCH_TOKEN"  # noqa: S105 - the name of a variable
_MAX_TOKEN: Final = 16_384
_SHOWN: Final = 20


def fetch(
    path: ListFile,
    feed: Annotated[str, typer.Argument(metavar="FEED", help=f"One of: {', '.join(FEEDS)}.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option("--source", "-s", help="Who lists this. [default: FEED]", show_default=False),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Address of the service. [default: that of FEED]", show_default=False),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help=f"File with the token of the service. [default: ${_TOKEN}]", show_default=False
        ),
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option("--member", help="ID=SUFFIX: what this member of NCMEC lists goes under SOURCE/SUFFIX."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="NAME=VALUE for every entry; may be given several times.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Fetch all, and take back what is not there any more.", show_default=False)
    ] = False,
    max_lost: Annotated[
        float,
        typer.Option("--max-lost", min=0, max=1, help="Largest share that may vanish where all is fetched anew."),
    ] = MAX_LOST,
    as_json: Json = False,
) -> None:
    """Fetch what is new in a feed since the last time, page by page; stopped anywhere, the next time goes on there.

    The list keeps where the feed stands, and never the token. Refused records are counted and do not stop the feed.
    FEED is one of ncmec, stopncii, threatexchange and tat; ncmec and tat take USER:PASSWORD as their token, stopncii
    FUNCTION-KEY:SUBSCRIPTION-KEY, and threatexchange APP|SECRET and --url with the privacy group at its end.

    Exit code: 0 when all there is was fetched, 2 an error; what was fetched before it stays.

    Example: hashmatch list fetch mine.hashmatch ncmec --token-file ncmec.token
    """
    token = _token(token_file)
    members = labels_from(member or [])
    labels = labels_from(label or [])
    if members and feed != "ncmec":
        raise fail("--member goes with ncmec")
    shown: list[Refused] = []

    def refused(row: Refused) -> None:
        if len(shown) < _SHOWN:
            shown.append(row)

    flaws: dict[str, int] = {}

    def flaw(item: Flaw) -> None:
        flaws[item.column] = flaws.get(item.column, 0) + 1

    with open_list(path, writable=True, check="none") as ref, named(path):
        try:
            report = fetch_into(
                ref,
                feed,
                token,
                delivery=Delivery(source=source or feed, labels=labels, members=members),
                url=url,
                anew=anew,
                max_lost=max_lost,
                on_refused=refused,
                on_flaw=flaw,
            )
        except HashFormatError as error:
            raise fail(str(error)) from error
    _show(report, shown, flaws, as_json=as_json)


def _token(file: Path | None) -> str:
    """Read the token from a file or the environment; it is never an argument, which other users of a machine see."""
    if file is None:
        text = os.environ.get(_TOKEN, "")
        if not text:
            raise fail(f"the token of the service is missing: name a file with --token-file, or set {_TOKEN}")
        return text
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_MAX_TOKEN + 1)
    except OSError as error:
        raise fail(f"{file}: {error.strerror}") from None
    if len(data) > _MAX_TOKEN or not data.isascii():
        raise fail(f"{file}: this is no token")
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"{file}: other users of this machine may read the token: chmod 600")
    return data.decode("ascii")


def _show(report: FetchReport, shown: list[Refused], flaws: dict[str, int], *, as_json: bool) -> None:
    for row in shown:
        ERRORS.print(Text(safe(f"record {row.line} of its page: {row.reason}")), soft_wrap=True)
    if as_json:
        emit(
            {
                "pages": report.pages,
                "rows": report.rows,
                "accepted": report.accepted,
                "new_entries": report.new_entries,
                "duplicates": report.duplicates,
                "refused": report.refused_count,
                "flawed": report.flawed,
                "columns": flaws,
                "deleted": report.deleted,
                "lost": report.lost,
                "anew": report.anew,
                "version": report.version,
            }
        )
        return
    if report.refused_count > len(shown):
        ERRORS.print(f"and {report.refused_count - len(shown):,} refused records more", highlight=False)
    for name, count in flaws.items():
        ERRORS.print(Text(safe(f"{name}: {count:,} left out or changed")), soft_wrap=True)
    OUT.print(
        f"{report.pages:,} pages, {report.rows:,} records: {report.accepted:,} accepted ({report.new_entries:,} new "
        f"entries, {report.deleted:,} taken back), {report.duplicates:,} known, {report.refused_count:,} refused"
        + (f"; fetched anew, {report.lost:,} gone" if report.anew else "")
        + f"; version {report.version}",
        highlight=False,
    )
