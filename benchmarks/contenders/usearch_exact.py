"""usearch: its index searched exhaustively, by count; whatever it gives within the radius is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import usearch
from usearch.index import Index, MetricKind, ScalarKind

NAME = "usearch, exact"
_COUNT = 16


def version() -> str:
    """Version of usearch."""
    return str(usearch.__version__)


class Lookup:
    """Codes to search at one radius: the 16 nearest, cut at the radius.

    The graph, which an exhaustive search does not use, is made as small as usearch makes it. Its function ``search``
    over bare codes builds nothing and takes several times as long for a query.
    """

    exact = True
    graph: ClassVar[dict[str, int]] = {"connectivity": 2, "expansion_add": 1}

    def __init__(self, codes: Any, radius: int) -> None:
        bits = 8 * codes.shape[1]
        self._index = Index(ndim=bits, metric=MetricKind.Hamming, dtype=ScalarKind.B1, **self.graph)
        self._index.add(np.arange(len(codes), dtype=np.uint64), codes, threads=1)
        self._n = len(codes)
        self.radius = radius

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        found = self._index.search(query, _COUNT, exact=self.exact, threads=1)
        return np.asarray(found.keys)[np.asarray(found.distances) <= self.radius]

    def add(self, codes: Any) -> None:
        """Store more codes."""
        self._index.add(np.arange(self._n, self._n + len(codes), dtype=np.uint64), codes, threads=1)
        self._n += len(codes)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        self._index.save(str(path))

    def load(self, path: Path) -> None:
        """Take the index from a file that this process wrote."""
        self._index = Index.restore(str(path), view=False)
