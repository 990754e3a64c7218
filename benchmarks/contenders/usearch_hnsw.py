"""usearch: its graph index (HNSW) over bit vectors; not exact."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.contenders import usearch_exact

NAME = "usearch, HNSW"
version = usearch_exact.version


class Lookup(usearch_exact.Lookup):
    """The 16 nearest that the graph finds, cut at the radius; the graph is usearch's default."""

    exact = False
    graph: ClassVar[dict[str, int]] = {}
