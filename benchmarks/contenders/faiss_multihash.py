"""faiss IndexBinaryMultiHash with 16-bit substrings, probed as far as exactness needs."""

from __future__ import annotations

from typing import Any

import faiss

from benchmarks.contenders import faiss_flat

NAME = "faiss IndexBinaryMultiHash"
version = faiss_flat.version


class Lookup(faiss_flat.Lookup):
    """16 substrings for 256 bits, 4 for 64; ``nflip`` is radius // substrings: exact by the pigeonhole rule."""

    def _make(self, n_bits: int, radius: int) -> Any:
        index = faiss.IndexBinaryMultiHash(n_bits, n_bits // 16, 16)
        index.nflip = radius // (n_bits // 16)
        return index
