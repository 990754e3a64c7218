"""threatexchange: its own way from a file's bytes to a PDQ hash (Pillow at 512x512 at most, then pdqhash)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes

NAME = "threatexchange"


def version() -> str:
    """Version of threatexchange."""
    return metadata.version("threatexchange")


FROM_PIXELS: dict[str, Callable[[Any], str]] = {}
FROM_FILE: dict[str, Callable[[bytes], str]] = {"pdq": lambda data: str(pdq_from_bytes(data)[0])}
