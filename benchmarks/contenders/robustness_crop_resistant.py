"""imagehash.crop_resistant_hash with its own ``matches``; slow, so fewer pictures and only edits that move pixels."""

from __future__ import annotations

from typing import Any

import imagehash
import numpy as np
from PIL import Image

from benchmarks.quality.robustness import Method

# Its own rule: a region in common, at 64 bits less a quarter. About 0.4 s a megapixel, and every pair is compared in
# Python, so it takes 20 pictures and no fillers.
NAME = "imagehash.crop_resistant_hash"


def version() -> str:
    """Version of imagehash."""
    return str(imagehash.__version__)


def _segments(pixels: np.ndarray) -> tuple[Any, int]:
    return imagehash.crop_resistant_hash(Image.fromarray(pixels)), 100


def _distances(queries: list[Any], references: list[Any]) -> np.ndarray:
    return np.array([[0 if query.matches(reference) else 1 for reference in references] for query in queries])


METHODS = [
    Method(
        name="imagehash.crop_resistant_hash, its defaults",
        describe=_segments,
        distances=_distances,
        threshold=0,
        min_quality=0,
        views=1,
    )
]
EDITS: list[str] | None = [
    "JPEG 50",
    "resize 50%",
    "crop centre 10%",
    "crop centre 25%",
    "crop centre 50%",
    "crop random 25%",
    "crop random 50%",
    "crop random 75%",
    "crop random 90%",
    "crop one side 5%",
    "crop one side 10%",
    "crop one side 20%",
    "crop every side 2.5%",
    "crop every side 5%",
    "crop every side 10%",
    "crop own shares 10%",
    "mirror",
    "caption band",
    "phone screenshot",
    "rotate 1",
    "rotate 2",
    "rotate 4",
    "rotate 5",
    "border black 10%",
    "border white 25%",
]
PICTURES: int | None = 4
STRANGERS = 6
