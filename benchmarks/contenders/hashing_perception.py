"""perception: its pHash, average, difference and wavelet hashes from pixels (through OpenCV and SciPy)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from perception import hashers

NAME = "perception"


def version() -> str:
    """Version of perception."""
    return metadata.version("perception")


def _hashed(hasher: Any) -> Callable[[Any], str]:
    return lambda pixels: str(hasher.compute(pixels, hash_format="hex"))


FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    "phash": _hashed(hashers.PHash()),
    "ahash": _hashed(hashers.AverageHash()),
    "dhash": _hashed(hashers.DHash()),
    "whash": _hashed(hashers.WaveletHash()),
}
FROM_FILE: dict[str, Callable[[bytes], str]] = {}
