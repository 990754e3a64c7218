"""Which codecs Pillow has here."""

from __future__ import annotations

from typing import Final

from PIL import features

__all__ = ["codec_versions"]

_CODECS: Final = ("jpg", "libjpeg_turbo", "zlib", "webp", "avif", "libtiff", "littlecms2")


def codec_versions() -> dict[str, str | None]:
    """Give the version of each codec by Pillow's name for it; None where Pillow was built without."""
    return {name: features.version(name) if features.check(name) else None for name in _CODECS}
