"""How many false reports a crop search spends, from measured evidence between unrelated pictures.

What was measured is kept with its sample. Beyond it the tail is taken to fall exponentially at the slowest rate seen,
and in proportion to the size of the list; both are extrapolations, and `FalseReports.is_extrapolated` says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import PolicyError

__all__ = ["PHOTO_TAIL", "SCREENSHOT_TAIL", "EvidenceTail", "FalseReports", "check_crop_budget", "crop_false_reports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceTail:
    """Measured evidence between unrelated pictures.

    Parameters
    ----------
    queries, entries : int
        Unrelated pictures looked up, and hashes in the list.
    over : tuple of (float, int)
        Evidence, nats, and how many of the queries reached it; ascending.
    fall : float
        Nats over which the count falls to 1/e; the slowest between two of the levels.
    """

    queries: int
    entries: int
    over: tuple[tuple[float, int], ...]
    fall: float


PHOTO_TAIL: Final = EvidenceTail(
    queries=2_995, entries=159_904, over=((20.0, 23), (30.0, 8), (40.0, 2), (50.0, 2)), fall=9.5
)
"""Synthetic photographs not tuned on, against 20,000 others in eight turns; ``benchmarks/results/crops.json``."""

SCREENSHOT_TAIL: Final = EvidenceTail(
    queries=2_182, entries=96_000, over=((20.0, 139), (30.0, 60), (40.0, 14), (50.0, 4)), fall=11.9
)
"""Synthetic screenshots, the worst of the template-heavy kinds, against 12,000 pictures of four such kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseReports:
    """Expected false reports.

    Parameters
    ----------
    per_picture : float
        Expectation for one unrelated picture.
    upper : float
        The same from the 95 % upper bound of the count it rests on.
    is_extrapolated : bool
        Whether it lies beyond the evidence or the list size that was measured.
    """

    per_picture: float
    upper: float
    is_extrapolated: bool

    def per_day(self, pictures: float) -> float:
        """Expect so many false reports a day, where so many unrelated pictures are looked up a day."""
        return self.per_picture * pictures


def crop_false_reports(min_evidence: float, n_entries: int, tail: EvidenceTail = PHOTO_TAIL) -> FalseReports:
    """Say what a crop search spends.

    Parameters
    ----------
    min_evidence : float
        Least evidence reported, nats; at least the lowest level measured.
    n_entries : int
        Size of the list, 0 or more.
    tail : EvidenceTail
        Measured on the kind of picture in question.

    Returns
    -------
    FalseReports
        For one unrelated picture.

    Raises
    ------
    ValueError
        If the evidence is below what was measured, or the size negative.
    """
    if n_entries < 0:
        raise ValueError(f"a list has 0 or more entries, not {n_entries}")
    levels = [item for item in tail.over if item[0] <= min_evidence]
    if not levels:
        raise ValueError(f"evidence was measured from {tail.over[0][0]:g} nats on, not from {min_evidence:g}")
    level, count = levels[-1]
    share = math.exp((level - min_evidence) / tail.fall) * n_entries / tail.entries / tail.queries
    beyond = min_evidence > tail.over[-1][0] or n_entries > tail.entries
    return FalseReports(per_picture=count * share, upper=_upper(count) * share, is_extrapolated=beyond)


def check_crop_budget(
    min_evidence: float, n_entries: int, allowed: float, tail: EvidenceTail = PHOTO_TAIL
) -> FalseReports:
    """Refuse a crop search that spends too much.

    Parameters
    ----------
    min_evidence, n_entries, tail
        As for `crop_false_reports`.
    allowed : float
        Most false reports per unrelated picture.

    Raises
    ------
    PolicyError
        If more is to be expected; the message has the figure.
    """
    spent = crop_false_reports(min_evidence, n_entries, tail)
    if spent.per_picture > allowed:
        raise PolicyError(
            f"a least evidence of {min_evidence:g} nats spends {spent.per_picture:.1e} false reports per picture "
            f"against {n_entries} entries; {allowed:.1e} are allowed"
        )
    return spent


def _upper(count: int) -> float:
    """95 % upper bound of a Poisson mean of which ``count`` were seen (Wilson and Hilferty)."""
    if count == 0:
        return 3.0
    n = count + 1
    bound: float = n * (1 - 1 / (9 * n) + 1.645 / (3 * math.sqrt(n))) ** 3
    return bound
