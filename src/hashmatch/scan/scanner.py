"""Walk folders and match every file; paths are handed to the caller and kept nowhere."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hashmatch.jail import Isolation
from hashmatch.matching import Matcher, MatchReport, Outcome

__all__ = ["ScanItem", "ScanSummary", "iter_files", "scan"]


@dataclass(frozen=True, slots=True)
class ScanItem:
    """One scanned file.

    Parameters
    ----------
    path : Path
        Where it is, as it was reached.
    report : MatchReport
        The answer for it.
    """

    path: Path
    report: MatchReport


@dataclass(slots=True)
class ScanSummary:
    """Counts of a scan; grows with `count`.

    Parameters
    ----------
    outcomes : Counter of Outcome
        Files by outcome.
    reasons : Counter of str
        Unreadable and undecidable files by reason.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def n_files(self) -> int:
        """How many files were scanned."""
        return self.outcomes.total()

    def count(self, item: ScanItem) -> None:
        """Add one file."""
        self.outcomes[item.report.outcome] += 1
        if item.report.reason is not None:
            self.reasons[item.report.reason] += 1

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form: every file is in exactly one of the outcomes."""
        return {
            "files": self.n_files,
            "outcomes": {outcome.value: self.outcomes[outcome] for outcome in Outcome},
            "reasons": dict(sorted(self.reasons.items())),
        }


def iter_files(
    roots: Iterable[str | os.PathLike[str]], *, on_error: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """List every regular file under the roots, in a fixed order.

    Parameters
    ----------
    roots : iterable of path
        Files and folders. A root that is a symbolic link is followed; links inside folders are not, so that no file
        comes twice and no loop is entered.
    on_error : callable, optional
        Told of every folder that cannot be read and of every root that is neither a file nor a folder; the walk goes
        on. Without it the error is raised.

    Yields
    ------
    Path
        Pipes, sockets and devices inside folders are passed over: opening one could wait for ever.
    """

    def complain(error: OSError) -> None:
        if on_error is None:
            raise error
        on_error(error)

    for root in roots:
        try:
            mode = os.stat(root).st_mode
        except OSError as error:
            complain(error)
            continue
        if stat.S_ISDIR(mode):
            yield from _files_below(os.fspath(root), complain)
        elif stat.S_ISREG(mode):
            yield Path(root)
        else:
            complain(OSError(errno.EINVAL, "neither a file nor a folder", os.fspath(root)))


def _files_below(root: str, complain: Callable[[OSError], None]) -> Iterator[Path]:
    """Walk without recursion: `os.walk` fails in folders nested a thousand deep, which hostile media have."""
    folders = [root]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            complain(error)
            continue
        below = []
        for entry in entries:
            try:
                is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
            except OSError as error:
                complain(error)
                continue
            if is_folder:
                below.append(entry.path)
            elif is_file:
                yield Path(entry.path)
        folders += reversed(below)


def scan(
    matcher: Matcher, paths: Iterable[Path], *, workers: int = 1, isolate: bool = True
) -> Generator[ScanItem, None, None]:
    """Match files one after the other.

    Parameters
    ----------
    matcher : Matcher
        The lists and the policy.
    paths : iterable of Path
        Files, such as those of `iter_files`.
    workers : int
        Worker processes, 1 or more; threads without isolation. A matcher that was opened with an `Isolation` keeps it.
    isolate : bool
        Whether a matcher without worker processes is given some, see `Matcher.isolate`: files from anywhere are
        decoded where they can do no harm. They stay until the matcher is closed.

    Yields
    ------
    ScanItem
        One for each path, in order; a file that cannot be read is an item with the outcome unreadable.

    Raises
    ------
    IsolationError
        If no worker process can be started.
    """
    if isolate and matcher.protection is None:
        matcher.isolate(Isolation(workers=workers))
    waiting: deque[Path] = deque()

    def remembered() -> Iterator[Path]:
        for path in paths:
            waiting.append(path)
            yield path

    for report in matcher.match_many(remembered(), workers=workers):
        yield ScanItem(waiting.popleft(), report)
