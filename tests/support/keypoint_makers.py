"""Makers of local descriptors: unrelated pictures, and queries that show a part of one with some bits wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashmatch.index import KeypointIndex, pack_geometry

MIRROR = np.full(16, 0b01010101, np.uint8)
"""Bits that the makers' mirror image turns over."""


@dataclass
class Pictures:
    """Codes and places of many pictures, each of the same number of points."""

    codes: np.ndarray
    places: np.ndarray
    geometry: np.ndarray
    starts: np.ndarray

    def index(self, **options: Any) -> KeypointIndex:
        """Index them."""
        n = len(self.starts) - 1
        return KeypointIndex.build(
            self.codes, np.repeat(np.arange(n), np.diff(self.starts)), self.geometry, n_entries=n, **options
        )

    def seen(
        self,
        entry: int,
        *,
        n_shared: int = 20,
        n_strange: int = 100,
        scale: float = 1.0,
        turn: float = 0.0,
        mirror: bool = False,
        seed: int = 0,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes, margins, geometry and mirrored codes of a query that shows ``n_shared`` points of an entry."""
        rng = np.random.default_rng([seed, entry])
        rows = self.starts[entry] + np.sort(rng.permutation(self.starts[entry + 1] - self.starts[entry])[:n_shared])
        x, y, sigma, angle = self.places[rows].T
        if mirror:
            x, angle = -x, np.pi - angle
        cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
        x, y = cos * x - sin * y, sin * x + cos * y
        geometry = pack_geometry(x - x.min() + 8, y - y.min() + 8, sigma * scale, angle + turn)
        margins = rng.exponential(0.25, (n_shared, 128))
        moved = rng.standard_cauchy((n_shared, 128)) * 0.02
        codes = self.codes[rows] ^ (MIRROR if mirror else np.uint8(0))
        codes = codes ^ np.packbits(moved > margins, axis=1)
        codes = np.concatenate((codes, rng.integers(0, 256, (n_strange, 16), dtype=np.uint8)))
        margins = np.concatenate((margins, rng.exponential(0.25, (n_strange, 128)))).astype(np.float32)
        geometry = np.concatenate((geometry, rng.integers(0, 256, (n_strange, 4), dtype=np.uint8)))
        return codes, margins, geometry, codes ^ MIRROR


def some_pictures(count: int, n_points: int, seed: int = 11) -> Pictures:
    """Make unrelated pictures."""
    rng = np.random.default_rng(seed)
    n = count * n_points
    codes = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    places = np.column_stack(
        (rng.uniform(0, 512, (n, 2)), 2 * np.exp2(rng.uniform(0, 3, n)), rng.uniform(0, 2 * np.pi, n))
    )
    return Pictures(codes, places, pack_geometry(*places.T), np.arange(count + 1) * n_points)
