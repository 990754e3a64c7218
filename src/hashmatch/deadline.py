"""`Deadline`: until when an answer is of use to the caller."""

from __future__ import annotations

import math
import time
from typing import Final

from hashmatch.errors import BusyError

__all__ = ["NO_DEADLINE", "Deadline"]


class Deadline:
    """The end of the time that a caller gives for one answer.

    Parameters
    ----------
    seconds : float or None
        Time from now, above 0; None is no end.
    wait : bool
        Whether to wait for a worker process however many do so already; else the isolation's ``queue`` holds.

    Attributes
    ----------
    until : float or None
        Reading of `time.monotonic`.

    Raises
    ------
    ValueError
        If the time is no number above 0.
    """

    __slots__ = ("until", "wait")

    def __init__(self, seconds: float | None = None, *, wait: bool = True) -> None:
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise ValueError("timeout must be a number of seconds, or None")
        if seconds is not None and not 0 < seconds < math.inf:
            raise ValueError("timeout must be above 0 seconds")
        self.until = None if seconds is None else time.monotonic() + seconds
        self.wait = wait

    def check(self) -> bool:
        """Return False, so that it can stand where somebody asks whether to stop.

        Raises
        ------
        BusyError
            If the time is over.
        """
        if self.until is not None and time.monotonic() >= self.until:
            raise BusyError("there was no answer in the time given")
        return False

    def sooner(self, seconds: float) -> Deadline:
        """Give this deadline, or that of so many seconds from now where it comes first."""
        own = Deadline(seconds, wait=self.wait)
        return self if self.until is not None and own.until is not None and self.until <= own.until else own


NO_DEADLINE: Final = Deadline()
