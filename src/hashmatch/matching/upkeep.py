"""Keeping a matcher up to date in the background: a thread that watches lists, and one that makes new index files.

What goes wrong there is kept, counted, shown by `Upkeep` and said once to the logger ``hashmatch``; the matcher goes on
answering from what it had.
"""

from __future__ import annotations

import logging
import threading
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
        Whether a `Watch` runs.
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
        self._watching: tuple[threading.Thread, threading.Event] | None = None
        self._compacting: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def upkeep(self) -> Upkeep:
        """What was done so far."""
        return self._upkeep

    def watch(self, interval: float) -> Watch:
        """Begin to watch.

        Raises
        ------
        ValueError
            If the interval is not 0.001 s or more, or a watch runs already.
        """
        check_interval(interval)
        stop = threading.Event()
        with self._lock:
            if self._watching is not None:
                raise ValueError("the matcher is watching its lists already")
            thread = threading.Thread(target=self._run, args=(interval, stop), name="hashmatch-watch", daemon=True)
            self._watching = thread, stop
            self._upkeep = replace(self._upkeep, watching=True)
        thread.start()
        return Watch(lambda: self._end(thread, stop))

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
            self._end(*watching)

    def _end(self, thread: threading.Thread, stop: threading.Event) -> None:
        stop.set()
        if thread is not threading.current_thread():
            thread.join()
        with self._lock:
            if self._watching is not None and self._watching[0] is thread:
                self._watching = None
                self._upkeep = replace(self._upkeep, watching=False)

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
                failure = error
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
            failure = None if self._closed.is_set() else error
        if failure is not None:
            _LOGGER.warning("a new index file cannot be made: %s", failure)
        with self._lock:
            now = self._upkeep
            self._upkeep = replace(now, compactions=now.compactions + made, compaction_error=failure)
