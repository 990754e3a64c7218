"""Keeping a matcher up to date in the background: a thread that watches lists, and one that makes new index files.

What goes wrong there is kept, counted, shown by `Upkeep` and said once to the logger ``hashmatch.store``; the matcher
goes on answering from what it had.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final

__all__ = ["DEFAULT_RECHECK_RATE", "Keeper", "Pace", "Upkeep", "Watch", "check_interval", "check_rate"]

DEFAULT_RECHECK_RATE: Final = 4 << 20

_LOGGER: Final = logging.getLogger("hashmatch.store")
_LEAST_INTERVAL: Final = 0.001
_STEP: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """How a matcher was kept up to date so far.

    Parameters
    ----------
    watching : bool
        Whether a `Watch` runs. In a forked child it begins again when the matcher is first used.
    looks : int
        Number of times that the watch looked for changes.
    reloads : int
        Number of reloads in the background that took something up.
    failures : int
        Number of looks and reloads that failed.
    error : Exception or None
        Error of the last look or reload, if it failed: the matcher answers from what it had before.
    compactions : int
        Number of index files made in the background.
    compaction_error : Exception or None
        Error of the last attempt to make an index file, if it failed.
    rechecked : int
        Bytes of mapped index files that were compared again with their checksums.
    damaged : int
        Number of index files that were found changed in place: the matcher answers nothing from them, and they are
        made anew.
    """

    watching: bool = False
    looks: int = 0
    reloads: int = 0
    failures: int = 0
    error: Exception | None = None
    compactions: int = 0
    compaction_error: Exception | None = None
    rechecked: int = 0
    damaged: int = 0

    def to_dict(self) -> dict[str, object]:
        """Give the figures and the texts of the errors; JSON-ready."""
        return {
            "watching": self.watching,
            "looks": self.looks,
            "reloads": self.reloads,
            "failures": self.failures,
            "error": None if self.error is None else str(self.error),
            "compactions": self.compactions,
            "compaction_error": None if self.compaction_error is None else str(self.compaction_error),
            "rechecked": self.rechecked,
            "damaged": self.damaged,
        }


def check_interval(interval: float) -> None:
    """Raise ValueError unless the seconds between two looks are 0.001 or more."""
    if not interval >= _LEAST_INTERVAL:
        raise ValueError("the interval must be 0.001 seconds or more")


def check_rate(rate: int) -> None:
    """Raise TypeError or ValueError unless a rate is an integer of bytes a second, 0 or more."""
    if isinstance(rate, bool) or not isinstance(rate, int):
        raise TypeError(f"recheck_rate must be an integer of bytes a second, not {type(rate).__name__}")
    if rate < 0:
        raise ValueError("recheck_rate must be 0 or more bytes a second")


class Watch:
    """A watch that runs until it is stopped; made by `Matcher.watch`. Also a context manager."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def stop(self) -> None:
        """End the watch; waits for a reload that runs. A second call does nothing."""
        self._stop()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(slots=True, eq=False)
class _Watching:
    """A watch, and the thread that runs it now: in a forked child another."""

    interval: float
    rate: int
    thread: threading.Thread
    stop: threading.Event


@dataclass(slots=True, eq=False)
class Pace:
    """Does work in pieces at a rate.

    Parameters
    ----------
    pieces : iterator of int
        Does a piece and gives its size; 0 where a round is over.
    rate : int
        Size a second, on average; never more than `_STEP` seconds of it and a piece at once.
    """

    pieces: Iterator[int]
    rate: int
    credit: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def go_on(self) -> int:
        """Do what is due by now; its size."""
        now = time.monotonic()
        self.credit = min(self.credit + (now - self.at) * self.rate, _STEP * self.rate)
        self.at, done = now, 0
        while self.credit > 0:
            size = next(self.pieces)
            if not size:  # a short round is not gone through again at once
                self.credit = 0.0
            self.credit -= size
            done += size
        return done


class Keeper:
    """The background work of one matcher.

    Parameters
    ----------
    mark : callable
        Gives something that differs when a list or an index file may have changed; cheap.
    reload : callable
        Takes up what has changed; says whether anything had.
    compact : callable
        Makes the index files that are due, given a callable that says whether to stop; says how many it made.
    recheck : callable
        Begins to compare mapped files with their checksums: an iterator as `Pace` takes it.
    """

    def __init__(
        self,
        mark: Callable[[], object],
        reload: Callable[[], bool],
        compact: Callable[[Callable[[], bool]], int],
        recheck: Callable[[], Iterator[int]],
    ) -> None:
        self._mark, self._reload, self._compact, self._recheck = mark, reload, compact, recheck
        self._lock = threading.Lock()
        self._upkeep = Upkeep()
        self._watching: _Watching | None = None
        self._compacting: threading.Thread | None = None
        self._closed = threading.Event()
        self.is_asleep = False

    @property
    def upkeep(self) -> Upkeep:
        """What was done so far."""
        watching = self._watching
        return replace(self._upkeep, watching=watching is not None and watching.thread.is_alive())

    def renew(self) -> None:
        """Take fresh locks, in a forked child, which has none of the threads; a watch is asleep until `wake`."""
        self._lock = threading.Lock()
        self._compacting = None
        is_closed, self._closed = self._closed.is_set(), threading.Event()
        if is_closed:
            self._closed.set()
        self.is_asleep = self._watching is not None and not is_closed

    def wake(self) -> None:
        """Begin the watch again that the parent process had."""
        with self._lock:
            watching, is_asleep, self.is_asleep = self._watching, self.is_asleep, False
            if watching is not None and is_asleep:
                self._begin(watching)

    def watch(self, interval: float, rate: int = DEFAULT_RECHECK_RATE) -> Watch:
        """Begin to watch, and to compare mapped files with their checksums at a rate, bytes a second.

        Raises
        ------
        ValueError
            If the interval is not 0.001 s or more, the rate negative, or a watch runs already.
        """
        check_interval(interval)
        check_rate(rate)
        with self._lock:
            if self._watching is not None:
                raise ValueError("the matcher is watching its lists already")
            watching = self._watching = _Watching(interval, rate, threading.current_thread(), threading.Event())
            self._begin(watching)
        return Watch(lambda: self._end(watching))

    def _begin(self, watching: _Watching) -> None:
        watching.stop = threading.Event()
        options = (watching.interval, watching.rate, watching.stop)
        watching.thread = threading.Thread(target=self._run, args=options, name="hashmatch-watch", daemon=True)
        watching.thread.start()

    def compact_soon(self) -> None:
        """Make the index files that are due in a thread of its own, unless one is at it."""
        with self._lock:
            busy = self._compacting is not None and self._compacting.is_alive()
            if busy or self._closed.is_set():
                return
            thread = threading.Thread(target=self._make, name="hashmatch-compact", daemon=True)
            thread.start()
            self._compacting = thread  # `wait` joins it, so it must run

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for index files that are being made; whether all is done."""
        thread = self._compacting
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """End the watch and tell the making of files to stop; its present step may go on for a while."""
        self._closed.set()
        watching = self._watching
        if watching is not None:
            self._end(watching)

    def _end(self, watching: _Watching) -> None:
        with self._lock:
            watching.stop.set()
            self.is_asleep = False
            thread = watching.thread
        if thread is not threading.current_thread():
            thread.join()
        with self._lock:
            if self._watching is watching:
                self._watching = None

    def damaged(self) -> None:
        """Count a mapped file that was changed in place."""
        _LOGGER.warning("an index file in use was changed in place; nothing is answered from it, and it is made anew")
        with self._lock:
            self._upkeep = replace(self._upkeep, damaged=self._upkeep.damaged + 1)

    def _run(self, interval: float, rate: int, stop: threading.Event) -> None:
        last: object = None
        pace = Pace(self._recheck(), rate)
        while not self._waited(interval, pace, stop):
            reloaded, failure = False, None
            try:
                mark = self._mark()
                if mark != last:
                    reloaded = self._reload()
                    last = mark  # of before the reload: what changed during it is seen at the next look
            except Exception as error:
                failure = _without_frames(error)
            if failure is not None and str(failure) != str(self._upkeep.error):
                _LOGGER.warning("a change of a list cannot be taken up: %s", failure)
            elif failure is None and self._upkeep.error is not None:
                _LOGGER.warning("changes of the lists are taken up again")
            with self._lock:
                now = self._upkeep
                self._upkeep = replace(
                    now,
                    looks=now.looks + 1,
                    reloads=now.reloads + reloaded,
                    failures=now.failures + (failure is not None),
                    error=failure,
                )

    def _waited(self, interval: float, pace: Pace, stop: threading.Event) -> bool:
        """Wait for the next look, and compare files meanwhile; whether the watch is to end."""
        end = time.monotonic() + interval
        left, before = interval, self._upkeep.damaged
        while left > 0 and not stop.wait(min(left, _STEP)):
            done = pace.go_on()
            if done:
                with self._lock:
                    self._upkeep = replace(self._upkeep, rechecked=self._upkeep.rechecked + done)
            left = end - time.monotonic() if self._upkeep.damaged == before else 0.0
        return stop.is_set()

    def _make(self) -> None:
        made, failure = 0, None
        try:
            made = self._compact(self._closed.is_set)
            if not self._closed.is_set():
                self._reload()
        except InterruptedError:
            pass
        except Exception as error:
            failure = None if self._closed.is_set() else _without_frames(error)
        if failure is not None:
            _LOGGER.warning("a new index file cannot be made: %s", failure)
        with self._lock:
            now = self._upkeep
            self._upkeep = replace(now, compactions=now.compactions + made, compaction_error=failure)


def _without_frames(error: Exception) -> Exception:
    """Let go what the frames of an error hold: maps of index files, for as long as the error is kept."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    return error
