"""`Turns`: who is served next while there are more tasks than workers. Every wait in here has an end."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hashmatch.errors import BusyError, IsolationError

if TYPE_CHECKING:
    from hashmatch.jail.worker import Worker

__all__ = ["QueueTurn", "Turns", "closed"]

_LOOK_AGAIN: Final = 1.0
_PASSES: Final = 8
_FIRST_GUESS: Final = {False: 0.05, True: 1.0}  # seconds at a worker, by whether the task is dear
_WEIGHT: Final = 0.2  # of the last task in the recent mean


@dataclass(slots=True, eq=False, kw_only=True)
class QueueTurn:
    """One task's place in the queue, then at a worker.

    Attributes
    ----------
    is_dear : bool
        Whether the task takes much longer than most.
    has_place : bool
        Whether it may use a worker now.
    worker : Worker or None
        The worker it uses.
    """

    is_dear: bool = False
    has_place: bool = False
    worker: Worker | None = None
    called: threading.Event = field(default_factory=threading.Event)


class Turns:
    """A number of places, given out in the order in which they are asked for.

    Dear tasks have a queue of their own and at most half of the places, one at least, so that many of them never hold
    up the others: those go first, but after eight that passed it the first dear one is next.

    Parameters
    ----------
    places : int
        Tasks that may be at work together, 1 or more.
    """

    def __init__(self, places: int) -> None:
        self._lock = threading.RLock()  # a signal's handler may ask in the middle of an answer
        self._free = places
        self._free_for_dear = max(1, places // 2)
        self._places, self._places_for_dear = self._free, self._free_for_dear
        self._recent = dict(_FIRST_GUESS)
        self._passed = 0
        self._closed = False
        self._cheap: deque[QueueTurn] = deque()
        self._dear: deque[QueueTurn] = deque()

    def expected_wait(self, *, is_dear: bool = False) -> float:
        """Predict for how many seconds one more task waits, from the tasks before it and how long recent ones took."""
        with self._lock:
            if self._free and not self._lane(QueueTurn(is_dear=is_dear)) and (not is_dear or self._free_for_dear):
                return 0.0
            return self._wait_of(1 + len(self._dear if is_dear else self._cheap), is_dear=is_dear)

    def _wait_of(self, ahead: int, *, is_dear: bool) -> float:
        """Predict when the last of this many waiting tasks of a lane begins."""
        dear_at_work = self._places_for_dear - self._free_for_dear
        if not is_dear:
            return ahead * self._recent[False] / max(1, self._places - dear_at_work)
        passed = _PASSES * self._recent[False] / self._places if self._cheap else 0.0
        return ahead * (self._recent[True] / self._places_for_dear + passed)

    def note(self, seconds: float, *, is_dear: bool) -> None:
        """Take down how long a task was at its worker."""
        with self._lock:
            self._recent[is_dear] += _WEIGHT * (seconds - self._recent[is_dear])

    def wait_for(
        self,
        turn: QueueTurn,
        *,
        until: float | None = None,
        most_waiting: int | None = None,
        most_seconds: float | None = None,
    ) -> None:
        """Wait for a place; `give_back` must follow, whatever comes of this.

        Parameters
        ----------
        turn : QueueTurn
            A fresh one.
        until : float, optional
            Reading of `time.monotonic` after which it is no longer waited.
        most_waiting : int, optional
            Tasks that may wait together, this one included.
        most_seconds : float, optional
            Longest wait that may be predicted.

        Raises
        ------
        BusyError
            If as many wait already, the wait would be longer, or the time is over.
        IsolationError
            With the reason ``closed``.
        """
        with self._lock:
            self._lane(turn).append(turn)
            self._deal()
            if not turn.has_place and most_waiting is not None and len(self._cheap) + len(self._dear) > most_waiting:
                raise BusyError(f"{most_waiting} pictures wait for a worker already", reason="queue-full")
            if not turn.has_place and most_seconds is not None:
                seconds = self._wait_of(len(self._lane(turn)), is_dear=turn.is_dear)
                if seconds > most_seconds:
                    raise BusyError("the wait for a worker would be longer than is allowed", reason="queue-full")
        while not turn.has_place:
            if self._closed:
                raise closed()
            left = _LOOK_AGAIN if until is None else min(_LOOK_AGAIN, until - time.monotonic())
            if left <= 0:
                raise BusyError("no worker was free in the time given", reason="timeout")
            if not turn.called.wait(left):
                with self._lock:
                    self._deal()

    @property
    def waiting(self) -> tuple[int, int]:
        """Number of tasks that wait: cheap ones, and dear ones."""
        return len(self._cheap), len(self._dear)

    def give_back(self, turn: QueueTurn) -> None:
        """Give the place to the next, or leave the queue."""
        with self._lock:
            if turn.has_place:
                turn.has_place = False
                self._free += 1
                self._free_for_dear += turn.is_dear
            else:
                with suppress(ValueError):
                    self._lane(turn).remove(turn)
            self._deal()

    def close(self) -> None:
        """Send everybody away who waits."""
        with self._lock:
            self._closed = True
            for turn in (*self._cheap, *self._dear):
                turn.called.set()

    def _lane(self, turn: QueueTurn) -> deque[QueueTurn]:
        return self._dear if turn.is_dear else self._cheap

    def _deal(self) -> None:
        while self._free and not self._closed and (turn := self._next()) is not None:
            turn.has_place = True
            self._free -= 1
            self._free_for_dear -= turn.is_dear
            turn.called.set()

    def _next(self) -> QueueTurn | None:
        dear_can = bool(self._dear) and self._free_for_dear > 0
        if self._cheap and not (dear_can and self._passed >= _PASSES):
            self._passed += dear_can
            return self._cheap.popleft()
        if dear_can:
            self._passed = 0
            return self._dear.popleft()
        return None


def closed() -> IsolationError:
    """Make the error for a task that a close came before."""
    return IsolationError("the worker processes have been closed", reason="closed")
