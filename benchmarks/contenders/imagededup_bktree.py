"""imagededup's BK-tree, in plain Python over hexadecimal text."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from imagededup.handlers.search.bktree import BKTree

NAME = "imagededup BK-tree"


def version() -> str:
    """Version of imagededup."""
    return metadata.version("imagededup")


def _distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


class Lookup:
    """Codes to search at one radius."""

    def __init__(self, codes: Any, radius: int) -> None:
        self._tree = BKTree({str(i): code.tobytes().hex() for i, code in enumerate(codes)}, _distance)
        self.radius = radius

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return [int(name) for name, _ in self._tree.search(query.tobytes().hex(), self.radius)]
