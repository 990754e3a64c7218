"""Keeping a matcher up to date in the background: a thread that watches lists, and one that makes new index files.

What goes wrong there is kept, counted, shown by `Upkeep` and said once to the logger ``hashmatch``; the matcher goes on
answering from what it had.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final

__all__ = ["Keeper", "Upkeep", "Watch", "check_interval"]

_LOGGER: Final = logging.getLogger("hashmatch")
_LEAST_INTERVAL: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """How a matcher was kept up to date so far.

    Parameters
    ----------
    watching : bool
        Whether a `Watch` runs. In a forked child it begins again when the matcher is used first.
    looks : int
        Times it looked whether something had changed.
    reloads : int
        Reloads that took something up, in the background.
    failures : int
        Looks and reloads that failed.
    error : Exception or None
        Of the last look or reload, if it failed: the matcher answers from what it had before.
    compactions : int
        Index files made in the background.
    compaction_error : Exception or None
        Of the last attempt to make one, if it failed.
    """

    watching: bool = False
    looks: int = 0
    reloads: int = 0
    failures: int = 0
    error: Exception | None = None
    compactions: int = 0
    compaction_error: Exception | None = None

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
        }


def check_interval(interval: float) -> None:
    """Raise ValueError unless the seconds between two looks are 0.001 or more."""
    if not interval >= _LEAST_INTERVAL:
        raise ValueError("the interval must be 0.001 seconds or more")


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
    thread: threading.Thread
    stop: threading.Event


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
    """

    def __init__(
        self, mark: Callable[[], object], reload: Callable[[], bool], compact: Callable[[Callable[[], bool]], int]
    ) -> None:
        self._mark, self._reload, self._compact = mark, reload, compact
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

    def watch(self, interval: float) -> Watch:
        """Begin to watch.

        Raises
        ------
        ValueError
            If the interval is not 0.001 s or more, or a watch runs already.
        """
        check_interval(interval)
        with self._lock:
            if self._watching is not None:
                raise ValueError("the matcher is watching its lists already")
            watching = self._watching = _Watching(interval, threading.current_thread(), threading.Event())
            self._begin(watching)
        return Watch(lambda: self._end(watching))

    def _begin(self, watching: _Watching) -> None:
        watching.stop = threading.Event()
        options = (watching.interval, watching.stop)
        watching.thread = threading.Thread(target=self._run, args=options, name="hashmatch-watch", daemon=True)
        watching.thread.start()

    def compact_soon(self) -> None:
        """Make the index files that are due in a thread of its own, unless one is at it."""
        with self._lock:
            busy = self._compacting is not None and self._compacting.is_alive()
            if busy or self._closed.is_set():
                return
            self._compacting = threading.Thread(target=self._make, name="hashmatch-compact", daemon=True)
            self._compacting.start()

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

    def _run(self, interval: float, stop: threading.Event) -> None:
        last: object = None
        while not stop.wait(interval):
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
            with self._lock:
                now = self._upkeep
                self._upkeep = replace(
                    now,
                    looks=now.looks + 1,
                    reloads=now.reloads + reloaded,
                    failures=now.failures + (failure is not None),
                    error=failure,
                )

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
