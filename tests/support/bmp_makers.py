"""BMP files of every layout, written here byte by byte."""

from __future__ import annotations

import struct

import numpy as np

__all__ = ["bmp", "rle"]

OS2, INFO, OS2_LONG = 12, 40, 64


def bmp(
    rows: list[bytes],
    width: int,
    bits: int,
    *,
    header: int = INFO,
    compression: int = 0,
    palette: np.ndarray | None = None,
    masks: tuple[int, ...] = (),
    upside_down: bool = False,
    data: bytes | None = None,
    colours: int | None = None,
    gap: int = 0,
) -> bytes:
    """Write a BMP file.

    Parameters
    ----------
    rows : list of bytes
        Packed samples, the top row first.
    width, bits : int
        Width, px, and bits of a pixel.
    header : int
        Length of the header: 12 and 64 (OS/2), 40, 52, 56, 108, 124.
    compression : int
        0 none, 1 RLE of 8 bits, 2 of 4, 3 masks, 6 masks with alpha.
    palette : (N, 3) uint8 array, optional
        Colours, RGB.
    masks : tuple of int
        Which bits are red, green, blue and alpha.
    upside_down : bool
        Whether the top row comes first, which a negative height says.
    data : bytes, optional
        Coded pixels instead of the rows.
    colours : int, optional
        The number of colours that the header states; the palette's own, or 0, where it is not given.
    gap : int
        Bytes between the header's parts and the pixels.
    """
    height = len(rows)
    if data is None:
        ordered = rows if upside_down else rows[::-1]
        data = b"".join(row + bytes(-len(row) % 4) for row in ordered)
    if header == OS2:
        info = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        used = colours if colours is not None else 0
        info = struct.pack(
            "<IiiHHIIiiII", header, width, -height if upside_down else height, 1, bits, compression, len(data),
            2835, 2835, used, 0,
        )  # fmt: skip
        inside = b"".join(struct.pack("<I", mask) for mask in masks)
        info = (info + inside[: max(0, header - 40)] if header != OS2_LONG else info).ljust(header, b"\0")
        if header == 40:
            info += inside
    entries = b""
    if palette is not None:
        for colour in palette:
            entries += bytes(colour[::-1]) + (b"" if header == OS2 else b"\0")
    start = 14 + len(info) + len(entries) + gap
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + info + entries + bytes(gap) + data


def rle(indices: np.ndarray, bits: int, *, absolute: bool = False, skips: bool = False) -> bytes:
    """Code indices by runs, or as they are, or with pixels left out where they are 0."""
    out = b""
    for row in indices[::-1]:
        at = 0
        while at < len(row):
            end = at
            while end < len(row) and row[end] == row[at] and end - at < 255:
                end += 1
            if skips and row[at] == 0:
                out += bytes([0, 2, end - at, 0])
            elif absolute and len(row) - at >= 3:
                end = min(len(row), at + 250)
                part = row[at:end]
                packed = (
                    part.tobytes()
                    if bits == 8
                    else bytes(
                        (int(a) << 4) | int(b) for a, b in zip(part[::2], np.append(part, 0)[1::2], strict=False)
                    )
                )
                out += bytes([0, len(part)]) + packed + bytes(len(packed) % 2)
            else:
                value = int(row[at])
                out += bytes([end - at, value if bits == 8 else value * 17])
            at = end
        out += b"\0\0"
    return out + b"\0\1"
