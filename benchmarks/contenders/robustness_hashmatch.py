"""hashmatch: PDQ in eight turns and the 64-bit pHash, from pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

import hashmatch
from benchmarks.quality.robustness import Method, hamming
from hashmatch.hashers import ClassicHasher, PDQHasher
from hashmatch.hashes import HashValue
from hashmatch.profiles import FAST

NAME = "hashmatch"


def version() -> str:
    """Version of hashmatch."""
    return str(hashmatch.__version__)


def _codes(values: list[HashValue]) -> np.ndarray:
    return np.array([np.frombuffer(value.data, np.uint8) for value in values])


def _pdq(pixels: np.ndarray) -> tuple[Any, int]:
    turns = list(PDQHasher().hash_turns(pixels).values())
    return _codes([value for value, _ in turns]), turns[0][1]


def _phash(pixels: np.ndarray) -> tuple[Any, int]:
    turns = list(ClassicHasher("phash").hash_turns(pixels).values())
    return _codes([value for value, _ in turns]), PDQHasher().hash_pixels(pixels)[1]


_RULES = {rule.algorithm: rule for rule in FAST.rules}


def _method(algorithm: str, views: int) -> Method:
    rule = _RULES[algorithm]
    shown = "one view" if views == 1 else "eight turns"
    return Method(
        name=f"{algorithm} at {rule.threshold}, {shown}",
        describe={"pdq": _pdq, "phash": _phash}[algorithm],
        distances=lambda queries, references: hamming(queries, references, views),
        threshold=rule.threshold,
        min_quality=rule.min_quality,
        views=views,
        fillers=algorithm,
        curve=views == 1,
    )


METHODS = [_method("pdq", 1), _method("pdq", 8), _method("phash", 1), _method("phash", 8)]
EDITS: list[str] | None = None
PICTURES: int | None = None
PICTURES_ELSEWHERE: int | None = 20
