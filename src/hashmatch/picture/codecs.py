"""The codecs that Pillow was built with."""

from __future__ import annotations

from typing import Final

from PIL import features

__all__ = ["codec_versions"]

_CODECS: Final = ("jpg", "libjpeg_turbo", "zlib", "webp", "avif", "libtiff", "littlecms2")


def codec_versions() -> dict[str, str | None]:
    """Return the version of each codec by Pillow's name for it; None for a codec that Pillow lacks."""
    return {name: features.version(name) if features.check(name) else None for name in _CODECS}
