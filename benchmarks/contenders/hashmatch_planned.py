"""hashmatch.index.build_index: whatever the planner picks for these codes and this radius."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import _hashmatch_index
from hashmatch.index import build_index

NAME = "hashmatch, as planned"
version = _hashmatch_index.version


class Lookup(_hashmatch_index.IndexLookup):
    """Codes to search at one radius."""

    def __init__(self, codes: Any, radius: int) -> None:
        super().__init__(build_index(codes, radius=radius), radius)
