"""pdqhash: the reference's C++ code under Python, from pixels and, through Pillow, from a file's bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pdqhash
from PIL import Image

NAME = "pdqhash"


def version() -> str:
    """Version of pdqhash."""
    return str(pdqhash.__version__)


def _hex(bits: Any) -> str:
    return np.packbits(bits).tobytes().hex()


FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    "pdq": lambda pixels: _hex(pdqhash.compute(pixels)[0]),
    "pdq, eight turns": lambda pixels: _hex(pdqhash.compute_dihedral(pixels)[0][5]),
}
FROM_FILE: dict[str, Callable[[bytes], str]] = {
    "pdq": lambda data: _hex(pdqhash.compute(np.asarray(Image.open(io.BytesIO(data))))[0])
}
