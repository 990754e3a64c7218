"""Layouts of PNG, JPEG, GIF, WebP and AVIF against an independent decoder (imagecodecs); HEIF against its source."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import DecodePolicy, iter_rasters
from support.picture_makers import chunk, ihdr, noise, save, smooth

codecs = pytest.importorskip("imagecodecs")

ALL = DecodePolicy(formats=("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF"))
H, W = 48, 64
RGB = smooth(H, W)
GREY = np.ascontiguousarray(RGB[..., 0])
CLEAR = np.dstack((RGB, noise(H, W)))
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check(data: bytes, decoded: np.ndarray, bits: int = 8) -> None:
    """Hold the rasters against what the other decoder gave: grey, RGB, or either with alpha."""
    samples = decoded.astype(np.int64) >> (bits - 8)
    samples = samples[..., None] if samples.ndim == 2 else samples
    colour, alpha = samples, None
    if samples.shape[2] in (2, 4):
        colour, alpha = samples[..., :-1], samples[..., -1:]
    expected = [colour]
    if alpha is not None and alpha.min() < 255:
        expected = [(colour * alpha + 255 * (255 - alpha) + 127) // 255, (colour * alpha + 127) // 255]
    found = [raster.pixels for raster in iter_rasters(data, ALL)]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape[:2] == other.shape[:2]
        assert np.abs(one.astype(np.int64) - other).max() == 0


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("colours", ["RGB", "YCBCR"])
def test_jpeg_colours(subsampling: str, colours: str) -> None:
    """YCbCr, and RGB as it is (Adobe's transform 0), with every subsampling."""
    options = {"colorspace": "RGB", "outcolorspace": colours, "subsampling": subsampling}
    data = bytes(codecs.jpeg8_encode(RGB, level=90, **options))
    check(data, codecs.jpeg8_decode(data))


@pytest.mark.parametrize("colours", ["CMYK", "YCCK"])
def test_jpeg_inks(colours: str) -> None:
    """Four inks, stored inverted as Adobe does, as they are or as luma and chroma."""
    inks = np.asarray(Image.fromarray(RGB).convert("CMYK"))
    data = bytes(codecs.jpeg8_encode(inks, level=90, colorspace="CMYK", outcolorspace=colours))
    stored = codecs.jpeg8_decode(data).astype(np.int64)
    check(data, np.floor(stored[..., 3:] * stored[..., :3] / 255 + 0.5))


@pytest.mark.parametrize("options", [{"optimize": True}, {"lossless": True}, {"lossless": True, "predictor": 4}])
def test_jpeg_kinds(options: dict[str, Any]) -> None:
    """Grey and colour, baseline, progressive and lossless; 12 bits are refused."""
    for pixels in (RGB, GREY):
        data = bytes(codecs.jpeg8_encode(pixels, level=90, **options))
        check(data, codecs.jpeg8_decode(data))
    data = save(RGB, "JPEG", progressive=True)
    check(data, codecs.jpeg8_decode(data))
    deep = bytes(codecs.jpeg8_encode(RGB.astype(np.uint16) << 4, level=90, bitspersample=12))
    with pytest.raises(UnreadableImageError):
        check(deep, RGB)


def png_file(samples: np.ndarray, depth: int, colour: int, interlaced: bool, *extra: bytes) -> bytes:
    """Write a PNG file of packed samples, in seven passes or in one."""
    height, width = samples.shape[:2]
    raw = b""
    for left, top, across, down in PASSES if interlaced else ((0, 0, 1, 1),):
        for row in samples[top::down, left::across]:
            if not row.size:
                continue
            if depth == 16:
                packed = row.astype(">u2").tobytes()
            else:
                bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
                packed = np.packbits(bits.ravel()).tobytes()
            raw += b"\0" + packed
    head = bytearray(ihdr(width, height, depth, colour)[8:21])
    head[12] = int(interlaced)
    body = chunk(b"IHDR", bytes(head)) + b"".join(extra) + chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("colour", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8),
     (6, 16)],
)  # fmt: skip
def test_png(colour: int, depth: int, interlaced: bool) -> None:
    """Every colour type at every depth, in one pass and in seven; odd sides, so that passes are empty."""
    n = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    for height, width in ((13, 9), (1, 1), (3, 5)):
        kind = np.uint16 if depth == 16 else np.uint8
        samples = noise(height, width, n, seed=depth, dtype=kind) >> (8 - depth if depth < 8 else 0)
        palette = noise(2**depth, 3, seed=3) if colour == 3 else None
        extra = [] if palette is None else [chunk(b"PLTE", palette.tobytes())]
        data = png_file(samples, depth, colour, interlaced, *extra)
        decoded = codecs.png_decode(data)
        if palette is not None:
            assert np.array_equal(decoded[..., :3].reshape(height, width, 3), palette[samples[..., 0]])
        check(data, decoded, depth if depth == 16 else 8)


@pytest.mark.parametrize("interlaced", [False, True])
def test_gif(interlaced: bool) -> None:
    """One frame, line by line and interlaced."""
    image = Image.fromarray(RGB).quantize(64)
    data = save(image, "GIF", interlace=int(interlaced))
    check(data, codecs.gif_decode(data).reshape(H, W, -1)[..., :3])


@pytest.mark.parametrize("lossless", [False, True])
def test_webp(lossless: bool) -> None:
    """Lossy and lossless, with and without alpha."""
    for pixels in (RGB, CLEAR):
        data = bytes(codecs.webp_encode(pixels, lossless=lossless, level=80))
        check(data, codecs.webp_decode(data))


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif(bits: int) -> None:
    """Grey, colour with every chroma, and alpha, at every depth."""
    kinds: list[tuple[np.ndarray, dict[str, Any]]] = [(GREY, {}), (RGB, {}), (CLEAR, {})]
    kinds += [(RGB, {"pixelformat": name}) for name in ("444", "422", "420")] if bits == 8 else []
    for pixels, options in kinds:
        deep = pixels if bits == 8 else pixels.astype(np.uint16) * 257 >> (16 - bits)
        data = bytes(codecs.avif_encode(deep, speed=9, bitspersample=bits, **options))
        check(data, codecs.avif_decode(data), bits)


def test_heif() -> None:
    """Lossless HEIF gives the samples that went in: grey, colour, and alpha."""
    pillow_heif = pytest.importorskip("pillow_heif")
    for pixels in (GREY, RGB, CLEAR):
        stream = io.BytesIO()
        image = pillow_heif.from_pillow(Image.fromarray(pixels))
        image.save(stream, quality=-1, chroma=444, matrix_coefficients=0)
        check(stream.getvalue(), pixels)
