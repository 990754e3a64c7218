"""hashmatch: plain PDQ at 31 bits, one view."""

from __future__ import annotations

import numpy as np

import hashmatch
from benchmarks.quality.keypoints import Paired
from hashmatch import HashValue, distance
from hashmatch.hashers import PDQHasher

NAME = "PDQ at 31"
_HASHER = PDQHasher()


def version() -> str:
    """Version of hashmatch."""
    return str(hashmatch.__version__)


def _describe(pixels: np.ndarray) -> tuple[HashValue, int]:
    return _HASHER.hash_pixels(pixels)


def _nearness(query: tuple[HashValue, int], reference: tuple[HashValue, int]) -> float:
    return -float(distance(query[0], reference[0])) if query[1] >= 50 else -256.0


PAIRED = Paired(describe=_describe, strength=_nearness, n_bytes=lambda item: len(item[0].data), least=-31.0)
PICTURES: int | None = None
STRANGERS = 60
