"""hashmatch with reduced decode: large JPEGs are decoded at a half, a quarter or an eighth of their sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.contenders import hashing_hashmatch
from hashmatch import profiles
from hashmatch.hashers.facade import hash_image

NAME = "hashmatch, reduced decode"
version = hashing_hashmatch.version

FROM_PIXELS: dict[str, Callable[[Any], str]] = {}
FROM_FILE: dict[str, Callable[[bytes], str]] = {
    "pdq": lambda data: hash_image(data, "pdq", decode=profiles.REDUCED).hex()
}
