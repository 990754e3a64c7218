"""imagededup: its perceptual, average, difference and wavelet hashes from pixels."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from imagededup.methods import AHash, DHash, PHash, WHash

NAME = "imagededup"


def version() -> str:
    """Version of imagededup."""
    return metadata.version("imagededup")


def _hashed(method: Any) -> Callable[[Any], str]:
    return lambda pixels: str(method.encode_image(image_array=pixels))


FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    "phash": _hashed(PHash(verbose=False)),
    "ahash": _hashed(AHash(verbose=False)),
    "dhash": _hashed(DHash(verbose=False)),
    "whash": _hashed(WHash(verbose=False)),
}
FROM_FILE: dict[str, Callable[[bytes], str]] = {}
