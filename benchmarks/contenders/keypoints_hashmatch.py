"""hashmatch: keypoint records on a list, `Matcher` with `profiles.THOROUGH`."""

from __future__ import annotations

from typing import Any

import hashmatch
from benchmarks.quality.keypoints import cpu_ms
from hashmatch import profiles
from hashmatch.hashers.keypoint import KeypointHasher

NAME = "hashmatch keypoints"
POLICY = profiles.THOROUGH
PICTURES: int | None = None

if POLICY.keypoints is None:
    raise ImportError("profiles.THOROUGH compares no keypoints")


def version() -> str:
    """Version of hashmatch."""
    return str(hashmatch.__version__)


def costs(matcher: Any, large: Any, repeats: int) -> dict[str, float]:
    """CPU time of a record, of a query's points, and of the rest of a search: candidates and verification."""
    hasher = KeypointHasher()
    query = cpu_ms(lambda: hasher.query(large), repeats)
    whole = cpu_ms(lambda: matcher.match(large), repeats)
    return {
        "fingerprint_ms": cpu_ms(lambda: hasher.hash_pixels(large), repeats),
        "query_ms": query,
        "search_ms": max(0.0, whole - query),
    }
