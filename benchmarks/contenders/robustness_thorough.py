"""hashmatch: `Matcher` with `profiles.THOROUGH` on a list of PDQ hashes alone; fewer pictures, as it takes its time."""

from __future__ import annotations

import hashmatch
from benchmarks.quality.robustness import Searched
from hashmatch import profiles

NAME = "hashmatch THOROUGH"


def version() -> str:
    """Version of hashmatch."""
    return str(hashmatch.__version__)


SEARCHED = [Searched(name="hashmatch THOROUGH", policy=profiles.THOROUGH)]
EDITS: list[str] | None = None
PICTURES: int | None = 100
PICTURES_ELSEWHERE: int | None = 12
