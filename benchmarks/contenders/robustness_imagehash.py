"""imagehash: the 64-bit pHash at the radius its users take, 8; one view, no measure of quality."""

from __future__ import annotations

from typing import Any

import imagehash
import numpy as np
from PIL import Image

from benchmarks.quality.robustness import Method, hamming

NAME = "imagehash"


def version() -> str:
    """Version of imagehash."""
    return str(imagehash.__version__)


def _phash(pixels: np.ndarray) -> tuple[Any, int]:
    return np.packbits(imagehash.phash(Image.fromarray(pixels)).hash)[None], 100


METHODS = [
    Method(
        name="imagehash.phash at 8",
        describe=_phash,
        distances=lambda queries, references: hamming(queries, references, 1),
        threshold=8,
        min_quality=0,
        views=1,
    )
]
EDITS: list[str] | None = None
PICTURES: int | None = None
PICTURES_ELSEWHERE: int | None = 20
