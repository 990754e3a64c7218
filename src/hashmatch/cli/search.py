"""``hashmatch match``: pictures or hashes against lists; and what the commands that search share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from hashmatch.algorithms import algorithm_named
from hashmatch.cli.audit_options import Actor, AuditHashes, AuditKey, AuditLogFolder, recording
from hashmatch.cli.console import (
    OUT,
    Exit,
    emit,
    fail,
    safe,
    warn,
)
from hashmatch.cli.interpreter import loader_variables
from hashmatch.cli.policy_options import Formats, MaxBytes, MaxPixels, policy_from
from hashmatch.cli.sources import check_list, check_once, hash_from, open_list, opened, warn_of_hashlike
from hashmatch.errors import ReferenceListError
from hashmatch.jail import MEASURES, Isolation
from hashmatch.matching import Match, Matcher, MatchReport, Outcome, ReportRecorder
from hashmatch.policy import MatchPolicy
from hashmatch.scan import ScanItem, ScanSummary

__all__ = [
    "STYLES",
    "Frames",
    "IndexFolder",
    "Json",
    "KeyFile",
    "Lists",
    "Policy",
    "Require",
    "Seconds",
    "Threshold",
    "exit_for",
    "isolation_from",
    "left_out",
    "match",
    "open_matcher",
    "show_answer",
    "warn_of_idle",
]

_LONGEST_SOURCE: Final = 4096
STYLES: Final = {
    Outcome.MATCH: "bold red",
    Outcome.NO_MATCH: "green",
    Outcome.UNDECIDABLE: "yellow",
    Outcome.UNREADABLE: "magenta",
}

Lists = Annotated[list[Path], typer.Option("--list", "-l", help="List file; may be given several times.")]
Policy = Annotated[
    str,
    typer.Option(
        "--policy", "-p", help="fast (one view), standard (turns, borders), thorough (also crops) or FILE.toml."
    ),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option("--threshold", "-t", help="ALGORITHM=DISTANCE, inclusive; may be given several times."),
]
IndexFolder = Annotated[
    Path | None,
    typer.Option("--index-folder", help="Keep indexes in this existing folder: later starts are sooner."),
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="File with the secret key that keypoint records were made with.")
]
Frames = Annotated[str | None, typer.Option("--frames", help="Frames that are looked at, as frames of a policy file.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Seconds = Annotated[
    float, typer.Option("--seconds", min=0.1, max=3600, help="Longest time for one picture in a worker process.")
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        help=f"Protection that must hold: strong (all), weak or {', '.join(MEASURES)}; may be given several times.",
    ),
]


def match(
    sources: Annotated[
        list[str],
        typer.Argument(
            help='Picture files, hashes written "pdq:<64 hex>", or - for a picture on standard input.',
            show_default=False,
        ),
    ],
    lists: Lists,
    policy: Policy = "standard",
    threshold: Threshold = None,
    index_folder: IndexFolder = None,
    key_file: KeyFile = None,
    formats: Formats = None,
    frames: Frames = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    isolate: Annotated[bool, typer.Option("--isolate", help="Decode in a restricted worker process.")] = False,
    seconds: Seconds = 30.0,
    require: Require = None,
    audit: AuditLogFolder = None,
    audit_key: AuditKey = None,
    audit_hashes: AuditHashes = False,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Match pictures or hashes against lists and explain each match.

    Exit code: 0 a match was found, 1 none, 2 an error or an unreadable picture, 3 nothing found but a picture was
    undecidable.

    Example: hashmatch match photo.jpg --list mine.hashmatch
    """
    summary = ScanSummary()
    check_once(sources)
    values = [hash_from(source) for source in sources]  # a spoilt one stops the command before anything is searched
    isolation = isolation_from(isolate, 1, seconds, require)
    rules = policy_from(
        policy,
        threshold or (),
        key_file,
        formats=formats,
        frames=frames,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    with (
        recording(audit, audit_key, audit_hashes, actor) as recorder,
        open_matcher(lists, rules, index_folder, isolation, recorder) as matcher,
    ):
        warned = False
        for number, (source, value) in enumerate(zip(sources, values, strict=True), 1):
            if value is None and not warned:
                warned = True
                warn_of_idle(matcher)
            report = _matched(matcher, source) if value is None else matcher.match_hash(value)
            # a hash may be a listed one, and what is shown ends up in logs
            shown = source if value is None else f"{value.algorithm}:... (argument {number})"
            summary.count(ScanItem(Path(shown), report))
            show_answer(shown, report, as_json=as_json)
            for line in () if as_json else left_out(report):
                OUT.print(Text(safe(f"    {line}")), soft_wrap=True)
    raise typer.Exit(exit_for(summary))


def open_matcher(
    lists: list[Path],
    policy: MatchPolicy,
    index_folder: Path | None,
    isolation: Isolation | None,
    recorder: ReportRecorder | None = None,
) -> Matcher:
    """Open a matcher; an error that is of one list names it."""
    for path in lists:
        check_list(path)
    try:
        return Matcher.open(*lists, policy=policy, index_folder=index_folder, isolation=isolation, recorder=recorder)
    except ReferenceListError as error:
        for path in lists:
            with open_list(path):
                pass
        folders = () if index_folder is None else (index_folder,)
        raise fail(f"{', '.join(map(str, (*lists, *folders)))}: {error}") from error


def _matched(matcher: Matcher, source: str) -> MatchReport:
    with opened(source) as picture:
        report = matcher.match(picture)
    if report.reason == "not-found":
        warn_of_hashlike(source)
    return report


def warn_of_idle(matcher: Matcher) -> None:
    """Say before the first picture that a list can answer for none."""
    for name in matcher.idle_lists:
        warn(
            f"the list {name!r} holds no hash that pictures are compared with by the policy {matcher.policy.name!r}: "
            'no answer will be "no match"'
        )


def show_answer(source: str, report: MatchReport, *, as_json: bool) -> None:
    """Print one report: a JSON line, or for people a line for the outcome and a line for each match."""
    if as_json:
        emit({"source": source} | report.to_dict())
        return
    OUT.print(Text.assemble(_outcome_text(report), f"  {safe(_shortened(source))}"), soft_wrap=True)
    for item in report.matches:
        _tell_match("", item)
    if report.n_matches > len(report.matches):
        OUT.print(Text(f"    and {report.n_matches - len(report.matches)} more"))
    for pair in report.suppressed:
        _tell_match("suppressed: ", pair.match)
        _tell_match("    by benign ", pair.by)
    for item in report.comparisons:
        _tell_match("for comparison: ", item)
    for item in report.held:
        _tell_match("held back: ", item)
    for what, more in (
        ("suppressed", report.n_suppressed - len(report.suppressed)),
        ("for comparison", report.n_comparisons - len(report.comparisons)),
        ("held back", report.n_held - len(report.held)),
    ):
        if more:
            OUT.print(Text(f"    and {more} more {what}"))
    for line in _unseen(report):
        OUT.print(Text(f"    {line}"), soft_wrap=True)


def _tell_match(what: str, item: Match) -> None:
    near = f"distance {item.distance} of at most {item.threshold}" if item.threshold else "equal"
    if item.evidence is not None:
        near = f"evidence {item.evidence:.0f} of at least {item.min_evidence:.0f}, distance {item.distance}"
    if item.placement is not None:
        near = str(item.placement)
    labels = "".join(f", {name}={value}" for name, value in item.labels.items())
    version = f"version {item.list_version} ({item.list_digest[:16]})"
    action = "" if item.action is None else f", action: {item.action}"
    confirmed = f", confirmed by {', '.join(item.confirmed_by)}" if item.confirmed_by else ""
    flags = "".join(f", {name}" for name in ("unconfirmed", "quarantined") if getattr(item, name))
    line = (
        f"    {what}entry {item.entry_id} of list {item.list_name} {version}: "
        f"{item.algorithm}, {near}, view: {item.view}, from {', '.join(item.sources)}{labels}"
        f"{confirmed}{flags}{action}"
    )
    OUT.print(Text(safe(line)), soft_wrap=True)


def _unseen(report: MatchReport) -> Iterator[str]:
    """Say which frames and views an answer is not about."""
    if report.frames is not None and not report.frames.is_whole:
        least = "at least " if report.frames.at_least else ""
        yield f"frames seen: {report.frames.seen}, not seen: {least}{report.frames.unseen}"
    if report.views_not_compared and report.outcome in (Outcome.NO_MATCH, Outcome.UNDECIDABLE):
        yield f"not compared: {', '.join(report.views_not_compared)}"


def left_out(report: MatchReport) -> Iterator[str]:
    """Say what lists hold that no picture is compared with, because hashmatch does not compute it."""
    for item in report.lists:
        stored = {name: n for name, n in item.not_compared.items() if not algorithm_named(name).version}
        for name, n in stored.items():
            yield f"{n:,} {name} hashes of list {item.name} were not compared: hashmatch does not compute {name}"
        if stored and item.entries_not_compared:
            yield (
                f"{item.entries_not_compared:,} of {item.n_entries:,} entries of list {item.name} have no other hash of"
                " a picture: edited copies of these are not found"
            )


def _shortened(source: str) -> str:
    """Name the source; a record of thousands of digits says no more than its beginning."""
    return source if len(source) <= _LONGEST_SOURCE else f"{source[:64]}... ({len(source)} characters)"


def isolation_from(isolate: bool, workers: int, seconds: float, require: list[str] | None) -> Isolation | None:
    """Take the options of isolation together."""
    if require and not isolate:
        raise typer.BadParameter("--require is about worker processes, and there are none", param_hint="--require")
    if not isolate:
        return None
    return Isolation(workers=workers, seconds=seconds, require=tuple(require or ()), environment=loader_variables())


def exit_for(summary: ScanSummary, *, folders: bool = False) -> Exit:
    """Exit code of a search: a match outweighs all; what could not be decided is never "none".

    Nor is a search that looked at no file. In folders, files that are no pictures at all are not errors: folders are
    full of them.
    """
    if summary.outcomes[Outcome.MATCH]:
        return Exit.FOUND
    if summary.outcomes[Outcome.UNREADABLE] > (summary.reasons["not-an-image"] if folders else 0):
        return Exit.ERROR
    return Exit.UNDECIDED if summary.outcomes[Outcome.UNDECIDABLE] or not summary.n_files else Exit.NONE


def _outcome_text(report: MatchReport) -> Text:
    """Outcome in its colour, with the reason if there is one."""
    text = Text(report.outcome.value, style=STYLES[report.outcome])
    if report.reason is None:
        return text
    named = "" if report.format is None else f": {report.format}"
    return text.append(f" ({report.reason}{named})", style="dim")
