"""TIFF files of every layout, written here tag by tag, for readers to be held against each other."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["COMPRESSIONS", "PHOTOMETRICS", "tiff"]

PHOTOMETRICS = {
    "white": 0, "black": 1, "rgb": 2, "palette": 3, "mask": 4, "cmyk": 5, "ycbcr": 6, "lab": 8, "icclab": 9,
    "logl": 32844, "logluv": 32845,
}  # fmt: skip
COMPRESSIONS = {
    "none": 1, "ccitt": 2, "group3": 3, "group4": 4, "lzw": 5, "old-jpeg": 6, "jpeg": 7, "zlib": 8, "deflate": 32946,
    "packbits": 32773, "lzma": 34925, "zstd": 50000, "webp": 50001,
}  # fmt: skip


def _encode(name: str, segment: bytes, shape: tuple[int, ...]) -> bytes:
    import imagecodecs

    if name == "none":
        return segment
    if name in ("zlib", "deflate"):
        return bytes(imagecodecs.zlib_encode(segment))
    if name in ("jpeg", "webp"):
        pixels = np.frombuffer(segment, np.uint8).reshape(shape)
        pixels = pixels[..., 0] if shape[-1] == 1 else pixels
        if name == "webp":
            return bytes(imagecodecs.webp_encode(pixels, lossless=True))
        return bytes(
            imagecodecs.jpeg8_encode(pixels, level=95, colorspace="rgb", outcolorspace="rgb", subsampling="444")
        )
    encode: Callable[..., Any] = getattr(imagecodecs, f"{name}_encode")
    return bytes(encode(segment))


def _packed(row: np.ndarray, bits: int, order: str) -> bytes:
    """Write the samples of one row: whole bytes as they are, others packed from the highest bit."""
    if bits % 8 == 0 and bits != 24:
        return row.astype(row.dtype.newbyteorder(order)).tobytes()
    values = row.astype(np.uint64).ravel()
    spread = (values[:, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(spread.astype(np.uint8).ravel()).tobytes()


def _predicted(block: np.ndarray, predictor: int) -> np.ndarray | list[bytes]:
    """Differences along the rows of (rows, columns, samples); of floats by their bytes."""
    if predictor == 2:
        kind = np.dtype(f"u{block.dtype.itemsize}")
        whole = block.view(kind)
        out = whole.copy()
        out[:, 1:] = whole[:, 1:] - whole[:, :-1]
        return out
    rows = []
    samples = block.shape[2]
    for row in block:
        size = row.dtype.itemsize
        planes = np.frombuffer(row.astype(row.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(-1, size).T.ravel()
        out = planes.copy()
        out[samples:] = planes[samples:] - planes[:-samples]
        rows.append(out.tobytes())
    return rows


def tiff(
    samples: np.ndarray,
    photometric: str,
    *,
    bits: int | None = None,
    planar: bool = False,
    compression: str = "none",
    predictor: int = 1,
    tile: tuple[int, int] | None = None,
    rows: int | None = None,
    order: str = "<",
    big: bool = False,
    extra: Sequence[int] = (),
    reverse: bool = False,
    palette: np.ndarray | None = None,
    more: Sequence[tuple[int, int, Sequence[int]]] = (),
    stated: Mapping[int, Sequence[int]] = MappingProxyType({}),
) -> bytes:
    """Write a TIFF file.

    Parameters
    ----------
    samples : (H, W, S) array
        As they are to stand in the file; the kind of number is the type's.
    photometric : str
        A name of `PHOTOMETRICS`.
    bits : int, optional
        Bits of each sample; the type's own where it is not given.
    planar : bool
        Whether each sample has segments of its own.
    compression : str
        A name of `COMPRESSIONS`.
    predictor : {1, 2, 3}
        None, differences, differences of floats.
    tile : (int, int), optional
        Height and width of tiles.
    rows : int, optional
        Rows of a strip.
    order, big
        Byte order; whether it is BigTIFF.
    extra : sequence of int
        What the samples beyond the colours are: 0, 1 (multiplied into them) or 2.
    reverse : bool
        Whether bits run from the lowest.
    palette : (3, 2**bits) uint16 array, optional
        Colours of the palette.
    more : sequence of (tag, type, values)
        Further tags, of type 3 (16 bits) or 4 (32 bits).
    stated : mapping of int to sequence of int
        Values of tags instead of those that follow from the samples.
    """
    height, width, n = samples.shape
    bits = samples.dtype.itemsize * 8 if bits is None else bits
    step_y, step_x = tile or (rows or height, width)
    segments = []
    for band in range(n) if planar else [slice(None)]:
        plane = samples[:, :, [band]] if planar else samples
        for top in range(0, height, step_y):
            for left in range(0, width, step_x):
                block = plane[top : top + step_y, left : left + step_x]
                if tile:
                    room = ((0, step_y - block.shape[0]), (0, step_x - block.shape[1]), (0, 0))
                    block = np.pad(block, room, mode="edge")
                block = np.ascontiguousarray(block)
                lines = _predicted(block, predictor) if predictor > 1 else block
                raw = b"".join(line if isinstance(line, bytes) else _packed(line, bits, order) for line in lines)
                coded = _encode(compression, raw, block.shape)
                if reverse:
                    coded = bytes(int(f"{byte:08b}"[::-1], 2) for byte in coded)
                segments.append(coded)
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    tags: list[tuple[int, int, Sequence[int]]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * n), (259, 3, [COMPRESSIONS[compression]]),
        (262, 3, [PHOTOMETRICS[photometric]]), (277, 3, [n]), (284, 3, [2 if planar else 1]), *more,
    ]  # fmt: skip
    if kind != 1:
        tags.append((339, 3, [kind] * n))
    if predictor > 1:
        tags.append((317, 3, [predictor]))
    if reverse:
        tags.append((266, 3, [2]))
    if extra:
        tags.append((338, 3, list(extra)))
    if palette is not None:
        tags.append((320, 3, [int(value) for value in palette.ravel()]))
    head = (
        struct.pack(order + "2sHHHQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16)
        if big
        else struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    )
    tags += [(322, 4, [step_x]), (323, 4, [step_y])] if tile else [(278, 4, [step_y])]
    places = (324, 325) if tile else (273, 279)
    tags += [(places[0], 4, [0] * len(segments)), (places[1], 4, [len(item) for item in segments])]
    tags = sorted((tag, form, stated.get(tag, values)) for tag, form, values in tags)
    entry_size, count_form, link = (20, "Q", "Q") if big else (12, "H", "I")
    size = struct.calcsize("<" + count_form) + entry_size * len(tags) + struct.calcsize("<" + link)
    at = len(head) + size
    at += at % 2
    body = b""
    values_at: dict[int, int] = {}
    room = 8 if big else 4
    for tag, form, values in tags:
        if len(values) * (2 if form == 3 else 4) > room:
            values_at[tag] = at + len(body)
            body += bytes(len(values) * (2 if form == 3 else 4) + 3 & ~3)
    start = at + len(body)
    offsets = []
    for item in segments:
        offsets.append(start)
        start += len(item) + len(item) % 2
    directory = struct.pack(order + count_form, len(tags))
    spread = bytearray(body)
    for tag, form, values in tags:
        values = offsets if tag == places[0] else values
        packed = struct.pack(order + ("H" if form == 3 else "I") * len(values), *values)
        if tag in values_at:
            spread[values_at[tag] - at : values_at[tag] - at + len(packed)] = packed
            packed = struct.pack(order + link, values_at[tag])
        directory += struct.pack(order + "HH" + link, tag, form, len(values)) + packed.ljust(room, b"\0")
    directory += bytes(struct.calcsize("<" + link))
    out = head + directory
    out += bytes(at - len(out)) + bytes(spread)
    for item in segments:
        out += item + bytes(len(item) % 2)
    return out
