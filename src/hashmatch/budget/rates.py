"""How many false reports a search by evidence spends, from what was measured between unrelated pictures.

What was measured is kept with its sample. Beyond it the tail is taken to fall exponentially, and for longer lists to
grow in proportion; both are extrapolations, and `FalseReports.is_extrapolated` says so. A list shorter than the
measured one has fewer entries to fit by chance, but fewer rivals that give the chance away, and is charged no less;
where the measured list thinned out at random spends more, it is charged that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hashmatch.budget.evidence import PHOTO_TAIL, EvidenceTail

__all__ = ["FalseReports", "evidence_false_reports", "poisson_upper"]


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
    rate, upper = count * share, poisson_upper(count) * share
    beyond = min_evidence > tail.base[0] or compared > tail.entries
    if not tail.thinned:
        return FalseReports(per_picture=rate, upper=upper, is_extrapolated=beyond)
    level, worst = max(item for item in tail.thinned if item[0] <= min_evidence)
    worst *= turns * math.exp((level - min_evidence) / tail.thinned_fall)
    return FalseReports(per_picture=max(rate, worst), upper=max(upper, worst * upper / rate), is_extrapolated=beyond)


def poisson_upper(count: int) -> float:
    """95 % upper bound of the mean of a Poisson count (Wilson and Hilferty); 3 for none."""
    if count == 0:
        return 3.0
    n = count + 1
    bound: float = n * (1 - 1 / (9 * n) + 1.645 / (3 * math.sqrt(n))) ** 3
    return bound
