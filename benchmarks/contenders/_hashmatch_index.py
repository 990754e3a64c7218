"""What the contenders of hashmatch's indexes share."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from hashmatch.index import load_index


def version() -> str:
    """Version of hashmatch."""
    return metadata.version("hashmatch")


class IndexLookup:
    """An index of hashmatch with the radius that it is asked for."""

    def __init__(self, index: Any, radius: int) -> None:
        self._index = index
        self.radius = radius

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return self._index.search(query, self.radius)[0]

    def search_batch(self, queries: Any) -> Any:
        """Rows and positions near many queries."""
        return self._index.search_batch(queries, self.radius)[:2]

    def add(self, codes: Any) -> None:
        """Store more codes."""
        self._index.add(codes)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        self._index.save(path)

    def load(self, path: Path) -> None:
        """Take the index from a file that this process wrote."""
        self._index = load_index(path, verify="header")
