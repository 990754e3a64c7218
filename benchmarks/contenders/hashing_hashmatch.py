"""hashmatch: PDQ and the classic hashes from pixels, PDQ from a file's bytes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from hashmatch.hashers import ClassicHasher, PDQHasher
from hashmatch.hashers.facade import hash_image
from hashmatch.view import Turn

NAME = "hashmatch"
_PDQ = PDQHasher()


def version() -> str:
    """Version of hashmatch."""
    return metadata.version("hashmatch")


def _classic(name: str) -> Callable[[Any], str]:
    hasher = ClassicHasher(name)
    return lambda pixels: hasher.hash_pixels(pixels)[0].hex()


FROM_PIXELS: dict[str, Callable[[Any], str]] = {
    "pdq": lambda pixels: _PDQ.hash_pixels(pixels)[0].hex(),
    "pdq, eight turns": lambda pixels: _PDQ.hash_turns(pixels)[Turn.MIRROR][0].hex(),
    **{name: _classic(name) for name in ("ahash", "dhash", "phash", "whash")},
}
FROM_FILE: dict[str, Callable[[bytes], str]] = {"pdq": lambda data: hash_image(data, "pdq").hex()}
