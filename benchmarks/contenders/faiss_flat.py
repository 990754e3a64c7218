"""faiss IndexBinaryFlat: a linear scan in C++."""

from __future__ import annotations

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
        self._radius = radius + 1

    def _make(self, n_bits: int, radius: int) -> Any:  # noqa: ARG002 - the other faiss contender needs it
        return faiss.IndexBinaryFlat(n_bits)

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return self._index.range_search(query[None, :], self._radius)[2]

    def search_batch(self, queries: Any) -> Any:
        """Rows and positions near many queries."""
        limits, _, positions = self._index.range_search(queries, self._radius)
        return np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64))), positions
