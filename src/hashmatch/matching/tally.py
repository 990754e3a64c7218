"""`Tally`: how many pictures had which outcome and reason, counted by all threads."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from hashmatch.matching.report import Outcome

if TYPE_CHECKING:
    from hashmatch.matching.report import MatchReport

__all__ = ["Tally"]


class Tally:
    """Counts of reports; grows with `count`."""

    __slots__ = ("_change", "_outcomes", "_reasons")

    def __init__(self) -> None:
        self._change = threading.Lock()
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()

    def renew(self) -> None:
        """Take a fresh lock, in a forked child."""
        self._change = threading.Lock()

    def count(self, report: MatchReport) -> None:
        """Add one report."""
        with self._change:
            self._outcomes[report.outcome] += 1
            if report.reason is not None:
                self._reasons[report.reason] += 1

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Give the counts by outcome (all four, even where 0) and by reason."""
        with self._change:
            return {
                "outcomes": {outcome.value: self._outcomes[outcome] for outcome in Outcome},
                "reasons": dict(sorted(self._reasons.items())),
            }
