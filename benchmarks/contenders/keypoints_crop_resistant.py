"""imagehash.crop_resistant_hash with its own ``matches``; slow, so fewer pictures."""

from __future__ import annotations

from typing import Any

import imagehash
import numpy as np
from PIL import Image

from benchmarks.quality.keypoints import Paired

NAME = "imagehash.crop_resistant_hash"


def version() -> str:
    """Version of imagehash."""
    return str(imagehash.__version__)


def _describe(pixels: np.ndarray) -> Any:
    return imagehash.crop_resistant_hash(Image.fromarray(pixels))


PAIRED = Paired(
    describe=_describe,
    strength=lambda query, reference: float(query.matches(reference)),
    n_bytes=lambda item: sum(part.hash.size // 8 for part in item.segment_hashes),
    least=1.0,
)
PICTURES: int | None = 10
STRANGERS = 20
