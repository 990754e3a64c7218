"""`Matcher`: pictures, fingerprints or hashes against reference lists.

Image code is loaded by `Matcher.match` alone, when the first picture comes. Over 400 lines because one class is the
whole public face of matching, and most of it is documentation.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from hashmatch.algorithms import DIGESTS
from hashmatch.budget.spending import check_budget
from hashmatch.deadline import NO_DEADLINE, Deadline
from hashmatch.errors import PolicyError, ReferenceListError
from hashmatch.features.query import Query, kept_query, open_source, read_pixels
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.jail import Isolation, Protection
from hashmatch.lists import ReferenceList
from hashmatch.matching.answering import Answering, ReadSource, ReportRecorder, names_of, searchable
from hashmatch.matching.flood import FloodWatch, Quarantined
from hashmatch.matching.report import MatchReport, OutcomeCounts
from hashmatch.policy import MatchPolicy
from hashmatch.profiles import STANDARD
from hashmatch.store.state import MovedOn
from hashmatch.store.upkeep import DEFAULT_RECHECK_RATE, check_interval, check_rate

if TYPE_CHECKING:
    from types import TracebackType

    from hashmatch.features.isolated import IsolatedReader
    from hashmatch.picture import ImageSource

__all__ = ["Matcher", "ReadSource", "ReportRecorder"]

_LOOKAHEAD: Final = 4
_MATCHERS: Final[weakref.WeakSet[Matcher]] = weakref.WeakSet()


def _renew_all() -> None:
    for matcher in list(_MATCHERS):
        matcher._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


class Matcher(Answering):
    """Answer for pictures, from several lists, by one policy.

    Make a matcher with `open`, keep it, and share it between threads: a search changes nothing in it. The matcher owns
    its lists and closes them. A process may open a matcher before it forks: a child shares the indexes at no cost,
    opens the lists anew, reloads, and, if the parent watched, watches from its first use on; see
    ``docs/how-to/services.md``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from hashmatch import HashValue, Matcher, ReferenceList
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "list.hashmatch"
    >>> value = HashValue.parse("pdq:" + "0f" * 32)
    >>> with ReferenceList.create(path, name="demo") as ref:
    ...     _ = ref.add("entry-1", hashes=[value])
    >>> with Matcher.open(path) as matcher:
    ...     report = matcher.match_hash(value)
    >>> report.outcome, report.matches[0].entry_id, report.matches[0].distance
    (<Outcome.MATCH: 'match'>, 'entry-1', 0)
    >>> folder.cleanup()
    """

    def __init__(
        self,
        lists: Iterable[ReferenceList],
        policy: MatchPolicy,
        *,
        index_folder: Path | None = None,
        isolation: Isolation | None = None,
        reload_every: float | None = None,
        recheck_rate: int | None = None,
        map_files: bool = True,
        recorder: ReportRecorder | None = None,
    ) -> None:
        if not isinstance(policy, MatchPolicy):
            raise TypeError(f"policy must be a MatchPolicy such as profiles.STANDARD, not {type(policy).__name__}")
        if reload_every is not None:
            check_interval(reload_every)
        if recheck_rate is not None:
            check_rate(recheck_rate)
            if reload_every is None:
                raise ValueError("recheck_rate needs reload_every: a watch compares the files")
        if not map_files and index_folder is None:
            raise ValueError("map_files=False needs an index_folder: without one nothing is mapped")
        super().__init__(lists, policy, index_folder, maps=map_files)
        if policy.max_false_reports is not None:
            sizes = Counter[str]()
            for item in self._snapshots:
                sizes.update(item.sizes)
            check_budget(policy, sizes, policy.max_false_reports)
        self._counts = OutcomeCounts()
        self._flood = None if policy.flood is None else FloodWatch(policy.flood)
        self._recorder = recorder
        self._reader: IsolatedReader | None = None
        if isolation is not None:
            self.isolate(isolation)
        if reload_every is not None:
            self._keeper.watch(reload_every, DEFAULT_RECHECK_RATE if recheck_rate is None else recheck_rate)
        _MATCHERS.add(self)

    def _renew(self) -> None:
        """Take fresh locks, in a forked child: those that another thread held at the fork stay locked for ever."""
        self._reloading = threading.Lock()
        self._counts.renew()
        if self._flood is not None:
            self._flood.renew()
        self._keeper.renew()

    @classmethod
    def open(
        cls,
        *paths: str | os.PathLike[str],
        policy: MatchPolicy = STANDARD,
        index_folder: str | os.PathLike[str] | None = None,
        isolation: Isolation | None = None,
        reload_every: float | None = None,
        recheck_rate: int | None = None,
        map_files: bool = True,
        recorder: ReportRecorder | None = None,
    ) -> Matcher:
        """Open lists read-only and index them.

        Parameters
        ----------
        *paths : path
            One or more files made by `ReferenceList`.
        policy : MatchPolicy
            What counts as a match; see `hashmatch.profiles`.
        index_folder : path, optional
            Existing folder for index files. With it, processes that search the same list share one memory-mapped
            index, and opening maps the file, whatever the size of the list. A file that is behind is completed by the
            changes since; a file that is missing, damaged or far behind is made anew. Index files hold the list's
            hashes: keep the folder as safe as the list. Without a folder indexes live in memory only.
        isolation : Isolation, optional
            Decode and hash files in restricted worker processes, see ``docs/explanation/isolation.md``. PIL images and
            arrays, which the caller opened, are still hashed in this process.
        reload_every : float, optional
            Seconds between two looks whether a list has changed, as for `watch`; without it call `reload`.
        recheck_rate : int, optional
            As for `watch`; needs ``reload_every``.
        map_files : bool
            False copies index files into the memory of this process instead of mapping them. Later changes of a file
            then change no answer and cannot end the process. Each process has a copy, except children that are
            forked later. Opening reads and checks the whole file, about a second for 1.5 GB.
        recorder : ReportRecorder, optional
            Gets each report before the caller does, such as `hashmatch.audit.Recorder`, which writes it to a log. What
            it cannot record is not answered: its error is raised.

        Raises
        ------
        ReferenceListError
            If a file is missing, is not a list of a version this software reads, or is corrupt; if no path or one list
            twice is given; if the index folder does not exist or cannot be written.
        PolicyError
            If the policy sets ``max_false_reports`` and is expected to make more against these lists; later versions of
            the lists are not checked.
        IsolationError
            If no worker process can be started, or a measure that the isolation requires does not hold.
        ValueError
            If ``reload_every`` is less than 0.001, if ``recheck_rate`` is negative or given without it, or if
            ``map_files`` is false without an index folder.

        Notes
        -----
        Cost: without index files every hash is read once and one index is built for each list and algorithm, a few
        seconds for 1,000,000 hashes of 256 bits. With index files that fit, about 20 ms, whatever the size of the list;
        the list's pages are then not checked before they are read (`ReferenceList.open` with ``check="none"``).
        """
        if not paths:
            raise ReferenceListError("give at least one list")
        with ExitStack() as undo:
            lists: list[ReferenceList] = []
            for path in paths:
                # absolute, or a program that changes its folder could not reload
                # with index files a list is not read through, so that opening does not grow with it
                check: Literal["none", "pages"] = "pages" if index_folder is None else "none"
                lists.append(undo.enter_context(ReferenceList.open(Path(path).absolute(), check=check)))
                if len({reference.list_id for reference in lists}) < len(lists):
                    raise ReferenceListError(
                        f"the list {lists[-1].name!r} is given twice, perhaps in two copies: give one of them here"
                    )
            folder = None if index_folder is None else Path(index_folder).absolute()
            matcher = cls(
                lists,
                policy,
                index_folder=folder,
                isolation=isolation,
                reload_every=reload_every,
                recheck_rate=recheck_rate,
                map_files=map_files,
                recorder=recorder,
            )
            undo.pop_all()
        return matcher

    @property
    def policy(self) -> MatchPolicy:
        """The policy every answer follows."""
        return self._policy

    def isolate(self, isolation: Isolation, *, also: Iterable[MatchPolicy] = ()) -> None:
        """Decode and hash files in worker processes from this call on, until the matcher is closed.

        Parameters
        ----------
        isolation : Isolation
            As for `open`. A matcher that has worker processes keeps those it has.
        also : iterable of MatchPolicy
            Further policies by which these processes can look at pictures, for matchers that `isolate_with` this one.

        Raises
        ------
        IsolationError
            If no worker process can be started, or a measure that is required does not hold.
        ReferenceListError
            If the matcher is closed.
        """
        from hashmatch.features.isolated import IsolatedReader

        with self._reloading:
            if self._closed:
                raise ReferenceListError("the matcher is closed; open a new one")
            if self._reader is None:
                self._reader = IsolatedReader(self._policy, isolation, also)

    def isolate_with(self, other: Matcher) -> None:
        """Decode and hash files in the worker processes of another matcher, which ends them when it is closed.

        What this matcher asks of them comes after what the other asks, and takes at most half of them, as pictures
        with dear headers do: for a second, more thorough look at what was answered already.

        Raises
        ------
        PolicyError
            If the other matcher has no worker processes, or they were started without this matcher's policy
            (``also`` of `isolate`).
        ReferenceListError
            If the matcher is closed.
        """
        with self._reloading:
            if self._closed:
                raise ReferenceListError("the matcher is closed; open a new one")
            if other._reader is None:
                raise PolicyError("the other matcher has no worker processes: isolate it first")
            self._reader = other._reader.by(self._policy)

    def warm(self) -> None:
        """Load the image code and start all worker processes, so that the first picture does not wait for them.

        Raises
        ------
        IsolationError
            If a worker process cannot be started.
        ReferenceListError
            If the matcher is closed.

        Notes
        -----
        Cost: about a second for each worker beyond the free processors.
        """
        self._match(np.zeros((64, 64), np.uint8), NO_DEADLINE, NO_DEADLINE.check)
        if self._reader is not None:
            self._reader.warm()

    @property
    def protection(self) -> Protection | None:
        """Measures that restrict the worker processes; None if this process decodes pictures itself."""
        return None if self._reader is None else self._reader.protection

    @property
    def workers_fail(self) -> bool:
        """Whether no worker process could be started at the last attempt; `warm` makes another."""
        return self._reader is not None and self._reader.is_failing

    def expected_wait(self) -> float:
        """Predict for how many seconds a picture that comes now waits for a worker process; 0 without isolation.

        From the pictures that wait, and how long recent ones took. Pictures with dear headers, which have a lane of
        their own, may wait longer; `hashmatch.jail.Isolation` bounds both by ``max_wait``.
        """
        return 0.0 if self._reader is None else self._reader.expected_wait()

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the pictures so far.

        Returns
        -------
        dict
            ``outcomes`` and ``reasons`` count all sources of `match` and `match_many`; ``workers`` counts the
            worker processes and their tasks, and is empty without isolation; ``quarantined`` counts the entries in
            quarantine, the matches with them since (``flagged``) and those held back (``held``), and is empty if the
            policy has no flood rule. ``load`` is of this moment: workers that are ``idle`` and ``working``, pictures
            that are ``waiting`` for one, and those of the lane of dear pictures (``waiting-dear``); empty without
            isolation. JSON-ready.
        """
        workers = {} if self._reader is None else self._reader.counts()
        quarantined = {} if self._flood is None else self._flood.to_dict()
        load = {} if self._reader is None else self._reader.load()
        return self._counts.to_dict() | {"workers": workers, "quarantined": quarantined, "load": load}

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """Entries that matched far more pictures than their share, by the policy's flood rule, until `release`."""
        return () if self._flood is None else self._flood.entries

    def release(self, list_id: str, entry_id: str) -> bool:
        """Take an entry out of quarantine; its pictures are counted from 0 again.

        Parameters
        ----------
        list_id, entry_id : str
            As of a `hashmatch.matching.Match`, or one of `quarantined`.

        Returns
        -------
        bool
            False if it was not in quarantine.
        """
        return self._flood is not None and self._flood.release(list_id, entry_id)

    def __repr__(self) -> str:
        entries = sum(item.n_entries for item in self._snapshots)
        behind = ", could not be kept up to date" if self.upkeep.error is not None else ""
        return f"<Matcher {self._policy.name!r}, lists: {len(self._snapshots)}, entries: {entries}{behind}>"

    def __enter__(self) -> Matcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the lists and end a watch; answers after that raise `ReferenceListError`.

        Index files are unmapped and closed at once, or when the last search that runs in them has ended.
        """
        self._keeper.close()
        with self._reloading:
            self._closed = True
            if self._reader is not None:
                self._reader.close()
            for item in self._snapshots:
                item.reference.close()
            self._snapshots = tuple(item.emptied() for item in self._snapshots)

    def match(
        self,
        source: ImageSource,
        *,
        return_fingerprint: bool = False,
        timeout: float | None = None,
        lists: Iterable[str] | None = None,
    ) -> MatchReport:
        """Look a picture up.

        Parameters
        ----------
        source : bytes, path, binary file, PIL image or array
            The picture; the matcher keeps nothing of it. If lists hold digests, a file of any size is read to its end
            once: bound a stream that may never end.
        return_fingerprint : bool
            Whether the report carries the fingerprint that was searched with, as ``report.fingerprint``, for which
            `match_fingerprint` gives the same answer. It holds the algorithms of these lists only;
            ``hashmatch.fingerprint(source, policy=...)`` makes one for any list.
        timeout : float, optional
            Most seconds to the answer, above 0: waiting for a worker process, decoding and searching together. Without
            isolation a decoder is not interrupted, so that the answer can be late by one frame; a ``read`` of the
            source is not interrupted either.
        lists : iterable of str, optional
            Names or identifiers of the lists that are searched; all by default. The report is of these alone, and with
            none of them it is undecidable: ``nothing-to-compare``.

        Returns
        -------
        MatchReport
            A source that cannot be decoded is the outcome unreadable, not an error. A file over ``max_bytes`` is
            matched by its digests alone, in bounded memory.

        Raises
        ------
        BusyError
            If there is no answer in the given time (a worker that was at the picture is replaced), or if as many
            pictures wait for a worker as `Isolation` allows. The picture then has no answer.
        ValueError
            If the matcher has no list of a name that is given.

        Notes
        -----
        Cost: the decode, one PDQ of all views, and one index search for each algorithm that a list holds.
        """
        chosen = None if lists is None else names_of(lists)
        report, query = self._counted(source, Deadline(timeout, wait=False), lists=chosen)
        return replace(report, fingerprint=kept_query(query)) if return_fingerprint else report

    def read(self, source: ImageSource, *, also: Collection[str] = ()) -> ReadSource:
        """Read a source to its end and digest it, as the first step of `fingerprint`; nothing is decoded.

        Parameters
        ----------
        source : bytes, path, binary file, PIL image or array
            As for `match`.
        also : collection of str
            Algorithms whose hashes the fingerprint is to hold besides those of these lists: digests, and those that the
            policy has a rule for.
        """
        wanted = frozenset(also) | (frozenset[str]() if self._recorder is None else self._recorder.digests)
        held = wanted | searchable(self._open_snapshots())
        decode = self._policy.decode if self._reader is None else self._reader.decode
        opened, query = open_source(source, held, self._policy, decode, kept=wanted & DIGESTS)
        return ReadSource(source=opened, query=query, algorithms=held)

    def fingerprint(self, read: ReadSource) -> Fingerprint:
        """Look at a picture as `match` does, without a search: for who keeps fingerprints and searches them again.

        Returns
        -------
        Fingerprint
            `match_fingerprint` gives for it what `match` gives for the picture. It counts in no `counts`.
        """
        query = read.query
        if query.failure is None and not self._is_by_digest(query):
            query = read_pixels(read.source, query.hashes, read.algorithms, self._policy, self._reader)
        return kept_query(query)

    def listed_fingerprint(
        self, source: ImageSource, algorithms: Iterable[str] = ("pdq",), *, timeout: float | None = None
    ) -> Fingerprint:
        """Hash a picture as lists hold it, where this matcher decodes: in its worker processes, if it has any.

        Parameters
        ----------
        source : bytes, path or binary file
            The picture, of which the first frame is hashed.
        algorithms : iterable of str
            Names of algorithms that can be computed; ``keypoint`` if the policy has a rule for it.
        timeout : float, optional
            As for `match`.

        Returns
        -------
        Fingerprint
            Equal to ``hashmatch.fingerprint(source, algorithms)``.

        Raises
        ------
        ImageError
            If the picture cannot be read in full, or is over a limit.
        BusyError
            As `match`.
        PolicyError
            If an algorithm cannot be computed by this policy.
        """
        from hashmatch.features.fingerprints import listed_fingerprint

        return listed_fingerprint(source, algorithms, self._policy, self._reader, Deadline(timeout, wait=False))

    def match_many(self, sources: Iterable[ImageSource], *, workers: int = 1) -> Iterator[MatchReport]:
        """Look many pictures up, in order.

        Parameters
        ----------
        sources : iterable
            Sources as for `match`; a few are read ahead of the answers, never all at once.
        workers : int
            Threads, 1 or more; decoding and searching mostly run outside the interpreter's lock. With isolation one
            more thread reads ahead, and `Isolation` sets the number of processes.

        Yields
        ------
        MatchReport
            One for each source.
        """
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError("workers must be an integer of 1 or more")
        threads = workers + (self._reader is not None)
        return self._match_in_turn(sources) if threads == 1 else self._match_in_threads(sources, threads)

    def _match_in_turn(self, sources: Iterable[ImageSource]) -> Iterator[MatchReport]:
        for source in sources:
            yield self._counted(source, NO_DEADLINE)[0]

    def _match_in_threads(self, sources: Iterable[ImageSource], workers: int) -> Iterator[MatchReport]:
        pending: deque[Future[tuple[MatchReport, Query]]] = deque()
        stopped = threading.Event()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="hashmatch")
        try:
            for source in sources:
                pending.append(pool.submit(self._counted, source, NO_DEADLINE, stopped.is_set))
                if len(pending) >= _LOOKAHEAD * workers:
                    yield pending.popleft().result()[0]
            while pending:
                yield pending.popleft().result()[0]
        finally:
            stopped.set()  # a digest of a long file is not waited for
            pool.shutdown(wait=True, cancel_futures=True)

    def match_hash(
        self, value: HashValue, *, quality: int | None = None, lists: Iterable[str] | None = None
    ) -> MatchReport:
        """Look one hash up; needs no image code.

        Parameters
        ----------
        value : HashValue
            The hash; it is searched as it is, without turns.
        quality : int, optional
            Its quality, 0 to 100; a hash of unknown quality is searched with.
        lists : iterable of str, optional
            As for `match`.

        Raises
        ------
        PolicyError
            If the policy has no rule for the hash's algorithm.
        ValueError
            If the matcher has no list of a name that is given.
        TypeError
            If it is not a `HashValue`.
        """
        return self.match_fingerprint(Fingerprint((ViewHash(value=value, quality=quality),)), lists=lists)

    def match_fingerprint(self, fingerprint: Fingerprint, *, lists: Iterable[str] | None = None) -> MatchReport:
        """Look a picture up by its fingerprint; needs no image code.

        Parameters
        ----------
        fingerprint : Fingerprint
            Hashes of one picture. A fingerprint that this matcher's policy made (``hashmatch.fingerprint(source,
            policy=...)``, or `match` with ``return_fingerprint=True``) gives the report that `match` gives for the
            picture. ``report.views_not_compared`` names the views that it lacks. If a policy made it and it lacks
            views, for example because it was written and read since, the outcome is undecidable if nothing matches.
            Hashes that no policy made stand for themselves: "no match" then covers them, and no other view.
        lists : iterable of str, optional
            As for `match`.

        Raises
        ------
        PolicyError
            If no policy made it, and this policy has no rule for any of its algorithms.
        ValueError
            If the matcher has no list of a name that is given.
        HashFormatError
            If it holds a keypoint record that is none.
        TypeError
            If it is not a `Fingerprint`.
        """
        report = self._recalled(fingerprint, lists)
        if self._recorder is not None:
            self._recorder(report, fingerprint, self._policy)
        return report

    def try_fingerprint(self, fingerprint: Fingerprint, *, lists: Iterable[str] | None = None) -> MatchReport | None:
        """Look a picture up by its fingerprint where nothing has to be waited for: for a loop that must not block.

        Returns
        -------
        MatchReport or None
            As of `match_fingerprint`; None where a change of a list would have to be taken up first, or something is
            recorded.

        Raises
        ------
        PolicyError, HashFormatError, ValueError, TypeError
            As `match_fingerprint`.

        Notes
        -----
        Cost: one index search for each hash, tens of microseconds where the index is in memory, and a look at the
        list's file for what is found.
        """
        if self._recorder is not None:
            return None
        try:
            return self._recalled(fingerprint, lists, waits=False)
        except MovedOn:
            return None
