"""threatexchange's own PDQ index: a faiss multi-hash under Python objects, at its radius of 31."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import faiss
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

NAME = "threatexchange PDQIndex"


def version() -> str:
    """Version of threatexchange."""
    return metadata.version("threatexchange")


class Lookup:
    """Codes to search at radius 31, the only one it has."""

    def __init__(self, codes: Any, radius: int) -> None:
        if radius != 31 or codes.shape[1] != 32:
            raise ValueError("PDQIndex searches 256 bits at 31")
        faiss.omp_set_num_threads(1)
        self._n = len(codes)
        self._index = PDQIndex((code.tobytes().hex(), i) for i, code in enumerate(codes))

    def search(self, query: Any) -> Any:
        """Positions near one query."""
        return [match.metadata for match in self._index.query(query.tobytes().hex())]

    def add(self, codes: Any) -> None:
        """Store more codes."""
        self._index.add_all([(code.tobytes().hex(), self._n + i) for i, code in enumerate(codes)])
        self._n += len(codes)
