"""``hashmatch urls``: keyed lists of known addresses: make, fill, look after."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from rich.text import Text

from hashmatch.cli.common_options import Json
from hashmatch.cli.console import OUT, Exit, emit, fail, safe, warn
from hashmatch.cli.lazy import LazyGroup
from hashmatch.cli.sources import STDIN, check_list, named, standard_input
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.urls import (
    FORMATS,
    REASONS,
    SCOPES,
    Guards,
    UrlKey,
    UrlList,
    UrlReport,
    info_of,
    read_addresses,
)
from hashmatch.urls.scopes import Scope as ScopeName

__all__ = ["Addresses", "Key", "UrlFile", "given", "opened_list", "urls_app"]


class _UrlsGroup(LazyGroup):
    """Commands of lists of addresses."""

    places = MappingProxyType(
        {
            "create": "hashmatch.cli.urls:create",
            "add": "hashmatch.cli.urls:add",
            "import": "hashmatch.cli.urls:import_file",
            "withdraw": "hashmatch.cli.urls:withdraw",
            "info": "hashmatch.cli.urls:info",
            "check": "hashmatch.cli.url_doors:check",
            "scan": "hashmatch.cli.url_doors:scan",
            "squid": "hashmatch.cli.url_doors:squid",
            "export": "hashmatch.cli.url_doors:export",
            "certify": "hashmatch.cli.url_doors:certify_list",
        }
    )


urls_app = typer.Typer(
    cls=_UrlsGroup,
    help="Keyed lists of known addresses: make, fill, ask, scan, export, certify.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

UrlFile = Annotated[Path, typer.Argument(metavar="URLS", help="List of addresses.", show_default=False)]
Key = Annotated[Path, typer.Option("--key", "-k", help="Key file of the list.", show_default=False)]
Addresses = Annotated[
    list[str], typer.Argument(metavar="ADDRESS...", help="- reads them from standard input.", show_default=False)
]
Scope = Annotated[str, typer.Option("--scope", help=f"How much each means: {', '.join(SCOPES)}.")]
UrlSource = Annotated[str, typer.Option("--source", "-s", help="Who lists them.")]
Classes = Annotated[list[str] | None, typer.Option("--class", help="For what; may be given several times.")]
Days = Annotated[float | None, typer.Option("--days", help="Days until they expire. [default: 90 or 30, by scope]")]
Approve = Annotated[str, typer.Option("--approve", help="Name of the person who overrules guards.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why.", show_default=False)]
Shared = Annotated[Path | None, typer.Option("--shared-hosts", help="File of names at which many publish.")]
Benign = Annotated[Path | None, typer.Option("--benign", help="File of names of sites that need a second look.")]
Sample = Annotated[Path | None, typer.Option("--sample", help="File of addresses of your own clean traffic.")]


def create(
    path: UrlFile,
    key: Key,
    name: Annotated[str | None, typer.Option("--name", "-n", help="[default: the file's name]")] = None,
    as_json: Json = False,
) -> None:
    """Make an empty list, and its key where none is at the path of --key.

    Keep the key apart from the list: who has both can try addresses.

    Exit code: 0, or 2 an error.

    Example: hashmatch urls create known.urls --key known.key
    """
    with named(path):
        if os.path.lexists(path):
            raise ReferenceListError("a file is already there: name another one")
        if not os.path.lexists(key):
            UrlKey.make().save(key)
        made = UrlList.create(path, UrlKey.load(key), name=name or path.stem)
    if as_json:
        emit({"list": made.head.name, "list_id": made.head.list_id, "key_id": made.head.key_id})
        return
    OUT.print(Text(safe(f"made list {made.head.name!r} with the key {made.head.key_id}")), soft_wrap=True)


def add(
    path: UrlFile,
    addresses: Addresses,
    key: Key,
    scope: Scope = "address",
    source: UrlSource = "local",
    classes: Classes = None,
    days: Days = None,
    approve: Approve = "",
    reason: Reason = "",
    shared_hosts: Shared = None,
    benign: Benign = None,
    sample: Sample = None,
    as_json: Json = False,
) -> None:
    """List addresses, or verify them again, so that they count on.

    An address among the arguments stays in the shell's history: - reads them from standard input.

    Exit code: 0, 1 where nothing was listed, 2 an error.

    Example: hashmatch urls add known.urls - --key known.key --scope host
    """
    with opened_list(path, key) as listed:
        report = listed.add(
            given(addresses),
            scope=_scope(scope),
            source=source,
            classes=classes or (),
            days=days,
            approved_by=approve,
            reason=reason,
            guards=_guards(shared_hosts, benign, sample),
        )
    _tell(report, as_json=as_json)


def import_file(
    path: UrlFile,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The delivery; - for standard input.")],
    key: Key,
    kind: Annotated[
        str | None, typer.Option("--format", "-f", help=f"One of: {', '.join(FORMATS)}. [default: by its beginning]")
    ] = None,
    scope: Scope = "address",
    source: UrlSource = "local",
    classes: Classes = None,
    days: Days = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="It is all that the source lists: the rest is withdrawn.")
    ] = False,
    max_lost: Annotated[float, typer.Option("--max-lost", help="With --whole: largest share that may go.")] = 0.1,
    max_growth: Annotated[float, typer.Option("--max-growth", help="Largest share that may come.")] = 1.0,
    approve: Approve = "",
    reason: Reason = "",
    shared_hosts: Shared = None,
    benign: Benign = None,
    sample: Sample = None,
    as_json: Json = False,
) -> None:
    """Import a delivery: text with an address a line, also defanged, or what ThreatExchange and StopNCII deliver.

    No address is kept. What is refused is counted by its reason.

    Exit code: 0, 1 where nothing was listed, 2 an error; nothing is changed then.

    Example: hashmatch urls import known.urls delivery.txt --key known.key --source hotline --whole
    """
    with opened_list(path, key) as listed:
        try:
            report = listed.add(
                read_addresses(standard_input() if file == STDIN else file, kind),
                scope=_scope(scope),
                source=source,
                classes=classes or (),
                days=days,
                approved_by=approve,
                reason=reason,
                guards=_guards(shared_hosts, benign, sample),
                whole=whole,
                max_lost=max_lost,
                max_growth=max_growth,
            )
        except HashFormatError as error:
            raise fail(f"{file}: {error}") from error
    _tell(report, as_json=as_json)


def withdraw(
    path: UrlFile,
    what: Annotated[list[str], typer.Argument(metavar="ENTRY|ADDRESS...", help="- reads them from standard input.")],
    key: Key,
    by: Annotated[str, typer.Option("--by", help="Name of the person who decides.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why.", show_default=False)],
    let_back: Annotated[bool, typer.Option("--let-back", help="An import may list them again.")] = False,
    as_json: Json = False,
) -> None:
    """Take entries out, and keep them out: an import does not bring them back, unless it is approved by name.

    Exit code: 0, or 2 an error, also where one of them is not listed; nothing is changed then.

    Example: hashmatch urls withdraw known.urls 0123456789abcdef --key known.key --by "A. Person" --reason appeal
    """
    with opened_list(path, key) as listed:
        report = listed.withdraw(given(what), by=by, reason=reason, keep_out=not let_back)
    if as_json:
        emit({"withdrawn": report.withdrawn, "version": report.version})
        return
    OUT.print(f"withdrew {report.withdrawn:,} entries; version {report.version}", highlight=False)


def info(path: UrlFile, as_json: Json = False) -> None:
    """Show what a list is, for which no key is needed: versions, counts by scope and source, changes.

    Exit code: 0, or 2 an error.

    Example: hashmatch urls info known.urls
    """
    check_list(path)
    with named(path):
        found = info_of(path)
    record: dict[str, Any] = {
        "list": found.name,
        "list_id": found.list_id,
        "key_id": found.key_id,
        "version": found.version,
        "digest": found.digest,
        "live": dict(found.live),
        "sources": dict(found.sources),
        "expired": found.expired,
        "kept_out": found.kept_out,
        "verified": None if found.verified is None else _day(found.verified),
        "suffixes": found.suffixes,
        "file_bytes": found.file_bytes,
        "history": [item | {"when": _day(item["when"])} for item in found.history],
    }
    if as_json:
        emit(record)
        return
    for name, value in record.items():
        for line in value if name == "history" else [value]:
            said = ", ".join(f"{key} {count}" for key, count in line.items()) if isinstance(line, dict) else str(line)
            OUT.print(Text(safe(f"{name:<10} {said}")), soft_wrap=True)


def _scope(text: str) -> ScopeName:
    for name in SCOPES:
        if name == text:
            return name
    raise typer.BadParameter(f"write one of {', '.join(SCOPES)}", param_hint="--scope")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def opened_list(path: Path, key: Path) -> Iterator[UrlList]:
    """Open a list; an error of it, then or while it is used, names the path."""
    check_list(path)
    with named(path):
        info_of(path)  # a file that is no list is told before its key is asked for
        yield UrlList.open(path, UrlKey.load(key))


def given(texts: Iterable[str]) -> Iterator[str]:
    """Give the arguments, with the lines of standard input in the place of ``-``."""
    for text in texts:
        if text != STDIN:
            yield text
            continue
        for line in standard_input():
            said = line.decode("utf-8", "surrogateescape").strip()
            if said:
                yield said


def _guards(shared_hosts: Path | None, benign: Path | None, sample: Path | None) -> Guards:
    return Guards(shared_hosts=_lines(shared_hosts), benign=_lines(benign), sample=_lines(sample))


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    return [item.address for item in read_addresses(path, "text") if item.address]


def _tell(report: UrlReport, *, as_json: bool) -> None:
    counts = {
        name: getattr(report, name)
        for name in ("rows", "added", "again", "withdrawn", "kept_out", "expired", "version")
    }
    if as_json:
        refusals = [{"number": number, "reason": reason} for number, reason in report.refusals]
        emit({**counts, "refused": dict(report.refused), "refusals": refusals})
    else:
        said = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
        OUT.print(said, highlight=False)
        sys.stdout.flush()
        for reason, count in report.refused.items():
            first = [number for number, why in report.refusals if why == reason][:5]
            warn(f"refused {count:,} ({reason}): {REASONS[reason]}; record {', '.join(map(str, first))}")
    if not report.added and not report.again:
        raise typer.Exit(Exit.NONE)
