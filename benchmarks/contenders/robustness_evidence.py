"""hashmatch: the crop search of `profiles.THOROUGH` alone, with the evidence of all it finds from 20 nats on.

No other view may hide what the crop search says, so plain hashes match at distance 0 alone, and nothing is turned or
trimmed but by the crop search itself.
"""

from __future__ import annotations

from dataclasses import replace

import hashmatch
from benchmarks.quality.robustness import CURVE_EDITS, Searched
from hashmatch import profiles
from hashmatch.policy import CropRule, Rule

NAME = "hashmatch crop search"
_RULE = profiles.THOROUGH.crops or CropRule(min_evidence=62.0)


def version() -> str:
    """Version of hashmatch."""
    return str(hashmatch.__version__)


SEARCHED = [
    Searched(
        name="crop search, evidence",
        policy=replace(
            profiles.THOROUGH,
            name="crop search alone",
            rules=(Rule(algorithm="pdq", threshold=0, min_quality=_RULE.min_quality),),
            turns=False,
            trims=False,
            rotations=False,
            shrinks=False,
            keypoints=None,
            crops=replace(_RULE, min_evidence=20.0),
            max_false_reports=None,
        ),
        least_evidence=_RULE.min_evidence,
        curve=True,
    )
]
EDITS: list[str] | None = list(CURVE_EDITS)
PICTURES: int | None = 40
PICTURES_ELSEWHERE: int | None = None
STRANGERS = 50
