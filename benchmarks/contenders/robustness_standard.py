"""hashmatch: `Matcher` with `profiles.STANDARD` on a list of PDQ hashes alone: turns, trims and what else it has."""

from __future__ import annotations

import hashmatch
from benchmarks.quality.robustness import Searched
from hashmatch import profiles

NAME = "hashmatch STANDARD"


def version() -> str:
    """Version of hashmatch."""
    return str(hashmatch.__version__)


SEARCHED = [Searched(name="hashmatch STANDARD", policy=profiles.STANDARD)]
EDITS: list[str] | None = None
PICTURES: int | None = None
PICTURES_ELSEWHERE: int | None = 40
