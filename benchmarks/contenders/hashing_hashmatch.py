"""hashmatch: PDQ, keypoints and the classic hashes from pixels, PDQ from a file's bytes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from hashmatch.hashers import ClassicHasher, PDQHasher
from hashmatch.hashers.facade import hash_image
from hashmatch.hashers.keypoint import KeypointHasher
from hashmatch.view import Turn

NAME = "hashmatch"
_PDQ = PDQHasher()
_KEYPOINT = KeypointHasher()


def version() -> str:
    """Version of hashmatch."""
    return metadata.version("hashmatch")


def _classic(name: str) -> Callable[[Any], str]:
    hasher = ClassicHasher(name)
    return lambda pixels: hasher.hash_pixels(pixels)[0].hex()


def _query(pixels: Any) -> str:
    _KEYPOINT.query(pixels)
    return ""


FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    "pdq": lambda pixels: _PDQ.hash_pixels(pixels)[0].hex(),
    "pdq, eight turns": lambda pixels: _PDQ.hash_turns(pixels)[Turn.MIRROR][0].hex(),
    "keypoint record": lambda pixels: _KEYPOINT.hash_pixels(pixels)[0].hex(),
    "keypoints of a query": _query,
    **{name: _classic(name) for name in ("ahash", "dhash", "phash", "whash")},
}
FROM_FILE: dict[str, Callable[[bytes], str]] = {"pdq": lambda data: hash_image(data, "pdq").hex()}
