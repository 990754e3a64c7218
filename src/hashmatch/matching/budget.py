"""How many false reports a search by evidence spends, from what was measured between unrelated pictures.

What was measured is kept with its sample. Beyond it the tail is taken to fall exponentially, and for longer lists to
grow in proportion; both are extrapolations, and `FalseReports.is_extrapolated` says so. A list shorter than the
measured one has fewer entries to fit by chance, but fewer rivals that give the chance away, and is charged no less;
where the measured list thinned out at random spends more, it is charged that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import PolicyError

__all__ = [
    "PHOTO_TAIL",
    "SCREENSHOT_TAIL",
    "EvidenceTail",
    "FalseReports",
    "check_crop_budget",
    "evidence_false_reports",
]

_ENOUGH: Final = 10


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
        Nats over which the count falls to 1/e: mean excess of the largest.
    thinned : tuple of (float, float)
        Evidence, nats, and false reports per picture and turn at the worst size of a shorter list; ascending. Empty
        where no shorter list spends more.
    thinned_fall : float
        Nats over which those fall to 1/e.
    """

    queries: int
    entries: int
    over: tuple[tuple[float, int], ...]
    fall: float
    thinned: tuple[tuple[float, float], ...] = ()
    thinned_fall: float = math.inf

    @property
    def base(self) -> tuple[float, int]:
        """Highest level that at least ten of the queries reached, from which the tail is drawn out."""
        return max((item for item in self.over if item[1] >= _ENOUGH), default=self.over[0])


PHOTO_TAIL: Final = EvidenceTail(
    queries=40_917,
    entries=1_000_000,
    over=(
        (-60.0, 233),
        (-50.0, 121),
        (-40.0, 54),
        (-30.0, 27),
        (-20.0, 11),
        (-10.0, 5),
        (0.0, 3),
        (10.0, 2),
        (20.0, 1),
        (24.0, 1),
        (30.0, 1),
    ),
    fall=13.5,
    thinned=(
        (-20.0, 3.0e-04),
        (-10.0, 1.4e-04),
        (0.0, 6.7e-05),
        (10.0, 3.3e-05),
        (20.0, 2.0e-05),
        (30.0, 1.3e-05),
        (40.0, 8.4e-06),
        (50.0, 5.4e-06),
        (60.0, 3.5e-06),
        (70.0, 2.2e-06),
        (80.0, 1.4e-06),
    ),
    thinned_fall=22.5,
)
"""Synthetic photographs against a million hashes of others; ``benchmarks/results/crops.json``."""

SCREENSHOT_TAIL: Final = EvidenceTail(
    queries=1_025,
    entries=48_000,
    over=((-60.0, 54), (-50.0, 25), (-40.0, 12), (-30.0, 4), (-20.0, 3), (-10.0, 2)),
    fall=12.9,
    thinned=(
        (-20.0, 1.5e-02),
        (-10.0, 7.6e-03),
        (0.0, 4.4e-03),
        (10.0, 2.7e-03),
        (20.0, 1.6e-03),
        (30.0, 9.9e-04),
        (40.0, 6.0e-04),
        (50.0, 3.7e-04),
        (60.0, 2.2e-04),
        (70.0, 1.4e-04),
        (80.0, 8.2e-05),
    ),
    thinned_fall=20.1,
)
"""Synthetic screenshots, the worst of the template-heavy kinds, against 6,000 pictures of four such kinds."""


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


def evidence_false_reports(
    min_evidence: float, n_entries: int, tail: EvidenceTail = PHOTO_TAIL, *, turns: int = 1
) -> FalseReports:
    """Say what a search by evidence spends.

    Parameters
    ----------
    min_evidence : float
        Least evidence reported, nats; at least the lowest level measured, which may be below 0.
    n_entries : int
        Size of the list, 0 or more.
    tail : EvidenceTail
        Measured on the kind of picture in question.
    turns : int
        Turns of the query that are searched, 1 to 8.

    Returns
    -------
    FalseReports
        For one unrelated picture: by the tail, for longer lists than the measured one in proportion to their length,
        and never less than a thinned list would.

    Raises
    ------
    ValueError
        If the evidence is below what was measured, the size negative, or the turns out of range.
    """
    if n_entries < 0:
        raise ValueError(f"a list has 0 or more entries, not {n_entries}")
    if not 1 <= turns <= 8:
        raise ValueError(f"a picture has 1 to 8 turns, not {turns}")
    lowest = max(item[0] for item in (tail.over[0], *tail.thinned[:1]))
    if min_evidence < lowest:
        raise ValueError(f"evidence was measured from {lowest:g} nats on, not from {min_evidence:g}")
    compared = n_entries * turns
    if not compared:
        return FalseReports(per_picture=0.0, upper=0.0, is_extrapolated=False)
    level, count = max(item for item in tail.over if item[0] <= min(min_evidence, tail.base[0]))
    share = math.exp((level - min_evidence) / tail.fall) * max(1.0, compared / tail.entries) / tail.queries
    rate, upper = count * share, _upper(count) * share
    beyond = min_evidence > tail.base[0] or compared > tail.entries
    if not tail.thinned:
        return FalseReports(per_picture=rate, upper=upper, is_extrapolated=beyond)
    level, worst = max(item for item in tail.thinned if item[0] <= min_evidence)
    worst *= turns * math.exp((level - min_evidence) / tail.thinned_fall)
    return FalseReports(per_picture=max(rate, worst), upper=max(upper, worst * upper / rate), is_extrapolated=beyond)


def check_crop_budget(
    min_evidence: float, n_entries: int, allowed: float, tail: EvidenceTail = PHOTO_TAIL, *, turns: int = 1
) -> FalseReports:
    """Refuse a crop search that spends too much.

    Parameters
    ----------
    min_evidence, n_entries, tail, turns
        As for `evidence_false_reports`.
    allowed : float
        Most false reports per unrelated picture.

    Raises
    ------
    PolicyError
        If more is to be expected; the message has the figure.
    """
    spent = evidence_false_reports(min_evidence, n_entries, tail, turns=turns)
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
