"""imagehash: the classic hashes, from pixels made a Pillow picture first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagehash
from PIL import Image

NAME = "imagehash"


def version() -> str:
    """Version of imagehash."""
    return str(imagehash.__version__)


FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    "ahash": lambda pixels: str(imagehash.average_hash(Image.fromarray(pixels))),
    "dhash": lambda pixels: str(imagehash.dhash(Image.fromarray(pixels))),
    "phash": lambda pixels: str(imagehash.phash(Image.fromarray(pixels))),
    "whash": lambda pixels: str(imagehash.whash(Image.fromarray(pixels))),
}
FROM_FILE: dict[str, Callable[[bytes], str]] = {}
