"""Files whose pixels are whole and whose other parts are damaged: such damage must not make the picture unreadable.

`clean` runs before the codec, because odd parts would change the result of the codec; `mend` runs after the codec has
refused a file. Both copy the parts that affect the pixels, and the size of the file bounds their work. Neither repairs
pixels.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.picture.boxes import iter_boxes
from hashmatch.picture.clean_png import clean_png, mend_png
from hashmatch.picture.jpeg import Segments, clean_jpeg

__all__ = ["clean", "mend"]

_MAX_BLOCKS: Final = 2**20  # of a GIF or WebP
_GIF_BLOCK: Final = re.compile(rb"[\x21\x2c\x3b]")
_MAX_DIRECTORIES: Final = 4096
_WEBP_PIXELS: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_WEBP_SAID: Final[Mapping[bytes, int]] = MappingProxyType({b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04})
_TIFF_PIXELS: Final = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 284, 290, 291, 292, 293}
    | {297, 301, 317, 318, 319, 320, 322, 323, 324, 325, 332, 333, 334, 336, 338, 339, 340, 341, 342, 347}
    | {*range(512, 522), 529, 530, 531, 532}
)


def clean(container: str, data: bytes, segments: Segments | None = None) -> bytes:
    """Return a file without the parts that a codec here would misread.

    Parameters
    ----------
    container : str
        Its format.
    data : bytes
        The file.
    segments : Segments, optional
        Those of a JPEG, where they are remembered.

    Returns
    -------
    bytes
        The same object if nothing is odd, as in nearly all files. Pixels, transparency, colour profile and orientation
        are those of the file.
    """
    if container == "JPEG":
        return clean_jpeg(data, segments)
    step = _CLEAN.get(container)
    return data if step is None else step(data)


def mend(container: str, data: bytes) -> bytes | None:
    """Return a refused file with its pixels alone, in a corrected container.

    Parameters
    ----------
    container : str
        Its format.
    data : bytes
        The file as `clean` gives it.

    Returns
    -------
    bytes or None
        None if there is nothing to correct.
    """
    step = _MEND.get(container)
    if step is None:
        return None
    try:
        mended = step(data)
    except (struct.error, IndexError, OverflowError):
        return None
    return None if mended == data else mended


def clean_gif(data: bytes) -> bytes:
    """Leave out a GIF's extensions other than graphic controls of four bytes, if there is any that Pillow misreads.

    It takes what follows an empty extension for a part of it, and so can pass over a frame.
    """
    kept, odd = [], False
    try:
        for kind, at, end in _gif_blocks(data):
            plain = kind != 0x21 or data[at + 2] > (3 if data[at + 1] == 0xF9 else 0)
            odd = odd or not plain
            if kind == 0x2C or (plain and data[at + 1] == 0xF9):
                kept.append(data[at:end])
    except IndexError:
        return data
    return b"".join([data[: _gif_start(data)], *kept, b";"]) if odd else data


def _gif_start(data: bytes) -> int:
    return 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)


def _gif_blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Give kind, start and end of each block up to the trailer; the last may be cut. IndexError beyond the bound."""
    at, left = _gif_start(data), _MAX_BLOCKS
    while at < len(data) and data[at] != 0x3B:
        start, kind = at, data[at]
        if kind == 0x2C:
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        elif kind == 0x21:
            at += 2
        else:
            found = _GIF_BLOCK.search(data, at)
            at = len(data) if found is None else found.start()
            continue
        left -= 1
        while at < len(data) and data[at]:
            at += 1 + data[at]
            left -= 1
            if left < 0:
                raise IndexError
        if left < 0:
            raise IndexError
        at += 1
        yield kind, start, min(at, len(data))


def mend_webp(data: bytes) -> bytes | None:
    """Write the RIFF container anew: sizes and flags as they are, unknown chunks left out (RFC 9649)."""
    pixels: list[bytes] = []
    said: dict[bytes, bytes] = {}
    header, at = b"", 12
    for _ in range(_MAX_BLOCKS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
        if kind == b"VP8X":
            header = header or body
        elif kind in _WEBP_PIXELS:
            pixels.append(struct.pack("<4sI", kind, length) + body + b"\0" * (len(body) & 1))
        elif kind in _WEBP_SAID and kind not in said and len(body) == length:
            said[kind] = body
    if header:
        if len(header) < 10:
            return None
        moving = any(chunk.startswith(b"ANMF") for chunk in pixels)
        flags = header[0] & 0x10 | 0x02 * moving | sum(_WEBP_SAID[kind] for kind in said)
        pixels.insert(0, struct.pack("<4sIB3x", b"VP8X", 10, flags) + header[4:10])
        for kind, body in said.items():
            chunk = struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) & 1)
            pixels.insert(1 if kind == b"ICCP" else len(pixels), chunk)
    whole = b"WEBP" + b"".join(pixels)
    return struct.pack("<4sI", b"RIFF", len(whole)) + whole


def mend_tiff(data: bytes) -> bytes | None:
    """Leave the tags that do not touch pixels out of every directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in (data[2], data[3])
    head, count, size, link = ("Q", "Q", 20, 8) if big else ("I", "H", 12, 4)
    out = bytearray(data)
    (at,) = struct.unpack_from(order + head, data, 8 if big else 4)
    seen: set[int] = set()
    for _ in range(_MAX_DIRECTORIES):
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        first = at + struct.calcsize(order + count)
        place = first + size * entries
        kept = [
            data[entry : entry + size]
            for entry in range(first, min(place, len(data) - size), size)
            if struct.unpack_from(order + "H", data, entry)[0] in _TIFF_PIXELS
        ]
        at = struct.unpack_from(order + head, data, place)[0] if place + link <= len(data) else 0
        if at in seen or at >= len(data):
            at = 0
        table = struct.pack(order + count, len(kept)) + b"".join(kept) + struct.pack(order + head, at)
        out[first - struct.calcsize(order + count) : first - struct.calcsize(order + count) + len(table)] = table
        if not at:
            break
    return bytes(out)


def mend_boxes(data: bytes) -> bytes | None:
    """Rename the items that hold EXIF and XMP to a kind that no decoder looks for; nothing moves."""
    out = bytearray(data)
    for kind, start, end in iter_boxes(data, 0, len(data)):
        if kind != b"meta":
            continue
        for inner, at, stop in iter_boxes(data, start + 4, end):
            if inner != b"iinf":
                continue
            for entry, first, last in iter_boxes(data, at + (6 if data[at] == 0 else 8), stop):
                name = first + (8 if data[first] == 2 else 10)
                if entry == b"infe" and name + 4 <= last and data[name : name + 4] in (b"Exif", b"mime"):
                    out[name : name + 4] = b"skip"
    return bytes(out)


_CLEAN: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType({"PNG": clean_png, "GIF": clean_gif})
_MEND: Final[Mapping[str, Callable[[bytes], bytes | None]]] = MappingProxyType(
    {"PNG": mend_png, "WEBP": mend_webp, "TIFF": mend_tiff, "AVIF": mend_boxes, "HEIF": mend_boxes}
)
