"""Measured evidence: how much of it unrelated synthetic pictures reach by crops and by small rotations.

``python -m benchmarks.crops`` and ``python -m benchmarks.rotations`` measure anew; seeds stand in their results. What a
search is to be expected to spend by these is worked out in `hashmatch.budget.rates`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["PHOTO_TAIL", "ROTATION_TAILS", "SCREENSHOT_TAIL", "EvidenceTail", "Pictures"]

Pictures = Literal["photo", "low-texture", "template"]
"""Kinds of pictures that were measured apart."""

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

ROTATION_TAILS: Final[dict[Pictures, EvidenceTail]] = {
    "photo": EvidenceTail(
        queries=56_908,
        entries=1_141_432,
        over=(
            (-60.0, 154),
            (-50.0, 111),
            (-40.0, 67),
            (-30.0, 35),
            (-20.0, 21),
            (-10.0, 13),
            (0.0, 7),
            (10.0, 3),
            (20.0, 2),
            (24.0, 1),
            (30.0, 1),
            (40.0, 1),
            (50.0, 1),
            (60.0, 1),
        ),
        fall=20.0,
    ),
    "low-texture": EvidenceTail(
        queries=1_179,
        entries=1_141_432,
        over=(
            (-60.0, 14),
            (-50.0, 13),
            (-40.0, 12),
            (-30.0, 10),
            (-20.0, 9),
            (-10.0, 8),
            (0.0, 6),
            (10.0, 3),
            (20.0, 3),
            (24.0, 2),
            (30.0, 2),
            (40.0, 1),
        ),
        fall=36.6,
    ),
    "template": EvidenceTail(
        queries=2_999,
        entries=103_984,
        over=((-60.0, 87), (-50.0, 60), (-40.0, 32), (-30.0, 17), (-20.0, 6), (-10.0, 2), (0.0, 1)),
        fall=14.4,
        thinned=(
            (-20.0, 3.7e-03),
            (-10.0, 2.1e-03),
            (0.0, 1.3e-03),
            (10.0, 7.8e-04),
            (20.0, 5.1e-04),
            (30.0, 3.6e-04),
            (40.0, 2.6e-04),
            (50.0, 1.9e-04),
            (60.0, 1.3e-04),
            (70.0, 9.7e-05),
            (80.0, 6.9e-05),
        ),
        thinned_fall=30.2,
    ),
}
"""Queries for which, turned back by a few degrees, an entry has evidence of -60 nats or more.

40,916 photographs and 15,992 portraits; ``benchmarks/results/rotations.json``. Of photographs the fall is that by which
their one largest, of 62 nats, would be expected; of the others the slowest mean excess of the largest 10 to 60.
"""
