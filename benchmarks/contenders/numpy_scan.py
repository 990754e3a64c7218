"""A linear scan as one would write it in three lines of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

NAME = "NumPy scan"


def version() -> str:
    """Version of NumPy."""
    return np.__version__


class Lookup:
    """Codes to search at one radius."""

    def __init__(self, codes: Any, radius: int) -> None:
        self._codes = np.ascontiguousarray(codes).view(np.uint64)
        self.radius = radius

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        distances = np.bitwise_count(self._codes ^ query.view(np.uint64)).sum(axis=1, dtype=np.int32)
        return np.flatnonzero(distances <= self.radius)
