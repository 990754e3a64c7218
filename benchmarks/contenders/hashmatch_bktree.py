"""hashmatch.index.BKTree."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from hashmatch.index import BKTree

NAME = "hashmatch BKTree"


def version() -> str:
    """Version of hashmatch."""
    return metadata.version("hashmatch")


class Lookup:
    """Codes to search at one radius."""

    def __init__(self, codes: Any, radius: int) -> None:
        self._index = BKTree.build(codes)
        self._radius = radius

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return self._index.search(query, self._radius)[0]

    def search_batch(self, queries: Any) -> Any:
        """Rows and positions near many queries."""
        return self._index.search_batch(queries, self._radius)[:2]
