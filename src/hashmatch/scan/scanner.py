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
        Path of the file, as the walk reached it.
    report : MatchReport
        Answer for the file.
    """

    path: Path
    report: MatchReport


@dataclass(slots=True)
class ScanSummary:
    """Counts of a scan; grows with `count`.

    Parameters
    ----------
    outcomes : Counter of Outcome
        Number of files by outcome.
    reasons : Counter of str
        Number of unreadable and undecidable files by reason.
    walk : WalkCounts or None
        Counts of the walk that found the files, as given to `iter_files`.
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
        """Whether every file has an answer: none was gone before it was read, and the walk reached and yielded all."""
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
        Files, such as those of `iter_files`; a few are read ahead of the answers.
    workers : int
        Number of worker processes, 1 or more; of threads without isolation. A matcher that was opened with an
        `Isolation` keeps it.
    isolate : bool
        Whether a matcher without worker processes gets them, see `Matcher.isolate`, so that untrusted files are decoded
        in restricted processes. The processes stay until the matcher is closed.

    Yields
    ------
    ScanItem
        One item for each path, in order; a file that cannot be read is an item with the outcome unreadable.

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
