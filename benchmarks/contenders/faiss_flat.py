"""faiss IndexBinaryFlat: a linear scan in C++."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

NAME = "faiss IndexBinaryFlat"


def version() -> str:
    """Version of faiss."""
    return str(faiss.__version__)


class Lookup:
    """Codes to search at one radius; faiss finds what is strictly below its radius."""

    def __init__(self, codes: Any, radius: int) -> None:
        faiss.omp_set_num_threads(1)
        self._index = self._make(8 * codes.shape[1], radius)
        self._index.add(codes)
        self.radius = radius

    def _make(self, n_bits: int, radius: int) -> Any:  # noqa: ARG002 - the other faiss contender needs it
        return faiss.IndexBinaryFlat(n_bits)

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return self._index.range_search(query[None, :], self.radius + 1)[2]

    def search_batch(self, queries: Any) -> Any:
        """Rows and positions near many queries."""
        limits, _, positions = self._index.range_search(queries, self.radius + 1)
        return np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64))), positions

    def add(self, codes: Any) -> None:
        """Store more codes."""
        self._index.add(codes)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        faiss.write_index_binary(self._index, str(path))

    def load(self, path: Path) -> None:
        """Take the index from a file that this process wrote."""
        self._index = faiss.read_index_binary(str(path))
