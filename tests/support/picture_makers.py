"""Small synthetic picture files for the tests of `hashmatch.picture`; PNG and GIF are written here byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

ALL_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF", "ICO", "PPM", "TGA")


def noise(*shape: int, seed: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    """Seeded noise over the whole range of the type."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def smooth(height: int, width: int) -> np.ndarray:
    """Make an RGB picture without symmetry that lossy codecs keep well."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((255 * x // width, 255 * y // height, 128 + 60 * (x + 2 * y) // (width + height)), -1).astype(
        np.uint8
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def ihdr(width: int, height: int, depth: int, colour: int) -> bytes:
    """PNG header chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(
    width: int, height: int, depth: int, colour: int, rows: Sequence[bytes], *extra: bytes, tail: bytes = b""
) -> bytes:
    """PNG file from packed rows; ``extra`` chunks stand before the pixels, ``tail`` behind them."""
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    head = b"\x89PNG\r\n\x1a\n" + ihdr(width, height, depth, colour) + b"".join(extra)
    return head + chunk(b"IDAT", pixels) + tail + chunk(b"IEND", b"")


def png_of(samples: np.ndarray, colour: int, *extra: bytes, tail: bytes = b"") -> bytes:
    """PNG file of 8-bit or 16-bit samples."""
    deep = samples.dtype.itemsize == 2
    rows = [row.astype(">u2" if deep else np.uint8).tobytes() for row in samples]
    return png(samples.shape[1], samples.shape[0], 16 if deep else 8, colour, rows, *extra, tail=tail)


def gif(screen: tuple[int, int], *frames: tuple[int, int, int, int]) -> bytes:
    """GIF file with a two-colour palette whose frames (left, top, width, height) hold almost no data."""
    out = b"GIF89a" + struct.pack("<HH", *screen) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    for frame in frames:
        out += b"," + struct.pack("<HHHH", *frame) + b"\0" + b"\x02\x02\x44\x01\x00"
    return out + b";"


def exif(orientation: int) -> bytes:
    """EXIF block that holds an orientation and nothing else."""
    return b"Exif\0\0" + exif_tiff(orientation)


def exif_tiff(orientation: int) -> bytes:
    """Make the same without the leading name, as PNG wants it."""
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"


def save(image: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    """Bytes of an image file written by Pillow."""
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, format, **options)
    return stream.getvalue()


def animation(format: str, n_frames: int = 3, size: tuple[int, int] = (9, 7)) -> tuple[bytes, list[np.ndarray]]:
    """Make an animated file and its frames: a black picture on which a coloured square walks."""
    frames = []
    for k in range(n_frames):
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        frame[k % 4 : k % 4 + 3, k % 5 : k % 5 + 4] = (200, 10 * (k % 20), 255 - k % 250)
        frames.append(frame)
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    images = [Image.fromarray(frame) for frame in frames]
    if format == "GIF":
        images = [image.quantize(8) for image in images]
    return save(images[0], format, save_all=True, append_images=images[1:], **options), frames


def small_files() -> dict[str, bytes]:
    """One or more valid small files of every format that can be written without an extra."""
    rgb, rgba = smooth(13, 17), np.dstack((smooth(13, 17), noise(13, 17)))
    palette = Image.fromarray(rgb).quantize(16)
    return {
        "jpeg": save(rgb, "JPEG", quality=80, exif=exif(6)),
        "jpeg-progressive": save(rgb, "JPEG", progressive=True),
        "jpeg-cmyk": save(Image.fromarray(rgb).convert("CMYK"), "JPEG"),
        "png": png_of(rgb, 2, chunk(b"eXIf", exif_tiff(3)), chunk(b"tEXt", b"Title\0x")),
        "png-palette": save(palette, "PNG", transparency=1),
        "png-rgba": png_of(rgba, 6),
        "png-16": png_of(noise(13, 17, dtype=np.uint16), 0),
        "apng": animation("PNG")[0],
        "gif": animation("GIF")[0],
        "webp": save(rgb, "WEBP"),
        "webp-lossless": save(rgba, "WEBP", lossless=True),
        "webp-animated": animation("WEBP")[0],
        "bmp": save(rgb, "BMP"),
        "bmp-palette": save(palette, "BMP"),
        "tiff": save(rgb, "TIFF"),
        "tiff-lzw": save(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-pages": animation("TIFF")[0],
        "avif": save(rgb, "AVIF", speed=10),
        "ico": save(rgba, "ICO", sizes=[(17, 13)]),
        "ico-bmp": save(rgb, "ICO", sizes=[(17, 13)], bitmap_format="bmp"),
        "ppm": save(rgb, "PPM"),
        "pgm-16": save(noise(13, 17, dtype=np.uint16), "PPM"),
        "tga": save(rgb, "TGA"),
        "tga-rle": save(rgba, "TGA", compression="tga_rle"),
    }


def many_scans(size: tuple[int, int], n_more: int, *, progressive: bool = True, junk: bytes = b"") -> bytes:
    """Make a JPEG whose last scan is sent again and again."""
    data = save(np.full((*size, 3), (90, 80, 70), np.uint8), "JPEG", progressive=progressive)
    last = data.rindex(b"\xff\xda")
    if junk:
        data = data[:2] + b"\xff\xfe" + (len(junk) + 2).to_bytes(2) + junk + data[2:]
        last += len(junk) + 4
    return data[:-2] + data[last:-2] * n_more + data[-2:]
