"""faiss IndexBinaryIVF: inverted lists, some of them searched; not exact."""

from __future__ import annotations

from typing import Any

import faiss

from benchmarks.contenders import faiss_flat

NAME = "faiss IndexBinaryIVF"
version = faiss_flat.version


class Lookup(faiss_flat.Lookup):
    """About one list for every 4 sqrt(n) codes, an eighth of them searched."""

    def __init__(self, codes: Any, radius: int) -> None:
        faiss.omp_set_num_threads(1)
        lists = max(16, int(len(codes) ** 0.5 / 4))
        n_bits = 8 * codes.shape[1]
        self._quantizer = faiss.IndexBinaryFlat(n_bits)
        self._index = faiss.IndexBinaryIVF(self._quantizer, n_bits, lists)
        self._index.cp.max_points_per_centroid = 64
        self._index.train(codes[:: max(1, len(codes) // (64 * lists))])
        self._index.add(codes)
        self._index.nprobe = max(1, lists // 8)
        self.radius = radius
