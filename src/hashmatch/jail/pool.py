"""`Pool`: worker processes that are started when they are needed, kept, replaced, and ended.

Over 400 lines because the life of a worker, and what is said and counted of it, is in one class. The logger
``hashmatch.jail`` says what an operator asks about; nothing is said of a task that goes well.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from typing import Final

from hashmatch.errors import BusyError, ImageError, IsolationError, UnreadableImageError
from hashmatch.jail.options import MEASURES, Isolation, Protection
from hashmatch.jail.turns import QueueTurn, Turns, closed
from hashmatch.jail.worker import Worker, WorkerPlan, bad_answer

__all__ = ["Pool"]

_LOG: Final = logging.getLogger("hashmatch.jail")
_PAUSE: Final = 0.2
_PATIENCE: Final = 2.0
_EARLY: Final = 0.9
_NOT_INNOCENT: Final = "crashed-sigsys"
_HOSTILE: Final = frozenset({_NOT_INNOCENT, "bad-answer"})
_BY_CALLER: Final = "abandoned"


class Pool:
    """Worker processes for tasks of one kind; shared between threads.

    Parameters
    ----------
    isolation : Isolation
        How many workers, when they are replaced, what must hold.
    plan : WorkerPlan
        What each is started with.
    largest_answer : int
        Most bytes of all parts of an answer together.

    Notes
    -----
    A process that forks leaves its workers to the parent: the child starts its own.
    """

    def __init__(self, isolation: Isolation, plan: WorkerPlan, *, largest_answer: int) -> None:
        self._isolation = isolation
        self._plan = plan
        self._largest_answer = largest_answer
        self._most = isolation.most_workers
        self._begin()
        _POOLS.add(self)

    def _begin(self, *, is_closed: bool = False) -> None:
        self._closing = threading.Event()
        if is_closed:
            self._closing.set()
        self._lock = threading.RLock()
        self._turns = Turns(self._most)
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._spare: Worker | None = None
        self._counts: Counter[str] = Counter()
        self._protection: Protection | None = None
        self._failing_since: float | None = None
        self._finalizer = weakref.finalize(self, _end_all, self._all, os.getpid())

    def __repr__(self) -> str:
        return f"<Pool, {len(self._all)} of {self._most} workers>"

    @property
    def protection(self) -> Protection | None:
        """What holds the worker that was started last; None before the first."""
        return self._protection

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt to get a worker ready failed."""
        return self._failing_since is not None

    def expected_wait(self) -> float:
        """Predict for how many seconds one more task that is not dear waits for a worker."""
        return self._turns.expected_wait()

    @property
    def seconds(self) -> float:
        """Longest time for one task, s."""
        return self._plan.seconds

    def counts(self) -> dict[str, int]:
        """Count what happened, by name.

        ``started``: workers; ``replaced``: after their share of tasks; ``lost``: after a fault, ``ended-idle`` of them
        between two tasks; ``tasks``: given to a worker; ``retried``: given to a second one after the first had ended;
        ``busy``: not answered for lack of time; and the tasks that a worker was lost over, by reason.
        """
        with self._lock:
            return dict(sorted(self._counts.items()))

    def load(self) -> dict[str, int]:
        """Count the workers that are ``idle`` and ``working`` now, and the tasks that are ``waiting`` for one.

        Dear tasks that wait are ``waiting-dear``, and not among the others; see `hashmatch.jail.turns.Turns`.
        """
        with self._lock:
            idle = len(self._idle) + (self._spare is not None)
            working = len(self._all) - idle
        cheap, dear = self._turns.waiting
        return {"idle": idle, "working": working, "waiting": cheap, "waiting-dear": dear}

    def start(self) -> Protection:
        """Start a worker, unless there is one, to see that it can be done.

        Raises
        ------
        IsolationError
            If it cannot, or if a measure that is required does not hold.
        """
        turns, turn = self._turns, QueueTurn()
        fault: str | None = "no-worker"
        try:
            turns.wait_for(turn)
            self._ready(turn, None)
            fault = None
        finally:
            self._put_back(turn, fault)
            turns.give_back(turn)
        return self._protection or Protection()

    def warm(self) -> None:
        """Start all workers and wait until they are ready.

        Raises
        ------
        IsolationError
            As `start`.
        """
        turns, given = self._turns, []
        try:
            for _ in range(self._most):
                given.append(turn := QueueTurn())
                with suppress(BusyError):  # what is at work is warm
                    turns.wait_for(turn, most_waiting=0)
                    self._take(turn)
            for turn in given:
                if turn.worker is not None:
                    self._ready(turn, None)
        finally:
            for turn in given:
                self._put_back(turn, None)
                turns.give_back(turn)

    def run(
        self, *task: bytes, words: frozenset[str], until: float | None = None, wait: bool = True, is_dear: bool = False
    ) -> Generator[bytearray, None, str]:
        """Have a worker do a task; waits for one.

        Parameters
        ----------
        *task : bytes
            Pieces of the task, sent one after the other.
        words : frozenset of str
            Why a task may end otherwise than well.
        until : float, optional
            Reading of `time.monotonic` by which the answer must be there.
        wait : bool
            Whether to wait however many do so already; else the isolation's ``queue`` holds.
        is_dear : bool
            Whether the task takes much longer than most; see `hashmatch.jail.turns.Turns`.

        Yields
        ------
        bytearray
            Parts of the answer. They may be from a worker that the task has taken over: throw an `ImageError` in here
            if they are impossible, and the worker is ended.

        Returns
        -------
        str
            Why the task ended, one of the words; empty if all went well.

        Raises
        ------
        BusyError
            If too many wait, or the time is over.
        UnreadableImageError
            With a reason of `hashmatch.jail.worker.Worker.receive`, ``protection-too-weak``, ``no-worker`` or
            ``closed``.

        Notes
        -----
        A worker may end for no fault of the task: the system was short of memory, or somebody ended it. So a task whose
        worker ended is given to another, once; only the second end is the task's. An end by ``SIGSYS`` is at once: the
        filter ended the worker for a call that no decoder makes.
        """
        turns, turn = self._turns, QueueTurn(is_dear=is_dear)
        sent, may_retry, begun = 0, True, None
        try:
            isolation = self._isolation
            turns.wait_for(
                turn,
                until=until,
                most_waiting=None if wait else isolation.queue,
                most_seconds=None if wait else isolation.max_wait,
            )
            begun = time.monotonic()
            self._count("tasks")
            while True:
                fault: str | None = None
                why: str | None = None
                try:
                    worker = self._ready_at_last(turn, until)
                    fault = _BY_CALLER
                    worker.begin(*task, until=until)
                    self._start_successor(worker)
                    seen, left = 0, self._largest_answer
                    while True:
                        last, part = worker.receive()
                        if last:
                            word = part.decode("ascii", "replace")
                            if word and word not in words:
                                raise bad_answer()
                            fault = None
                            return word
                        left -= len(part)
                        if left < 0:
                            raise bad_answer()
                        seen += 1
                        if seen > sent:  # after a retry only what has not been given yet
                            sent = seen
                            yield part
                except ImageError as error:
                    fault = error.reason
                    if self._closing.is_set():
                        raise closed() from None
                    if not may_retry or not fault.startswith("crashed-") or fault == _NOT_INNOCENT:
                        raise
                    fault, why, may_retry = "retried", fault, False
                finally:
                    self._put_back(turn, fault, why)
        except BusyError:
            self._count("busy")
            raise
        except IsolationError as error:
            self._count(error.reason)
            raise UnreadableImageError(str(error), reason=error.reason) from None
        finally:
            if begun is not None:
                turns.note(time.monotonic() - begun, is_dear=is_dear)
            turns.give_back(turn)

    def close(self) -> None:
        """End all workers, also those at work: what they were asked fails with the reason ``closed``."""
        self._closing.set()
        self._turns.close()
        with self._lock:
            idle, self._idle = self._idle, []
            if self._spare is not None:
                idle.append(self._spare)
                self._spare = None
            self._all -= {*idle}
            for worker in self._all:
                worker.kill()  # whoever waits for it clears it away
        for worker in idle:
            worker.end()

    def _ready_at_last(self, turn: QueueTurn, until: float | None) -> Worker:
        """Get a worker ready; where none can be started try again for two seconds: descriptors or memory may be short.

        Where none could for as long as that already, one attempt is all there is, so that nobody waits for nothing.

        Raises
        ------
        BusyError, IsolationError
            If it is of no use.
        """
        while True:
            try:
                worker = self._ready(turn, until)
            except IsolationError as error:
                self._put_back(turn, "no-worker")
                now = time.monotonic()
                since = self._failing_since or now
                if error.reason != "no-worker" or now - since > _PATIENCE:
                    raise
                if until is not None and until - now < _PAUSE:
                    raise BusyError("no worker could be started in the time given", reason="timeout") from None
                if self._closing.wait(_PAUSE):
                    raise closed() from None
            else:
                return worker

    def _ready(self, turn: QueueTurn, until: float | None) -> Worker:
        """Give the turn a worker that is ready; take down since when that fails."""
        try:
            worker = self._made_ready(turn, until)
        except IsolationError as error:
            if self._failing_since is None:
                _LOG.error("no worker process can be started: %s", error)
                self._failing_since = time.monotonic()
            raise
        if self._failing_since is not None:
            _LOG.warning("worker processes can be started again")
            self._failing_since = None
        return worker

    def _made_ready(self, turn: QueueTurn, until: float | None) -> Worker:
        """Give the turn a worker, wait until it is ready, and refuse it if too little holds it back."""
        if turn.worker is None:
            self._take(turn)
        worker = turn.worker
        if worker is None:
            raise closed()
        protection = worker.wait_until_ready(until)
        missing = protection.missing(self._isolation.required)
        if missing:
            raise IsolationError(
                f"required, but not to be had on this machine: {', '.join(missing)}", reason="protection-too-weak"
            )
        if protection != self._protection:
            _say_what_holds(protection)
        self._protection = protection
        return worker

    def _take(self, turn: QueueTurn) -> None:
        """Take an idle worker that lives, or start one.

        It is the turn's from the start, so that whatever is raised here, by a signal's handler too, does not lose it.
        """
        while turn.worker is None:
            with self._lock:
                if self._closing.is_set():
                    raise closed()
                if self._idle:
                    turn.worker = self._idle.pop()
            if turn.worker is None:
                turn.worker = self._started()
            elif not turn.worker.is_alive:
                self._put_back(turn, "ended-idle")

    def _started(self) -> Worker:
        worker = Worker(self._plan)
        with self._lock:
            self._all.add(worker)
            self._counts["started"] += 1
            if self._closing.is_set():
                worker.kill()
        return worker

    def _start_successor(self, worker: Worker) -> None:
        """Start the next worker while this one does the last of its share, so that it is ready when it is needed."""
        share = max(worker.tasks / self._isolation.recycle, worker.wear)
        if share < _EARLY or self._spare is not None:
            return
        with suppress(IsolationError):  # the next task says so
            unused: Worker | None = self._started()
            with self._lock:
                if self._spare is None and not self._closing.is_set():
                    self._spare, unused = unused, None
            if unused is not None:
                self._ended(unused)

    def _put_back(self, turn: QueueTurn, fault: str | None, why: str | None = None) -> None:
        """Keep the worker, or end it after a fault or when it has done its share; the next one is started at once.

        What is said of a fault is ``why``, if the name that it is counted by does not tell.
        """
        worker, turn.worker = turn.worker, None
        if worker is None:
            return
        with self._lock:
            if worker not in self._all:  # of the parent of this process
                return
            is_open = not self._closing.is_set()
            if is_open and fault is None and worker.tasks < self._isolation.recycle and worker.wear < 1:
                self._idle.append(worker)
                return
            if is_open:
                self._counts["replaced" if fault is None else "lost"] += 1
                if fault not in (None, "no-worker"):
                    self._counts[str(fault)] += 1
        self._ended(worker)
        if is_open:
            _say_why(worker, why or fault)
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None and is_open and fault not in ("no-worker", "ended-idle"):
            with suppress(IsolationError):  # the next task says so
                spare = self._started()
        if spare is not None:
            with self._lock:
                self._idle.append(spare)
            if self._closing.is_set():
                self.close()

    def _ended(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.end()

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def _leave_to_parent(self) -> None:
        for worker in self._all:
            worker.disown()
        self._finalizer.detach()
        self._begin(is_closed=self._closing.is_set())


def _say_what_holds(protection: Protection) -> None:
    missing = protection.missing(MEASURES)
    if missing:
        _LOG.warning("worker processes are restricted by less than there is; missing: %s", ", ".join(missing))
    else:
        _LOG.info("worker processes are restricted by every measure that there is")


def _say_why(worker: Worker, fault: str | None) -> None:
    """Say why a worker was ended; the picture is not named."""
    if fault is None:
        _LOG.debug("worker %d is replaced after its share of %d tasks", worker.pid, worker.tasks)
    elif fault == "no-worker":
        _LOG.debug("worker %d did not become ready", worker.pid)
    elif fault == _BY_CALLER:
        _LOG.info("worker %d was ended: its task was given up, or out of the time that the caller gave", worker.pid)
    elif fault in _HOSTILE:
        _LOG.error(
            "worker %d was ended as if it had been taken over (%s), at its task %d", worker.pid, fault, worker.tasks
        )
    else:
        _LOG.warning("worker %d was lost (%s), at its task %d", worker.pid, fault, worker.tasks)


_POOLS: Final[weakref.WeakSet[Pool]] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for pool in list(_POOLS):
        pool._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def _end_all(workers: set[Worker], process: int) -> None:
    if process == os.getpid():
        for worker in list(workers):
            worker.end()
