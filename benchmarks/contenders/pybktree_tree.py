"""pybktree: a BK-tree in plain Python over integers."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pybktree

NAME = "pybktree"


def version() -> str:
    """Version of pybktree."""
    return metadata.version("pybktree")


def _distance(a: tuple[int, int], b: tuple[int, int]) -> int:
    return (a[0] ^ b[0]).bit_count()


class Lookup:
    """Codes to search at one radius, each an integer with its position."""

    def __init__(self, codes: Any, radius: int) -> None:
        items = [(int.from_bytes(code.tobytes()), i) for i, code in enumerate(codes)]
        self._n = len(items)
        self._tree = pybktree.BKTree(_distance, items)
        self.radius = radius

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return [item[1] for _, item in self._tree.find((int.from_bytes(query.tobytes()), -1), self.radius)]

    def add(self, codes: Any) -> None:
        """Store more codes."""
        for code in codes:
            self._tree.add((int.from_bytes(code.tobytes()), self._n))
            self._n += 1
