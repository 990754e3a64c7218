"""How many false reports a search by evidence spends, from what was measured between unrelated pictures.

What was measured is kept with its sample. Beyond it the tail is taken to fall exponentially, and for longer lists to
grow in proportion; both are extrapolations, and `FalseReports.is_extrapolated` says so. A list shorter than the
measured one has fewer entries to fit by chance, but fewer rivals that give the chance away, and is charged no less;
where the measured list thinned out at random spends more, it is charged that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

__all__ = [
    "DistanceTail",
    "EvidenceTail",
    "FalseReports",
    "Pictures",
    "SeenPairs",
    "Views",
    "evidence_false_reports",
    "poisson_upper",
]

Pictures = Literal["photo", "low-texture", "template"]
"""Kinds of pictures that were measured apart."""

Views = Literal["plain", "turns", "trims", "negatives"]

_FEW: Final = 10


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceTail:
    """How near unrelated pictures come by one algorithm and one kind of view.

    Parameters
    ----------
    algorithm : str
        Whose hashes.
    views : str
        ``"plain"`` (the picture as it is), ``"turns"`` (the seven others), ``"trims"`` or ``"negatives"`` (in all
        eight turns); the least distance over all views of the kind counts.
    pictures : str
        Kind of the queries.
    queries, entries : int
        Pictures looked up, and hashes in the list, each of another picture.
    n_views : float
        Views of the kind that a query has on the mean.
    within : tuple of (int, int)
        Distance, and how many of queries x entries pairs lie within it; distances ascend.
    """

    algorithm: str
    views: Views
    pictures: Pictures
    queries: int
    entries: int
    n_views: float
    within: tuple[tuple[int, int], ...]

    @property
    def comparisons(self) -> int:
        """Pairs compared."""
        return self.queries * self.entries

    @property
    def fall(self) -> float:
        """Distance over which the count falls to 1/e: the slowest between two neighbours with ten pairs or more.

        Infinite where fewer than two have ten pairs.
        """
        known = [(distance, count) for distance, count in self.within if count >= _FEW]
        falls = [
            (far - near) / math.log(more / fewer) for (near, fewer), (far, more) in pairwise(known) if more > fewer
        ]
        return max(falls, default=math.inf)

    def seen(self, threshold: int) -> int:
        """Pairs seen within a threshold, or within the next distance that was counted.

        Raises
        ------
        LookupError
            If the threshold lies beyond the distances that were measured.
        """
        for distance, count in self.within:
            if distance >= threshold:
                return count
        raise LookupError(f"{self.algorithm} was measured to a distance of {self.within[-1][0]}")

    def expected(self, threshold: int, n_entries: int) -> FalseReports:
        """Say what one unrelated picture spends.

        Parameters
        ----------
        threshold : int
            Largest distance that is a match.
        n_entries : int
            Hashes in the list, 0 or more.

        Returns
        -------
        FalseReports
            Where pairs were seen within the threshold, their share. Where none was, the share of the nearest distance
            with ten pairs, fallen on at the slowest rate seen, but no more than 3 / n; the bound is then 3 / n.

        Raises
        ------
        LookupError
            If the threshold lies beyond the distances that were measured.

        Notes
        -----
        The bound takes pairs as independent, which those of one query or one entry are not.
        """
        seen, scale = self.seen(threshold), n_entries / self.comparisons
        count: float = seen
        if not seen:
            first = next((item for item in self.within if item[1] >= _FEW), (threshold, 3))
            count = min(3.0, first[1] * math.exp((threshold - first[0]) / self.fall))
        return FalseReports(
            per_picture=count * scale,
            upper=poisson_upper(seen) * scale,
            is_extrapolated=not seen or n_entries > self.entries,
        )


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
        return max((item for item in self.over if item[1] >= _FEW), default=self.over[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPairs:
    """Reports of keypoint records counted between unrelated pictures.

    Parameters
    ----------
    false, pairs : int
        Reports, and pairs of a query and an entry.
    entries : int
        Size of the list.
    """

    false: int
    pairs: int
    entries: int


def evidence_false_reports(min_evidence: float, n_entries: int, tail: EvidenceTail, *, turns: int = 1) -> FalseReports:
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
