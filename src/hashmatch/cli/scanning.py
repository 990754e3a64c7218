"""``hashmatch scan``: every file under some folders, or every path that another program hands over."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from hashmatch.cli.audit_options import Actor, AuditHashes, AuditKey, AuditLogFolder, recording
from hashmatch.cli.console import ERRORS, OUT, Exit, emit, fail, safe, warn
from hashmatch.cli.interrupts import Interrupts
from hashmatch.cli.path_lines import PathLines
from hashmatch.cli.policy_options import Formats, MaxBytes, MaxPixels, policy_from
from hashmatch.cli.scan_progress import progress
from hashmatch.cli.search import (
    Frames,
    IndexFolder,
    Json,
    KeyFile,
    Lists,
    Policy,
    Require,
    Seconds,
    Threshold,
    exit_for,
    isolation_from,
    left_out,
    open_matcher,
    show_answer,
    warn_of_idle,
)
from hashmatch.cli.sources import STDIN
from hashmatch.jail import Protection
from hashmatch.jail.cpus import usable_cpus
from hashmatch.matching import MatchReport, Outcome
from hashmatch.scan import Found, Ledger, ScanSummary, WalkCounts, iter_files, scan
from hashmatch.scan.sources import SourceCounts, path_list
from hashmatch.scan.sources import items as source_items

__all__ = ["scan_folders"]


def scan_folders(
    lists: Lists,
    roots: Annotated[list[Path] | None, typer.Argument(help="Folders or files.", show_default=False)] = None,
    policy: Policy = "standard",
    threshold: Threshold = None,
    index_folder: IndexFolder = None,
    key_file: KeyFile = None,
    formats: Formats = None,
    frames: Frames = None,
    max_bytes: MaxBytes = None,
    max_pixels: MaxPixels = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="File in which what is done is kept: a scan that was stopped goes on there."),
    ] = None,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Keep file names in a new ledger, so that reports can name files.")
    ] = False,
    stdin_json: Annotated[
        bool, typer.Option("--stdin-json", help="Read paths from standard input, one JSON value a line; answer each.")
    ] = False,
    paths_from: Annotated[
        Path | None,
        typer.Option(
            "--paths-from", help='Also scan the paths in this file, one a line or NUL after each; "-" reads them.'
        ),
    ] = None,
    containers: Annotated[
        bool,
        typer.Option(
            "--containers", help="Look into archives, mail, Office and PDF files; files come in the disk's order."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            max=256,
            help="Worker processes; threads without isolation. By default as many as usable processors.",
        ),
    ] = None,
    isolate: Annotated[
        bool, typer.Option("--isolate/--no-isolate", help="Decode in restricted worker processes.")
    ] = True,
    seconds: Seconds = 30.0,
    require: Require = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links inside folders; each real file is matched once.")
    ] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show every file, not only matches and doubts.")] = False,
    audit: AuditLogFolder = None,
    audit_key: AuditKey = None,
    audit_hashes: AuditHashes = False,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Match every file under some folders.

    Shows matches, unreadable and undecidable pictures, then counts that add up to the number of files, and what of the
    folders was passed over or not reached. Ctrl-C stops between two files and still prints the counts. With a ledger
    the same command goes on where it was stopped.

    With --stdin-json each line of standard input is a path as a JSON string, or an object with "path" and whatever else
    is to stand in the answer. Each line is answered by one line, in order; the paths are not walked.

    Exit code: 0 a match was found, 1 none, 2 an error, an unreadable picture or a folder that could not be read, 3
    nothing found but a picture was undecidable, there was no file at all, or answers of the ledger are of other
    versions of the lists, 130 interrupted.

    Example: hashmatch scan uploads --list mine.hashmatch --ledger uploads.ledger
    """
    roots = roots or []
    _check(roots, ledger, paths_from, keep_names=keep_names, stdin_json=stdin_json, containers=containers)
    source = SourceCounts() if containers else None
    walk = None if stdin_json else WalkCounts() if source is None else source.walk
    summary = ScanSummary(walk=walk if source is None else None, source=source)
    interrupted = False
    last: MatchReport | None = None
    workers = usable_cpus() if workers is None else workers
    isolation = isolation_from(isolate, workers, seconds, require)
    rules = policy_from(
        policy,
        threshold or (),
        key_file,
        formats=formats,
        frames=frames,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    with ExitStack() as stack:
        book = None
        if ledger is not None:  # before the lists are read: what cannot be written is told at once
            book = stack.enter_context(Ledger.open(ledger, keep_names=True if keep_names else None))
        recorder = stack.enter_context(recording(audit, audit_key, audit_hashes, actor))
        matcher = stack.enter_context(open_matcher(lists, rules, index_folder, isolation, recorder))
        warn_of_idle(matcher)
        idle = bool(matcher.idle_lists)
        lines = stack.enter_context(PathLines()) if stdin_json else None
        every: Iterator[str | Path] = chain(roots, _listed(paths_from, stack))
        paths: Iterator[Path | Found | None]
        if lines is not None:
            paths = iter(lines)
        elif source is not None:
            paths = source_items(every, follow_links=follow_links, counts=source, isolation=isolation)
        else:
            paths = iter_files(every, on_error=_tell, follow_links=follow_links, counts=walk)
        items = scan(matcher, paths, ledger=book, workers=workers, isolate=isolate)
        as_lines = as_json or stdin_json
        known = [] if containers or paths_from is not None else roots  # else nobody can say how much remains
        shown = progress(summary, known, as_json=as_lines, follow_links=follow_links)
        try:
            with Interrupts() as interrupts, shown as step:
                for item in items:
                    with interrupts.held():
                        summary.count(item)
                        last = item.report
                        if lines is not None:
                            lines.answer(item)
                        elif show_all or _worth_showing(item.report):
                            shown_as = str(item.path) if source is None else item.name
                            show_answer(shown_as, item.report, as_json=as_json)
                        step()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            items.close()
        protection, counts = matcher.protection, matcher.counts()["workers"]
        behind = _tell_of_behind(book)
    if as_lines:
        held = None if protection is None else protection.to_dict()
        emit({"summary": summary.to_dict() | {"protection": held, "workers": counts}})
    elif walk is not None:
        _show_summary(summary, walk, protection)
        if source is not None:
            _show_source(source)
        for line in () if last is None else left_out(last):
            OUT.print(Text(safe(line)), soft_wrap=True)
    if interrupted:
        goes_on = "" if ledger is None else "; the same command goes on from there"
        ERRORS.print(f"interrupted: the counts cover the files up to here{goes_on}")
        raise typer.Exit(Exit.INTERRUPTED)
    code = exit_for(summary, folders=True)
    if code is Exit.NONE and (idle or (behind and summary.known["before"])):
        code = Exit.UNDECIDED
    whole = (
        (walk is None or walk.complete)
        and (source is None or source.complete)
        and (lines is None or not lines.n_refused)
    )
    raise typer.Exit(code if code is Exit.FOUND or whole else Exit.ERROR)


def _listed(path: Path | None, stack: ExitStack) -> Iterator[str]:
    """Give the paths of a list of paths."""
    if path is None:
        return iter(())
    return path_list(sys.stdin.buffer if str(path) == STDIN else stack.enter_context(path.open("rb")))


def _check(
    roots: list[Path],
    ledger: Path | None,
    paths_from: Path | None,
    *,
    keep_names: bool,
    stdin_json: bool,
    containers: bool,
) -> None:
    """Refuse options that do not go together."""
    if stdin_json and (roots or paths_from is not None or containers):
        raise typer.BadParameter(
            "the paths come from standard input, and each is one file: give no folders, --paths-from or --containers",
            param_hint="--stdin-json",
        )
    if not stdin_json and not roots and paths_from is None:
        raise typer.BadParameter("name folders or files to be scanned", param_hint="ROOTS")
    if keep_names and ledger is None:
        raise typer.BadParameter("names are kept in a ledger: give --ledger too", param_hint="--keep-names")
    if Path(STDIN) in roots and not Path(STDIN).exists():
        raise fail(f"a scan takes folders and files; for a picture on standard input: hashmatch match {STDIN}")
    if ledger is not None and any(_is_within(ledger, root) for root in roots):
        raise fail(f"{ledger}: the ledger would be scanned too: put it outside of what is scanned")


def _is_within(path: Path, root: Path) -> bool:
    real = Path(os.path.realpath(path))
    return Path(os.path.realpath(root)) in (real, *real.parents)


def _tell_of_behind(book: Ledger | None) -> int:
    """Say that some contents were compared with other versions of the lists, and how many."""
    behind = 0 if book is None else book.counts().behind
    if behind:
        warn(f"{behind:,} contents of the ledger were compared with other versions of lists: run hashmatch rescan")
    return behind


def _tell(problem: OSError) -> None:
    fail(f"{problem.filename}: {problem.strerror}")


def _worth_showing(report: MatchReport) -> bool:
    """Tell whether a line of its own is due: whatever was found, and every doubt but for files that are no pictures."""
    if report.matches or report.suppressed or report.comparisons or report.held:
        return True
    return report.outcome is not Outcome.NO_MATCH and report.reason != "not-an-image"


def _show_summary(summary: ScanSummary, walk: WalkCounts, protection: Protection | None) -> None:
    incomplete = "" if summary.complete else ", incomplete"
    so_far = "" if walk.ended else " found so far"
    of_files = f" of {walk.found} files{so_far}" if summary.source is None else f" items, {walk.found} files{so_far}"
    OUT.print(f"{summary.n_files}{of_files}{incomplete}", highlight=False)
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


def _show_source(source: SourceCounts) -> None:
    """Say what the source found by its content, and what of it could not be looked at."""
    for what, counts in (("contents", source.contents), ("containers", source.containers), ("not read", source.flaws)):
        said = ", ".join(f"{name} {n:,}" for name, n in counts.most_common())
        OUT.print(Text(f"{what}: {said or 'none'}"), soft_wrap=True)


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
