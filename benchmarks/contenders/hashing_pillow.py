"""Pillow: the decode of a file's bytes alone, without a hash; what every other file time is measured against."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import PIL
from PIL import Image

NAME = "Pillow, decode alone"


def version() -> str:
    """Version of Pillow."""
    return str(PIL.__version__)


def _decode(data: bytes) -> str:
    Image.open(io.BytesIO(data)).load()
    return ""


FROM_PIXELS: dict[str, Callable[[Any], str]] = {}
FROM_FILE: dict[str, Callable[[bytes], str]] = {"pdq": _decode}
