"""`AsyncMatcher`: a matcher for asyncio, which never blocks the loop and never holds more than it may.

Floor: matching. Threads do the work, since decoding and searching run outside the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from hashmatch.errors import BusyError, ReferenceListError
from hashmatch.hashes import Fingerprint, ViewHash
from hashmatch.jail.cpus import usable_cpus

if TYPE_CHECKING:
    from types import TracebackType

    from hashmatch.hashes import HashValue
    from hashmatch.matching.matcher import Matcher
    from hashmatch.matching.report import MatchReport
    from hashmatch.picture import ImageSource

__all__ = ["AsyncMatcher"]

Answer = TypeVar("Answer")

IN_FLIGHT: Final = 32
"""Default of the calls that are answered or wait at once."""


class AsyncMatcher:
    """A `Matcher` for asyncio.

    Use it as an asynchronous context manager, or call `close`. It may be shared by all tasks of a loop. The matcher
    beneath is the caller's, and stays open.

    Parameters
    ----------
    matcher : Matcher
        An open matcher; with isolation it decodes in its worker processes.
    in_flight : int
        Most calls that are answered or wait for a thread at once, 1 or more. One more is `BusyError` (``queue-full``).
    threads : int, optional
        Threads that search, 1 or more; by default one more than the processors that this process may use.
    at_once : int
        Most hashes of a look-up that is answered on the loop itself, 0 or more: for tens of microseconds each no
        thread is asked. Keypoint records, and what would have to wait, always go to a thread.

    Raises
    ------
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> import asyncio, pathlib, tempfile
    >>> from hashmatch import HashValue, Matcher, ReferenceList
    >>> from hashmatch.matching import AsyncMatcher
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "list.hashmatch"
    >>> value = HashValue.parse("dhash:00ff00ff00ff00ff")
    >>> with ReferenceList.create(path, name="demo") as ref:
    ...     _ = ref.add("entry-1", hashes=[value])
    >>> from hashmatch.policy import MatchPolicy, Rule
    >>> policy = MatchPolicy(name="mine", rules=(Rule(algorithm="dhash", threshold=4),))
    >>> async def look() -> str:
    ...     with Matcher.open(path, policy=policy) as matcher:
    ...         async with AsyncMatcher(matcher) as checks:
    ...             return (await checks.match_hash(value)).outcome.value
    >>> asyncio.run(look())
    'match'
    >>> folder.cleanup()
    """

    def __init__(
        self, matcher: Matcher, *, in_flight: int = IN_FLIGHT, threads: int | None = None, at_once: int = 0
    ) -> None:
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 0:
            raise ValueError("at_once must be an integer of 0 or more")
        for name, value in (("in_flight", in_flight), ("threads", threads)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be an integer of 1 or more")
        self.matcher = matcher
        self._most, self._threads = in_flight, threads or usable_cpus() + 1
        self._closed, self._at_once = False, at_once
        self._begin()

    def _begin(self) -> None:
        """Make what a forked child cannot take over: a lock that may be held, and threads that are not there."""
        self._pid, self._held, self._change = os.getpid(), 0, threading.Lock()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="hashmatch-async")

    @property
    def in_flight(self) -> int:
        """Number of calls that are answered or wait now."""
        return self._held

    async def match(
        self,
        source: ImageSource,
        *,
        return_fingerprint: bool = False,
        timeout: float | None = None,
        lists: Iterable[str] | None = None,
    ) -> MatchReport:
        """Look a picture up, as `Matcher.match`; ``timeout`` covers waiting for a thread too.

        Raises
        ------
        BusyError
            If ``in_flight`` calls are held already, or there is no answer in time.

        Notes
        -----
        A call that is cancelled while it waits for a thread costs nothing more. One that a thread is at is left to end,
        at the latest when its timeout is over, and counts as in flight until then.
        """

        def look(seconds: float | None) -> MatchReport:
            return self.matcher.match(source, return_fingerprint=return_fingerprint, timeout=seconds, lists=lists)

        return await self._run(look, timeout)

    async def match_hash(
        self,
        value: HashValue,
        *,
        quality: int | None = None,
        timeout: float | None = None,
        lists: Iterable[str] | None = None,
    ) -> MatchReport:
        """Look one hash up, as `Matcher.match_hash`; ``timeout`` covers waiting for a thread alone."""
        item = ViewHash(value=value, quality=quality)
        return await self.match_fingerprint(Fingerprint((item,)), timeout=timeout, lists=lists)

    async def match_fingerprint(
        self, fingerprint: Fingerprint, *, timeout: float | None = None, lists: Iterable[str] | None = None
    ) -> MatchReport:
        """Look a picture up by its fingerprint, as `Matcher.match_fingerprint`; ``timeout`` as for `match_hash`."""
        if self._at_once and not self._closed and self._is_quick(fingerprint):
            report = self.matcher.try_fingerprint(fingerprint, lists=lists)
            if report is not None:
                return report
        return await self._run(lambda _: self.matcher.match_fingerprint(fingerprint, lists=lists), timeout)

    async def listed_fingerprint(
        self, source: ImageSource, algorithms: Iterable[str] = ("pdq",), *, timeout: float | None = None
    ) -> Fingerprint:
        """Hash a picture, as `Matcher.listed_fingerprint`; ``timeout`` covers waiting for a thread too."""
        names = tuple(algorithms)
        return await self._run(lambda left: self.matcher.listed_fingerprint(source, names, timeout=left), timeout)

    def _is_quick(self, fingerprint: Fingerprint) -> bool:
        items = fingerprint.view_hashes
        return len(items) <= self._at_once and all(item.value.algorithm != "keypoint" for item in items)

    async def _run(self, look: Callable[[float | None], Answer], timeout: float | None) -> Answer:
        if timeout is not None and not timeout > 0:
            raise ValueError("timeout must be above 0 seconds")
        until = None if timeout is None else time.monotonic() + timeout
        if self._pid != os.getpid():
            self._begin()
        with self._change:
            if self._closed:
                raise ReferenceListError("the matcher is closed; open a new one")
            if self._held >= self._most:
                raise BusyError("as many calls are in flight as may be", reason="queue-full")
            self._held += 1

        def work() -> Answer:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise BusyError("there was no answer in the time given")
            return look(left)

        future: Future[Answer] = self._pool.submit(work)
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _done(self, _: Future[Any]) -> None:
        with self._change:
            self._held -= 1

    def close(self) -> None:
        """End the threads once the calls they are at have ended; those that wait are cancelled."""
        with self._change:
            self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)
