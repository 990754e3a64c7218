"""`Pool`: worker processes that are started when they are needed, kept, replaced, and ended."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Generator
from contextlib import suppress

from hashmatch.errors import ImageError, IsolationError, UnreadableImageError
from hashmatch.jail.options import Isolation, Protection
from hashmatch.jail.worker import Worker, WorkerPlan, bad_answer

__all__ = ["Pool"]


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
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._change = threading.Condition()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._counts: Counter[str] = Counter()
        self._protection: Protection | None = None
        self._finalizer = weakref.finalize(self, _end_all, self._all, self._pid)

    def __repr__(self) -> str:
        return f"<Pool, {len(self._all)} of {self._isolation.most_workers} workers>"

    @property
    def protection(self) -> Protection | None:
        """What holds the worker that was started last; None before the first."""
        return self._protection

    def counts(self) -> dict[str, int]:
        """Count what happened, by name.

        ``started``: workers; ``replaced``: after their share of tasks; ``lost``: after a fault; ``tasks``: given to a
        worker; and the tasks that a worker was lost over, by reason.
        """
        with self._change:
            return dict(sorted(self._counts.items()))

    def start(self) -> Protection:
        """Start a worker, unless there is one, to see that it can be done.

        Raises
        ------
        IsolationError
            If it cannot, or if a measure that is required does not hold.
        """
        worker = self._take()
        protection = self._ready(worker)
        self._give_back(worker)
        return protection

    def run(self, *task: bytes, words: frozenset[str]) -> Generator[bytearray, None, str]:
        """Have a worker do a task; waits for one.

        Parameters
        ----------
        *task : bytes
            Pieces of the task, sent one after the other.
        words : frozenset of str
            Why a task may end otherwise than well.

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
        UnreadableImageError
            With a reason of `hashmatch.jail.worker.Worker.receive`, ``protection-too-weak`` or ``no-worker``.
        """
        try:
            worker = self._take()
            self._ready(worker)
        except IsolationError as error:
            reason = getattr(error, "reason", "no-worker")
            self._count(reason)
            raise UnreadableImageError(str(error), reason=reason) from None
        fault: str | None = "abandoned"
        try:
            self._count("tasks")
            worker.begin(*task)
            left = self._largest_answer
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
                yield part
        except ImageError as error:
            fault = error.reason
            raise
        finally:
            self._give_back(worker, fault)

    def close(self) -> None:
        """End all workers, also those at work: what they were asked fails."""
        with self._change:
            self._closed = True
            idle, self._idle = self._idle, []
            self._all -= {*idle}
            for worker in self._all:
                worker.kill()  # whoever waits for it clears it away
            self._change.notify_all()
        for worker in idle:
            worker.end()

    def _take(self) -> Worker:
        """Take an idle worker, or start one, or wait until one is given back."""
        if self._pid != os.getpid():
            self._leave_to_parent()
        with self._change:
            while not self._closed and not self._idle and len(self._all) >= self._isolation.most_workers:
                self._change.wait()
            if self._closed:
                raise IsolationError("the worker processes have been closed")
            if self._idle:
                return self._idle.pop()
            return self._started()

    def _started(self) -> Worker:
        worker = Worker(self._plan)
        self._all.add(worker)
        self._counts["started"] += 1
        return worker

    def _ready(self, worker: Worker) -> Protection:
        """Wait until a worker is ready, and refuse it if too little holds it back."""
        fault: str | None = "no-worker"
        try:
            protection = worker.wait_until_ready()
            missing = protection.missing(self._isolation.require)
            if missing:
                fault = "protection-too-weak"
                raise IsolationError(
                    f"required, but not to be had on this machine: {', '.join(missing)}", reason="protection-too-weak"
                )
            fault = None
        finally:
            if fault is not None:
                self._give_back(worker, fault, replace=False)
        self._protection = protection
        return protection

    def _give_back(self, worker: Worker, fault: str | None = None, *, replace: bool = True) -> None:
        """Keep the worker, or end it after a fault or when it has done its share, and start the next one early."""
        if fault is None and not self._closed and worker.tasks < self._isolation.recycle and not worker.is_worn:
            with self._change:
                if not self._closed:
                    self._idle.append(worker)
                    self._change.notify()
                    return
        worker.end()
        with self._change:
            self._all.discard(worker)
            if not self._closed:
                self._counts["replaced" if fault is None else "lost"] += 1
                if fault is not None and replace:
                    self._counts[fault] += 1
                if replace:
                    with suppress(IsolationError):  # the next task says so
                        self._idle.insert(0, self._started())
            self._change.notify()

    def _count(self, name: str) -> None:
        with self._change:
            self._counts[name] += 1

    def _leave_to_parent(self) -> None:
        for worker in self._all:
            worker.disown()
        self._finalizer.detach()
        self._begin()


def _end_all(workers: set[Worker], process: int) -> None:
    if process == os.getpid():
        for worker in workers:
            worker.end()
