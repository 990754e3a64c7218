"""hashmatch.index.LinearIndex."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import _hashmatch_index
from hashmatch.index import LinearIndex

NAME = "hashmatch LinearIndex"
version = _hashmatch_index.version


class Lookup(_hashmatch_index.IndexLookup):
    """Codes to search at one radius."""

    def __init__(self, codes: Any, radius: int) -> None:
        super().__init__(LinearIndex.build(codes), radius)
