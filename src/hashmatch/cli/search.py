"""``hashmatch match`` and ``hashmatch scan``: pictures, hashes or whole folders against lists.

Over 400 lines because both commands show the same reports, and much of it is their options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hashmatch.algorithms import algorithm_named
from hashmatch.cli.console import (
    ERRORS,
    OUT,
    Exit,
    emit,
    fail,
    safe,
    warn,
)
from hashmatch.cli.interpreter import loader_variables
from hashmatch.cli.interrupts import Interrupts
from hashmatch.cli.policy_options import Formats, MaxBytes, MaxPixels, policy_from
from hashmatch.cli.sources import STDIN, check_list, check_once, hash_from, open_list, opened, warn_of_hashlike
from hashmatch.errors import ReferenceListError
from hashmatch.jail import MEASURES, Isolation, Protection
from hashmatch.matching import Match, Matcher, MatchReport, Outcome
from hashmatch.policy import MatchPolicy
from hashmatch.scan import ScanItem, ScanSummary, WalkCounts, iter_files, scan

__all__ = ["match", "scan_folders"]

_LONGEST_SOURCE: Final = 4096
_STYLES: Final = {
    Outcome.MATCH: "bold red",
    Outcome.NO_MATCH: "green",
    Outcome.UNDECIDABLE: "yellow",
    Outcome.UNREADABLE: "magenta",
}

_Lists = Annotated[list[Path], typer.Option("--list", "-l", help="List file; may be given several times.")]
_Policy = Annotated[
    str,
    typer.Option(
        "--policy", "-p", help="fast (one view), standard (turns, borders), thorough (also crops) or FILE.toml."
    ),
]
_Threshold = Annotated[
    list[str] | None,
    typer.Option("--threshold", "-t", help="ALGORITHM=DISTANCE, inclusive; may be given several times."),
]
_Folder = Annotated[
    Path | None,
    typer.Option("--index-folder", help="Keep indexes in this existing folder: later starts are sooner."),
]
_KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="File with the secret key that keypoint records were made with.")
]
_Frames = Annotated[str | None, typer.Option("--frames", help="Frames that are looked at, as frames of a policy file.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_Seconds = Annotated[
    float, typer.Option("--seconds", min=0.1, max=3600, help="Longest time for one picture in a worker process.")
]
_Require = Annotated[
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
    lists: _Lists,
    policy: _Policy = "standard",
    threshold: _Threshold = None,
    index_folder: _Folder = None,
    key_file: _KeyFile = None,
    formats: Formats = None,
    frames: _Frames = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    isolate: Annotated[bool, typer.Option("--isolate", help="Decode in a restricted worker process.")] = False,
    seconds: _Seconds = 30.0,
    require: _Require = None,
    as_json: _Json = False,
) -> None:
    """Match pictures or hashes against lists and explain each match.

    Exit code: 0 a match was found, 1 none, 2 an error or an unreadable picture, 3 nothing found but a picture was
    undecidable.

    Example: hashmatch match photo.jpg --list mine.hashmatch
    """
    summary = ScanSummary()
    check_once(sources)
    values = [hash_from(source) for source in sources]  # a spoilt one stops the command before anything is searched
    isolation = _isolation(isolate, 1, seconds, require)
    rules = policy_from(
        policy,
        threshold or (),
        key_file,
        formats=formats,
        frames=frames,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    with _matcher(lists, rules, index_folder, isolation) as matcher:
        warned = False
        for number, (source, value) in enumerate(zip(sources, values, strict=True), 1):
            if value is None and not warned:
                warned = True
                _warn_of_idle(matcher)
            report = _matched(matcher, source) if value is None else matcher.match_hash(value)
            # a hash may be a listed one, and what is shown ends up in logs
            shown = source if value is None else f"{value.algorithm}:... (argument {number})"
            summary.count(ScanItem(Path(shown), report))
            _answer(shown, report, as_json=as_json)
            for line in () if as_json else _left_out(report):
                OUT.print(Text(safe(f"    {line}")), soft_wrap=True)
    raise typer.Exit(_exit_for(summary))


def _matcher(lists: list[Path], policy: MatchPolicy, index_folder: Path | None, isolation: Isolation | None) -> Matcher:
    """Open a matcher; an error that is of one list names it."""
    for path in lists:
        check_list(path)
    try:
        return Matcher.open(*lists, policy=policy, index_folder=index_folder, isolation=isolation)
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


def _warn_of_idle(matcher: Matcher) -> None:
    """Say before the first picture that a list can answer for none."""
    for name in matcher.idle_lists:
        warn(
            f"the list {name!r} holds no hash that pictures are compared with by the policy {matcher.policy.name!r}: "
            'no answer will be "no match"'
        )


def scan_folders(
    roots: Annotated[list[Path], typer.Argument(help="Folders or files.", show_default=False)],
    lists: _Lists,
    policy: _Policy = "standard",
    threshold: _Threshold = None,
    index_folder: _Folder = None,
    key_file: _KeyFile = None,
    formats: Formats = None,
    frames: _Frames = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=256, help="Worker processes; threads without isolation.")
    ] = 1,
    isolate: Annotated[
        bool, typer.Option("--isolate/--no-isolate", help="Decode in restricted worker processes.")
    ] = True,
    seconds: _Seconds = 30.0,
    require: _Require = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links inside folders; each real file is matched once.")
    ] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show every file, not only matches and doubts.")] = False,
    as_json: _Json = False,
) -> None:
    """Match every file under some folders.

    Shows matches, unreadable and undecidable pictures, then counts that add up to the number of files, and what of the
    folders was passed over or not reached. Ctrl-C stops between two files and still prints the counts.

    Exit code: 0 a match was found, 1 none, 2 an error, an unreadable picture or a folder that could not be read, 3
    nothing found but a picture was undecidable or there was no file at all, 130 interrupted.

    Example: hashmatch scan uploads --list mine.hashmatch --workers 2 --json
    """
    if Path(STDIN) in roots and not Path(STDIN).exists():
        raise fail(f"a scan takes folders and files; for a picture on standard input: hashmatch match {STDIN}")
    walk = WalkCounts()
    summary = ScanSummary(walk=walk)
    interrupted = False
    last: MatchReport | None = None
    isolation = _isolation(isolate, workers, seconds, require)
    rules = policy_from(
        policy,
        threshold or (),
        key_file,
        formats=formats,
        frames=frames,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    with _matcher(lists, rules, index_folder, isolation) as matcher:
        _warn_of_idle(matcher)
        idle = bool(matcher.idle_lists)
        paths = iter_files(roots, on_error=_tell, follow_links=follow_links, counts=walk)
        items = scan(matcher, paths, workers=workers, isolate=isolate)
        try:
            with Interrupts() as interrupts, _progress(as_json=as_json) as step:
                for item in items:
                    with interrupts.held():
                        summary.count(item)
                        last = item.report
                        if show_all or _worth_showing(item.report):
                            _answer(str(item.path), item.report, as_json=as_json)
                        step()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            items.close()
        protection, counts = matcher.protection, matcher.counts()["workers"]
    if as_json:
        shown = None if protection is None else protection.to_dict()
        emit({"summary": summary.to_dict() | {"protection": shown, "workers": counts}})
    else:
        _show_summary(summary, walk, protection)
        for line in () if last is None else _left_out(last):
            OUT.print(Text(safe(line)), soft_wrap=True)
    if interrupted:
        ERRORS.print("interrupted: the counts cover the files up to here")
        raise typer.Exit(Exit.INTERRUPTED)
    code = _exit_for(summary, folders=True)
    if idle and code is Exit.NONE:
        code = Exit.UNDECIDED
    raise typer.Exit(code if code is Exit.FOUND or walk.complete else Exit.ERROR)


def _tell(problem: OSError) -> None:
    fail(f"{problem.filename}: {problem.strerror}")


def _worth_showing(report: MatchReport) -> bool:
    """Tell whether a line of its own is due: whatever was found, and every doubt but for files that are no pictures."""
    if report.matches or report.suppressed or report.comparisons or report.held:
        return True
    return report.outcome is not Outcome.NO_MATCH and report.reason != "not-an-image"


@contextmanager
def _progress(*, as_json: bool) -> Iterator[Callable[[], None]]:
    """Count the files while somebody watches; on the console of the answers if that is a terminal too.

    Two consoles on one terminal would write over each other, and JSON lines over the count.
    """
    console = OUT if OUT.is_terminal else ERRORS
    columns = (
        SpinnerColumn(),
        TextColumn("scanning, {task.completed:,} files"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal or (as_json and console is OUT)
    ) as progress:
        task = progress.add_task("scan", total=None)
        yield lambda: progress.advance(task)


def _answer(source: str, report: MatchReport, *, as_json: bool) -> None:
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


def _left_out(report: MatchReport) -> Iterator[str]:
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


def _isolation(isolate: bool, workers: int, seconds: float, require: list[str] | None) -> Isolation | None:
    """Take the options of isolation together."""
    if require and not isolate:
        raise typer.BadParameter("--require is about worker processes, and there are none", param_hint="--require")
    if not isolate:
        return None
    return Isolation(workers=workers, seconds=seconds, require=tuple(require or ()), environment=loader_variables())


def _show_summary(summary: ScanSummary, walk: WalkCounts, protection: Protection | None) -> None:
    incomplete = "" if summary.complete else ", incomplete"
    so_far = "" if walk.ended else " found so far"
    OUT.print(f"{summary.n_files} of {walk.found} files{so_far}{incomplete}", highlight=False)
    table = Table()
    table.add_column("outcome")
    table.add_column("files", justify="right")
    for outcome in Outcome:
        table.add_row(outcome.value, str(summary.outcomes[outcome]))
    OUT.print(table)
    if summary.reasons:
        reasons = ", ".join(f"{reason} {count}" for reason, count in summary.reasons.most_common())
        OUT.print(Text(f"reasons: {reasons}"), soft_wrap=True)
    met = ", ".join(f"{words} {count:,}" for words, count in _walked(walk) if count)
    OUT.print(Text(f"folders: {met or 'none'}"), soft_wrap=True)
    OUT.print(Text(f"protection: {protection or 'none, pictures were decoded in this process'}"), soft_wrap=True)


def _walked(walk: WalkCounts) -> Iterator[tuple[str, int]]:
    """Say in words what a walk met besides files."""
    yield "listed", walk.folders
    yield "empty", walk.folders_empty
    yield "not to be read", walk.folders_unreadable
    yield "roots or names not reached", walk.unreachable
    yield "links passed over", walk.links
    yield "links followed", walk.links_followed
    yield "links out of the roots", walk.links_outside
    yield "met again", walk.repeated
    yield "pipes, sockets and devices passed over", walk.special


def _exit_for(summary: ScanSummary, *, folders: bool = False) -> Exit:
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
    text = Text(report.outcome.value, style=_STYLES[report.outcome])
    if report.reason is None:
        return text
    named = "" if report.format is None else f": {report.format}"
    return text.append(f" ({report.reason}{named})", style="dim")
