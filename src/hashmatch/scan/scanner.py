"""Match every item of a medium; what is read ahead is bounded, and names are handed to the caller alone.

Floor: scan. One thread reads, digests and writes the ledger, in the order of the medium; others have pictures looked
at, in worker processes, and search the lists.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from hashmatch.errors import ImageError
from hashmatch.hashes import Fingerprint, Looked
from hashmatch.jail import Isolation
from hashmatch.jail.cpus import usable_cpus
from hashmatch.matching import Matcher, MatchReport, Outcome
from hashmatch.scan.items import Flaw, Found, shown_name
from hashmatch.scan.ledger_rows import KEPT
from hashmatch.scan.walk import WalkCounts

if TYPE_CHECKING:
    from hashmatch.matching.answering import ReadSource
    from hashmatch.scan.ledger import Ledger
    from hashmatch.scan.ledger_rows import Basis
    from hashmatch.scan.sources import SourceCounts

__all__ = ["Known", "ScanItem", "ScanSummary", "scan"]

_LOOKAHEAD: Final = 4
_MOST_HELD: Final = 64 * 2**20
_PASSING: Final = frozenset({"closed", "no-worker"})

Known: TypeAlias = Literal["new", "content", "before"]
"""Where an answer comes from: looked at now; looked at as another item of equal content; an earlier run."""


@dataclass(frozen=True, slots=True)
class ScanItem:
    """One scanned file.

    Parameters
    ----------
    path : Path
        Path of the file, as the walk reached it; of a member of a container, that of the file on the medium.
    report : MatchReport
        Answer for the file.
    known : {"new", "content", "before"}
        Whether it was looked at now, or the ledger had its content, or itself from an earlier run.
    name : str
        Printable name, with those of the containers that it is in.
    """

    path: Path
    report: MatchReport
    known: Known = "new"
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", shown_name(self.path))


@dataclass(slots=True)
class ScanSummary:
    """Counts of a scan; grows with `count`.

    Parameters
    ----------
    outcomes : Counter of Outcome
        Number of files by outcome.
    reasons : Counter of str
        Number of unreadable and undecidable files by reason.
    known : Counter of str
        Number of files by where their answers come from, see `ScanItem.known`.
    walk : WalkCounts or None
        Counts of the walk that found the files, as given to `iter_files`.
    source : SourceCounts or None
        Counts of the source that found them, as given to `hashmatch.scan.sources.items`.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    walk: WalkCounts | None = None
    source: SourceCounts | None = None

    @property
    def n_files(self) -> int:
        """How many files were scanned."""
        return self.outcomes.total()

    @property
    def complete(self) -> bool:
        """Whether every file has an answer: none was gone before it was read, and the walk reached and yielded all."""
        walked = self.walk is None or (self.walk.complete and self.walk.found == self.n_files)
        walked = walked and (self.source is None or self.source.complete)
        return walked and not self.reasons["not-found"]

    def count(self, item: ScanItem) -> None:
        """Add one file."""
        self.outcomes[item.report.outcome] += 1
        self.known[item.known] += 1
        if item.report.reason is not None and item.report.outcome is not Outcome.MATCH:
            self.reasons[item.report.reason] += 1

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form: every file is in exactly one of the outcomes; the counts of the walk if there was one."""
        return {
            **({} if self.source is None else self.source.to_dict()),
            "files": self.n_files,
            "complete": self.complete,
            **({} if self.walk is None else self.walk.to_dict()),
            "outcomes": {outcome.value: self.outcomes[outcome] for outcome in Outcome},
            "reasons": dict(sorted(self.reasons.items())),
            "known": dict(sorted(self.known.items())),
        }


def scan(
    matcher: Matcher,
    paths: Iterable[Path | Found | None],
    *,
    ledger: Ledger | None = None,
    workers: int | None = None,
    isolate: bool = True,
) -> Generator[ScanItem, None, None]:
    """Match files, or what `hashmatch.scan.sources.items` finds in them, one item for each, in order.

    Parameters
    ----------
    matcher : Matcher
        The lists and the policy.
    paths : iterable of Path, Item or Flaw
        Files, such as those of `iter_files` or of another tool's walk, or the items of a source; a few are read ahead
        of the answers. None among them says that the next may be long in coming: everything that is under way is
        answered first. A flaw is answered as unreadable, for its reason.
    ledger : Ledger, optional
        Where what is done is written down. An item that is in it already, with the size and the time of change that
        the file has, is answered from it unread. One whose content was compared by the same policy with the same
        versions of the lists is read and digested, and not decoded.
    workers : int, optional
        Number of worker processes, 1 or more; of threads without isolation. By default as many as this process may use
        processors. A matcher that was opened with an `Isolation` keeps it.
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
    LedgerError
        If the ledger was begun by another policy, or cannot be written. What was committed stays: the same scan goes
        on from there.

    Notes
    -----
    The ledger is committed every few hundred items, each second, and when the generator is closed; an item may be
    yielded before it is. A process that is killed does the items of the last commit's successors again.
    """
    threads = usable_cpus() if workers is None else workers
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError("workers must be an integer of 1 or more")
    if isolate and matcher.protection is None:
        matcher.isolate(Isolation(workers=threads))
    if matcher.protection is not None:
        threads += 1
    with closing(_Scan(matcher, ledger, threads)) as run:
        yield from run.items(paths)


@dataclass(slots=True)
class _Task:
    """An item whose answer is awaited, or is there."""

    path: Path
    name: str
    key: bytes
    stamp: bytes
    known: Known = "new"
    report: MatchReport | None = None
    work: Future[tuple[Fingerprint, MatchReport]] | None = None
    sha256: bytes | None = None
    held: int = 0

    @classmethod
    def of(cls, found: Path | Found, *, stamped: bool) -> _Task:
        """Begin with an item; the stamp is that of the file on the medium, also for what is inside it."""
        key = os.fsencode(found) if isinstance(found, Path) else found.key
        path = found if isinstance(found, Path) else Path(os.fsdecode(key.partition(b"\0")[0]))
        name = shown_name(path) if isinstance(found, Path) else found.name
        if isinstance(found, Flaw):  # beside the item of a container that was read in part
            key += b"\0flaw:" + found.reason.encode()
        return cls(path, name, key, _stamp_of(path) if stamped else b"")


class _Scan:
    """One run: what is under way, in the order of the items."""

    def __init__(self, matcher: Matcher, ledger: Ledger | None, threads: int) -> None:
        self._matcher = matcher
        self._ledger = ledger
        self._also = () if ledger is None else KEPT
        self._marks = () if ledger is None else _marks(ledger.begin(matcher))
        self._most = _LOOKAHEAD * threads
        self._waiting: deque[_Task] = deque()
        self._under_way: dict[bytes, Future[tuple[Fingerprint, MatchReport]]] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hashmatch")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._ledger is not None:
            self._ledger.commit()

    def items(self, paths: Iterable[Path | Found | None]) -> Generator[ScanItem, None, None]:
        for path in paths:
            if path is not None:
                self._waiting.append(self._begun(path))
            while self._waiting and (path is None or self._is_full() or self._is_answered()):
                yield self._ended()
            if path is None and self._ledger is not None:
                self._ledger.commit()
        while self._waiting:
            yield self._ended()

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._most or sum(task.held for task in self._waiting) > _MOST_HELD

    def _is_answered(self) -> bool:
        """Whether the next item's answer is there without any work, as in a run that goes on."""
        return self._waiting[0].report is not None

    def _begun(self, found: Path | Found) -> _Task:
        task = _Task.of(found, stamped=self._ledger is not None)
        if self._ledger is not None:
            task.report = self._ledger.done(task.key, task.stamp)
            if task.report is not None:
                task.known = "before"
                return task
        if isinstance(found, Flaw):
            task.report = self._unreadable(found.reason)
            return task
        try:
            read = self._matcher.read(found if isinstance(found, Path) else found.open(), also=self._also)
        except ImageError as error:
            task.report = self._unreadable(error.reason)
            return task
        if self._ledger is not None and "sha256" in read.digests:
            task.sha256 = read.digests["sha256"]
            task.work, task.report = self._under_way.get(task.sha256), self._ledger.known(task.sha256)
            if task.work is not None or task.report is not None:
                task.known = "content"
                return task
        task.held = len(read.source) if isinstance(read.source, bytes) else 0
        task.work = self._pool.submit(self._looked_at, read)
        if task.sha256 is not None:
            self._under_way[task.sha256] = task.work
        return task

    def _unreadable(self, reason: str) -> MatchReport:
        return self._matcher.match_fingerprint(Fingerprint((), Looked(failure=reason)))

    def _looked_at(self, read: ReadSource) -> tuple[Fingerprint, MatchReport]:
        found = self._matcher.fingerprint(read)
        return found, self._matcher.match_fingerprint(found)

    def _ended(self) -> ScanItem:
        """Wait for the answer of the next item, and write it down."""
        task = self._waiting.popleft()
        found, report = (None, task.report) if task.work is None else task.work.result()
        if report is None:
            raise RuntimeError("an item has neither an answer nor work")
        if self._ledger is None or task.known == "before" or report.reason in _PASSING:
            return ScanItem(task.path, report, task.known, task.name)
        if found is not None and task.sha256 is not None:
            self._under_way.pop(task.sha256, None)
            report = self._by_present_lists(self._ledger, found, report)
        is_new = task.known == "new"
        self._ledger.record(task.key, task.stamp, task.sha256, found if is_new else None, report)
        return ScanItem(task.path, report, task.known, task.name)

    def _by_present_lists(self, ledger: Ledger, found: Fingerprint, report: MatchReport) -> MatchReport:
        """Answer again where a list was taken up at a later version meanwhile: a ledger says by what it compared."""
        while _marks_of(report) != self._marks:
            self._marks = _marks(ledger.begin(self._matcher))
            if _marks_of(report) != self._marks:
                report = self._matcher.match_fingerprint(found)
        return report


def _stamp_of(path: Path) -> bytes:
    """Size and time of the last change, which tell a file from a later one at its place; empty where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return b""
    return b"%d %d" % (status.st_size, status.st_mtime_ns)


def _marks(basis: Basis) -> tuple[tuple[str, int, str], ...]:
    return tuple((item.mark.list_id, item.mark.version, item.mark.digest) for item in basis.lists)


def _marks_of(report: MatchReport) -> tuple[tuple[str, int, str], ...]:
    return tuple(sorted((item.list_id, item.version, item.digest) for item in report.lists))
