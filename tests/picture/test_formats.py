"""The same picture in every format lands within the distance that the contract states."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch.hashers.facade import hash_image
from hashmatch.picture import DecodePolicy
from hashmatch.synthetic import picture
from support.picture_makers import ALL_FORMATS

ALL = DecodePolicy(formats=tuple(name for name in ALL_FORMATS if name != "HEIF"))
CONTRACT = Path(__file__).parents[2] / "docs" / "reference" / "pixel-contract.md"
SEEDS = range(12_000_000, 12_000_006)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Write a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Write a file that lies on its side, with the EXIF orientation that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image.transpose(Image.Transpose.ROTATE_90), kind, exif=exif, **options)


def see_through(image: Image.Image) -> Image.Image:
    """Give the picture with its white part made of nothing but transparency over noise."""
    pixels = np.asarray(image).copy()
    hidden = np.random.default_rng(3).integers(0, 256, pixels.shape, dtype=np.uint8)
    white = (pixels == 255).all(axis=2)
    pixels[white] = hidden[white]
    return Image.fromarray(np.dstack((pixels, np.where(white, 0, 255).astype(np.uint8))))


def deep_colour(image: Image.Image) -> bytes:
    """Write a PNG of 16 bits a sample, which Pillow cannot write."""
    samples = (np.asarray(image).astype(">u2") * 257).astype(">u2")
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in parts)
    return b"\x89PNG\r\n\x1a\n" + body


MAKERS: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": lambda image: saved(image, "PNG"),
    "PNG, 16 bits a sample": deep_colour,
    "PNG, EXIF turned": lambda image: turned(image, "PNG"),
    "PNG, white as transparency": lambda image: saved(see_through(image), "PNG"),
    "PNG, grey": lambda image: saved(image.convert("L"), "PNG"),
    "PNG, 16 bits grey": lambda image: saved(
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG"
    ),
    "PNG, palette of 256": lambda image: saved(image.quantize(256), "PNG"),
    "PNG, palette of 64": lambda image: saved(image.quantize(64), "PNG"),
    "GIF": lambda image: saved(image, "GIF"),
    "BMP": lambda image: saved(image, "BMP"),
    "TIFF": lambda image: saved(image, "TIFF"),
    "TIFF, LZW": lambda image: saved(image, "TIFF", compression="tiff_lzw"),
    "TIFF, CMYK": lambda image: saved(image.convert("CMYK"), "TIFF"),
    "WebP, lossless": lambda image: saved(image, "WEBP", lossless=True),
    "WebP, lossless, white as transparency": lambda image: saved(see_through(image), "WEBP", lossless=True),
    "WebP, quality 80": lambda image: saved(image, "WEBP", quality=80),
    "JPEG, quality 95": lambda image: saved(image, "JPEG", quality=95),
    "JPEG, quality 75": lambda image: saved(image, "JPEG", quality=75),
    "JPEG, quality 75, progressive": lambda image: saved(image, "JPEG", quality=75, progressive=True),
    "JPEG, quality 50": lambda image: saved(image, "JPEG", quality=50),
    "JPEG, grey": lambda image: saved(image.convert("L"), "JPEG", quality=95),
    "JPEG, CMYK": lambda image: saved(image.convert("CMYK"), "JPEG", quality=95),
    "JPEG, EXIF turned": lambda image: turned(image, "JPEG", quality=95),
    "AVIF, quality 70": lambda image: saved(image, "AVIF", quality=70),
}


def stated() -> dict[str, int]:
    """Read the distances from the contract."""
    section = CONTRACT.read_text("utf-8").split("## One picture in every format")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \| (\d+) \|$", section, re.M)
    return {name.strip(): int(bits) for names, bits in rows for name in names.split(";")}


def test_every_kind_is_stated() -> None:
    """The contract and this test name the same kinds of file."""
    assert stated().keys() == MAKERS.keys()


def framed(seed: int) -> Image.Image:
    """Make a photograph with white corners, as a sticker has, so that transparency can stand for them."""
    pixels = np.asarray(picture("photo", seed, size=(300, 400))).copy()
    down, along = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    pixels[down * down + along * along > 1.5] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_picture_lands_within_the_stated_distance(name: str) -> None:
    """PDQ of the file against PDQ of the lossless plain twin."""
    worst = 0
    for seed in SEEDS:
        image = framed(seed)
        truth = hash_image(np.asarray(image), "pdq").data
        value = hash_image(MAKERS[name](image), "pdq", decode=ALL).data
        worst = max(worst, (int.from_bytes(truth, "big") ^ int.from_bytes(value, "big")).bit_count())
    assert worst <= stated()[name]


def test_the_pictures_are_told_apart() -> None:
    """The distances above mean something: the pictures themselves are far from each other."""
    values = [int.from_bytes(hash_image(np.asarray(framed(seed)), "pdq").data, "big") for seed in SEEDS]
    assert min((a ^ b).bit_count() for k, a in enumerate(values) for b in values[:k]) > 80
