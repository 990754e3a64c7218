"""Preparation of the codecs in a worker process, before its restrictions forbid to load anything.

Tiny pictures of every allowed format, good and broken ones, are written and decoded, so that everything that Pillow and
the codecs load or build on first use is present.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from PIL import Image

from hashmatch.errors import ImageError
from hashmatch.picture import DecodePolicy, iter_rasters
from hashmatch.picture.icc import SRGB, made_profile

__all__ = ["needs_threads", "ready_codecs", "tiny_files"]

# what Pillow imports inside functions that a picture can reach
_LATE: Final = ("ImageCms", "ImageColor", "ImageFilter", "ImagePalette", "ImageSequence", "MpoImagePlugin")
_TEXTS: Final = ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-be", "utf-16-le")
_SIZE: Final = (16, 12)
_ORIENTATION: Final = 0x0112
_EVERY_FRAME: Final[Mapping[str, Any]] = MappingProxyType({"save_all": True})


def ready_codecs(policy: DecodePolicy) -> None:
    """Load and initialise everything that decoding by this policy can need.

    Parameters
    ----------
    policy : DecodePolicy
        Policy whose formats are prepared; a format whose codec is missing stays unavailable.

    Notes
    -----
    The function changes process-wide settings of Pillow and pillow-heif: AVIF is decoded in one thread, HEIF in as few
    as its codec allows. It is therefore for worker processes only. Cost: a fraction of a second.
    """
    for name in _LATE:
        with suppress(ImportError):
            import_module(f"PIL.{name}")
    for name in _TEXTS:
        codecs.lookup(name)
    Image.new("LAB", _SIZE).convert("RGB")  # builds its colour transform
    if "AVIF" in policy.allowed:
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if "HEIF" in policy.allowed:
        with suppress(ImportError):
            setattr(import_module("pillow_heif.options"), "DECODE_THREADS", 1)  # noqa: B010
    every = replace(policy, frames="all")
    for data in tiny_files(policy.allowed):
        for part in (data, data[: 3 * len(data) // 4]):
            with suppress(ImageError):
                for _ in iter_rasters(part, every):
                    pass


def needs_threads() -> bool:
    """Whether a prepared codec starts threads: libde265, which decodes HEIF, starts one for each picture."""
    return "pillow_heif" in sys.modules


def tiny_files(formats: tuple[str, ...]) -> Iterator[bytes]:
    """Write tiny pictures in all kinds of the formats that Pillow can write here.

    Parameters
    ----------
    formats : tuple of str
        Names of `hashmatch.picture.KNOWN_FORMATS`.
    """
    ramp = np.add.outer(np.arange(_SIZE[1]) * 9, np.arange(_SIZE[0]) * 7).astype(np.uint8)
    colour = Image.fromarray(np.dstack((ramp, ramp[::-1], 255 - ramp)))
    clear = Image.fromarray(np.dstack((ramp, ramp[::-1], 255 - ramp, ramp)))
    deep = Image.fromarray(ramp.astype(np.uint16) * 257)
    indexed = colour.quantize(16)
    more: dict[str, Any] = {**_EVERY_FRAME, "append_images": [colour.rotate(180)]}
    ramp_image = Image.fromarray(ramp)
    pair: dict[str, Any] = {"sizes": [_SIZE, (8, 6)]}
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    turned = {"exif": exif.tobytes()}
    kinds: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "JPEG": [
            (colour, turned),
            (colour, {"progressive": True}),
            (colour.convert("L"), {}),
            (colour.convert("CMYK"), {}),
            (colour, {"icc_profile": made_profile(lambda v: 1 - v, SRGB)}),
        ],
        "PNG": [(colour, turned), (clear, {}), (deep, {}), (indexed, {"transparency": 1}), (colour, more)],
        "GIF": [(indexed, {"interlace": 1}), (colour, more)],
        "WEBP": [(colour, turned), (clear, {"lossless": True}), (colour, more)],
        "BMP": [(colour, {}), (indexed, {})],
        "TIFF": [
            *((colour, {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
            (colour.convert("1"), {"compression": "group4"}),
            (deep, {}),
            (clear, turned),
            (colour, more),
        ],
        "AVIF": [(colour, {"speed": 10}), (clear, {"speed": 10}), (colour, {"speed": 10, **more})],
        "HEIF": [(colour, {})],
        "ICO": [(clear, {"sizes": [_SIZE]}), (colour, {"sizes": [_SIZE], "bitmap_format": "bmp"}), (colour, pair)],
        "PPM": [(colour, {}), (ramp_image.convert("1"), {}), (deep, {})],
        "TGA": [(colour, {}), (clear, {"compression": "tga_rle"}), (indexed, {})],
    }
    for name in formats:
        for image, options in kinds[name]:
            stream = io.BytesIO()
            with suppress(ImportError, OSError, KeyError, ValueError, RuntimeError):  # no such encoder in this build
                if name == "HEIF":  # not registered with Pillow
                    import_module("pillow_heif").from_pillow(image).save(stream, **options)
                else:
                    image.save(stream, name, **options)
                yield stream.getvalue()
    if "PPM" in formats:  # what Pillow does not write
        yield b"P2 3 2 255 " + b"9 8 7 " * 2
        yield b"PF\n3 2\n-1.0\n" + bytes(72)
