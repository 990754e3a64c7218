"""Measured tails: how often hashes of unrelated synthetic pictures lie within a distance of each other.

``python -m benchmarks.views --tails`` measures anew. Pictures of 144 x 192 px and like sizes, quality 50 or more,
seeds from 7,600,000 (lists) and 7,800,000 (queries). Photographs and portraits are apart from pictures of low texture,
which resemble each other; template-heavy ones have a template of their own each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from hashmatch.budget.evidence import Pictures
from hashmatch.budget.rates import FalseReports, poisson_upper

__all__ = [
    "KEYPOINT_PAIRS",
    "SHRINKS_ADD",
    "TAILS",
    "DistanceTail",
    "SeenPairs",
    "Views",
]

Views = Literal["plain", "turns", "trims", "negatives"]

_FEW: Final = 10


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


_Row = tuple[Views, Pictures, int, float, tuple[int, ...]]


def _tails(
    algorithm: str, entries: int, distances: tuple[int, ...], rows: tuple[_Row, ...]
) -> tuple[DistanceTail, ...]:
    """Tails of one algorithm; a row may end before the farthest distance."""
    return tuple(
        DistanceTail(
            algorithm=algorithm,
            views=views,
            pictures=pictures,
            queries=queries,
            entries=entries,
            n_views=n_views,
            within=tuple(zip(distances, counts, strict=False)),
        )
        for views, pictures, queries, n_views, counts in rows
    )


_PDQ: Final = _tails(
    "pdq",
    100_000,
    (16, 20, 24, 28, 31, 34, 38, 42, 46, 50, 54, 58, 62, 66),
    (
        ("plain", "photo", 18_168, 1.0, (0, 0, 0, 0, 0, 0, 0, 1, 4, 14, 51, 178, 558, 1505)),
        ("turns", "photo", 18_168, 7.0, (0, 0, 0, 0, 0, 0, 0, 1, 2, 12, 63, 183, 556, 1518)),
        ("trims", "photo", 18_168, 0.02692, (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 9)),
        ("plain", "low-texture", 1_832, 1.0, (0, 1, 1, 2, 2, 3, 4, 5, 7, 13, 16, 19, 28, 36)),
        ("turns", "low-texture", 1_832, 7.0, (2, 2, 3, 8, 8, 12, 16, 23, 31, 41, 61, 82, 108, 148)),
        ("trims", "low-texture", 1_832, 0.0191, (0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3)),
        ("plain", "template", 20_000, 1.0, (3, 6, 18, 73, 158, 588, 1936, 5718, 15428, 37065, 83126, 173801)),
        ("turns", "template", 20_000, 7.0, (0, 0, 0, 0, 0, 0, 0, 7, 19, 68, 206, 599)),
        ("trims", "template", 20_000, 2.698, (0, 0, 0, 0, 0, 0, 3, 17, 62, 215, 769, 2558)),
    ),
)
_NEGATIVES: Final = _tails(
    "pdq",
    8_000,
    (31, 34, 38, 42, 46, 50, 54, 58),
    (("negatives", "template", 3_000, 8.0, (0, 0, 0, 1, 3, 15, 27, 71)),),
)
"""Light and dark screens; of 2,732 photographs and portraits 6 pairs lay within 66 bits, where turns have 18."""

_PHASH: Final = _tails(
    "phash",
    20_000,
    (6, 7, 8, 9, 10, 11, 12),
    (
        ("plain", "photo", 1_822, 1.0, (0, 0, 10, 10, 111, 111, 644)),
        ("turns", "photo", 1_822, 7.0, (0, 0, 19, 19, 184, 184, 1293)),
        ("plain", "low-texture", 178, 1.0, (0, 0, 1, 1, 4, 4, 18)),
        ("turns", "low-texture", 178, 7.0, (5, 5, 8, 8, 27, 27, 150)),
    ),
)
_DHASH: Final = _tails(
    "dhash",
    20_000,
    (4, 5, 6, 7, 8, 9, 10),
    (
        ("plain", "photo", 1_822, 1.0, (2, 2, 10, 35, 82, 165, 357)),
        ("turns", "photo", 1_822, 7.0, (17, 34, 81, 166, 340, 681, 1353)),
        ("plain", "low-texture", 178, 1.0, (1, 3, 5, 10, 16, 26, 46)),
        ("turns", "low-texture", 178, 7.0, (16, 33, 55, 115, 236, 465, 909)),
    ),
)
_WHASH: Final = _tails(
    "whash",
    20_000,
    (1, 2, 3, 4, 5, 6, 7),
    (
        ("plain", "photo", 1_822, 1.0, (12, 121, 121, 943, 943, 5016, 5017)),
        ("turns", "photo", 1_822, 7.0, (74, 746, 746, 5376, 5376, 26228, 26230)),
        ("plain", "low-texture", 178, 1.0, (29, 211, 211, 1259, 1259, 3910, 3910)),
        ("turns", "low-texture", 178, 7.0, (60, 520, 520, 3195, 3195, 11313, 11314)),
    ),
)
_AHASH: Final = _tails(
    "ahash",
    20_000,
    (1, 2, 3, 4, 5, 6, 7),
    (
        ("plain", "photo", 1_822, 1.0, (11, 47, 171, 571, 1412, 3362, 7106)),
        ("turns", "photo", 1_822, 7.0, (70, 264, 971, 2804, 7155, 16518, 34160)),
        ("plain", "low-texture", 178, 1.0, (50, 124, 241, 511, 980, 1832, 3352)),
        ("turns", "low-texture", 178, 7.0, (68, 200, 507, 1131, 2463, 4940, 9393)),
    ),
)
_PHASH_256: Final = _tails(
    "phash-256",
    20_000,
    (31, 35, 39, 43, 47, 51, 55),
    (
        ("plain", "photo", 1_822, 1.0, (0, 0, 0, 0, 1, 1, 1)),
        ("turns", "photo", 1_822, 7.0, (0, 0, 0, 0, 0, 1, 3)),
        ("plain", "low-texture", 178, 1.0, (0, 0, 0, 0, 0, 0, 0)),
        ("turns", "low-texture", 178, 7.0, (0, 0, 0, 0, 0, 0, 1)),
    ),
)
_DHASH_256: Final = _tails(
    "dhash-256",
    20_000,
    (20, 24, 28, 32, 36, 40, 44),
    (
        ("plain", "photo", 1_822, 1.0, (0, 0, 1, 1, 2, 4, 15)),
        ("turns", "photo", 1_822, 7.0, (0, 0, 3, 6, 9, 26, 64)),
        ("plain", "low-texture", 178, 1.0, (0, 0, 0, 0, 2, 6, 13)),
        ("turns", "low-texture", 178, 7.0, (0, 1, 2, 10, 23, 51, 123)),
    ),
)
_WHASH_256: Final = _tails(
    "whash-256",
    20_000,
    (8, 12, 16, 20, 24, 28, 32),
    (
        ("plain", "photo", 1_822, 1.0, (2, 7, 31, 92, 309, 960, 2389)),
        ("turns", "photo", 1_822, 7.0, (16, 59, 208, 666, 1941, 5137, 11974)),
        ("plain", "low-texture", 178, 1.0, (11, 41, 134, 417, 982, 2166, 4061)),
        ("turns", "low-texture", 178, 7.0, (18, 70, 289, 820, 2138, 5002, 9791)),
    ),
)
_AHASH_256: Final = _tails(
    "ahash-256",
    20_000,
    (8, 12, 16, 20, 24, 28, 32),
    (
        ("plain", "photo", 1_822, 1.0, (0, 2, 14, 75, 256, 755, 1930)),
        ("turns", "photo", 1_822, 7.0, (3, 23, 113, 408, 1277, 3585, 8807)),
        ("plain", "low-texture", 178, 1.0, (18, 44, 96, 269, 634, 1357, 2699)),
        ("turns", "low-texture", 178, 7.0, (17, 52, 148, 505, 1384, 3174, 6475)),
    ),
)
_PHASH_TEMPLATE: Final = _tails(
    "phash",
    10_000,
    (6, 7, 8, 9, 10, 11, 12),
    (
        ("plain", "template", 1_000, 1.0, (2948, 2948, 9321, 9321, 20799, 20799, 37621)),
        ("turns", "template", 1_000, 7.0, (37, 37, 162, 162, 688, 688, 2840)),
    ),
)
_DHASH_TEMPLATE: Final = _tails(
    "dhash",
    10_000,
    (4, 5, 6, 7, 8, 9, 10),
    (
        ("plain", "template", 1_000, 1.0, (337, 720, 1435, 2489, 4079, 6361, 9769)),
        ("turns", "template", 1_000, 7.0, (0, 2, 12, 33, 106, 313, 880)),
    ),
)
_WHASH_TEMPLATE: Final = _tails(
    "whash",
    10_000,
    (1, 2, 3, 4, 5, 6, 7),
    (
        ("plain", "template", 1_000, 1.0, (360, 4254, 4257, 16237, 16242, 40635, 40662)),
        ("turns", "template", 1_000, 7.0, (23, 780, 781, 5734, 5756, 23064, 23251)),
    ),
)
_AHASH_TEMPLATE: Final = _tails(
    "ahash",
    10_000,
    (1, 2, 3, 4, 5, 6, 7),
    (
        ("plain", "template", 1_000, 1.0, (2895, 7259, 14793, 26793, 43320, 64141, 87857)),
        ("turns", "template", 1_000, 7.0, (2473, 5631, 10592, 18381, 29555, 45155, 65178)),
    ),
)
_PHASH_256_TEMPLATE: Final = _tails(
    "phash-256",
    10_000,
    (31, 35, 39, 43, 47, 51, 55),
    (
        ("plain", "template", 1_000, 1.0, (9, 17, 54, 167, 438, 946, 1925)),
        ("turns", "template", 1_000, 7.0, (0, 0, 0, 0, 0, 0, 3)),
    ),
)
_DHASH_256_TEMPLATE: Final = _tails(
    "dhash-256",
    10_000,
    (20, 24, 28, 32, 36, 40, 44),
    (
        ("plain", "template", 1_000, 1.0, (0, 3, 44, 238, 918, 2628, 5725)),
        ("turns", "template", 1_000, 7.0, (0, 0, 0, 0, 1, 1, 1)),
    ),
)
_WHASH_256_TEMPLATE: Final = _tails(
    "whash-256",
    10_000,
    (8, 12, 16, 20, 24, 28, 32),
    (
        ("plain", "template", 1_000, 1.0, (87, 917, 3150, 7208, 14689, 27886, 45723)),
        ("turns", "template", 1_000, 7.0, (0, 1, 6, 14, 53, 185, 855)),
    ),
)
_AHASH_256_TEMPLATE: Final = _tails(
    "ahash-256",
    10_000,
    (8, 12, 16, 20, 24, 28, 32),
    (
        ("plain", "template", 1_000, 1.0, (2769, 5645, 8415, 12040, 17908, 27570, 41964)),
        ("turns", "template", 1_000, 7.0, (4, 78, 571, 2075, 4770, 8127, 13239)),
    ),
)
TAILS: Final = (
    *_PDQ,
    *_NEGATIVES,
    *_PHASH,
    *_DHASH,
    *_WHASH,
    *_AHASH,
    *_PHASH_256,
    *_DHASH_256,
    *_WHASH_256,
    *_AHASH_256,
    *_PHASH_TEMPLATE,
    *_DHASH_TEMPLATE,
    *_WHASH_TEMPLATE,
    *_AHASH_TEMPLATE,
    *_PHASH_256_TEMPLATE,
    *_DHASH_256_TEMPLATE,
    *_WHASH_256_TEMPLATE,
    *_AHASH_256_TEMPLATE,
)
"""Every tail; the lists are mixes: of photographs, portraits and low texture, or of the five template-heavy kinds."""


SHRINKS_ADD: Final[dict[Pictures, float]] = {"photo": 0.4, "low-texture": 0.4, "template": 1.1}
"""Pairs near by a shrunk view alone, for each that is near as it is.

Photographs and portraits: 42 for 108 within 64 bits, of 4,525 pictures of over 512 px and 50,000 hashes. Pictures of
low texture had one near pair, and are taken for those. Template-heavy ones: 212 for 203 within 43 bits, 31 for 28
within 37. ``python -m benchmarks.views --shrunk``.
"""


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


KEYPOINT_PAIRS: Final[dict[Pictures, SeenPairs]] = {
    "photo": SeenPairs(false=0, pairs=5_000_000, entries=5_000),
    "low-texture": SeenPairs(false=0, pairs=5_000_000, entries=5_000),
    "template": SeenPairs(false=0, pairs=5_000_000, entries=5_000),
}
"""By kind of the query, as ``python -m benchmarks.keypoints`` counts them at the judge's own level.

Pictures of low texture were not asked for by themselves; they have few points, and are taken for photographs.
"""
