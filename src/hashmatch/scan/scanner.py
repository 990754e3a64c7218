"""Match every file of a walk; paths are handed to the caller and kept nowhere."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hashmatch.jail import Isolation
from hashmatch.matching import Matcher, MatchReport, Outcome
from hashmatch.scan.walk import WalkCounts

__all__ = ["ScanItem", "ScanSummary", "scan"]


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
    walk : WalkCounts or None
        What the walk met that found the files: the counts that `iter_files` was given.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    walk: WalkCounts | None = None

    @property
    def n_files(self) -> int:
        """How many files were scanned."""
        return self.outcomes.total()

    @property
    def complete(self) -> bool:
        """Whether every file was answered for: none was gone before it was read, and the walk reached and gave all."""
        walked = self.walk is None or (self.walk.complete and self.walk.found == self.n_files)
        return walked and not self.reasons["not-found"]

    def count(self, item: ScanItem) -> None:
        """Add one file."""
        self.outcomes[item.report.outcome] += 1
        if item.report.reason is not None and item.report.outcome is not Outcome.MATCH:
            self.reasons[item.report.reason] += 1

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form: every file is in exactly one of the outcomes; the counts of the walk if there was one."""
        return {
            "files": self.n_files,
            "complete": self.complete,
            **({} if self.walk is None else self.walk.to_dict()),
            "outcomes": {outcome.value: self.outcomes[outcome] for outcome in Outcome},
            "reasons": dict(sorted(self.reasons.items())),
        }


def scan(
    matcher: Matcher, paths: Iterable[Path], *, workers: int = 1, isolate: bool = True
) -> Generator[ScanItem, None, None]:
    """Match files one after the other.

    Parameters
    ----------
    matcher : Matcher
        The lists and the policy.
    paths : iterable of Path
        Files, such as those of `iter_files`; read a few ahead of the answers.
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
