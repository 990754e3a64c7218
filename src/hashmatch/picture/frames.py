"""How many frames a file holds, counted in its structure before any codec runs, and which of them to look at.

What a file claims (the number in APNG's acTL) is not believed: frames are counted where they stand. Every walk is
bounded by the number of frames asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.picture.sniff import gif_frames

__all__ = ["count_frames", "spread_frames"]

_MAX_STEPS: Final = 64  # chunks or directory entries passed over for each frame looked for
_PNG_START: Final = 8
_RIFF_START: Final = 12


def count_frames(container: str, data: bytes, most: int) -> int | None:
    """Count the frames of a file.

    Parameters
    ----------
    container : str
        Its format, a name of `hashmatch.picture.KNOWN_FORMATS`.
    data : bytes
        The file.
    most : int
        Where to stop, 1 or more.

    Returns
    -------
    int or None
        1 to ``most``; None where only a codec could tell (AVIF, HEIF), or where the structure is broken before the
        first frame.

    Notes
    -----
    Cost: microseconds a frame. Sources: GIF89a; W3C PNG third edition (fcTL, fdAT); RFC 9649 (ANMF); TIFF 6.0.
    """
    walk = _WALKS.get(container)
    if walk is None:
        return 1 if container in ("JPEG", "BMP", "PPM", "TGA") else None
    found = 0
    try:
        for _ in walk(data, most):
            found += 1
            if found == most:
                break
    except (struct.error, IndexError):
        pass  # the frames before the damage can be reached
    return found or None


def spread_frames(count: int | None, few: int) -> Iterator[int]:
    """Choose frames over the length of a file.

    Parameters
    ----------
    count : int or None
        How many frames there are; None where that is not known.
    few : int
        How many to choose, 1 or more.

    Yields
    ------
    int
        Ascending positions: the first, the last and some evenly between them; of an unknown number 0, 1, 2, 4, 8, ...
    """
    if count is None:
        yield 0
        yield from (1 << step for step in range(few - 1))
        return
    few = min(few, count)
    last = 0
    for step in range(few):
        last = step * (count - 1) // max(1, few - 1)
        yield last


def _gif(data: bytes, most: int) -> Iterator[object]:
    return gif_frames(data, most)


def _png(data: bytes, most: int) -> Iterator[object]:
    """Yield for each frame control, and for a picture that stands before the first of them."""
    at, controls, is_still = _PNG_START, 0, False
    for _ in range(_MAX_STEPS * (most + 1)):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        if kind == b"fcTL":
            controls += 1
            yield kind
        elif kind == b"IDAT" and not is_still and not controls:
            is_still = True
            yield kind
        at += 12 + length


def _webp(data: bytes, most: int) -> Iterator[object]:
    at = _RIFF_START
    for _ in range(_MAX_STEPS * (most + 1)):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"ANMF", b"VP8 ", b"VP8L"):
            yield kind
            if kind != b"ANMF":
                return
        at += 8 + length + (length & 1)


def _tiff(data: bytes, most: int) -> Iterator[object]:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    head, count, entry, link = ("Q", "Q", 20, "Q") if big else ("I", "H", 12, "I")
    (at,) = struct.unpack_from(order + head, data, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen and len(seen) < most:
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        yield at
        (at,) = struct.unpack_from(order + link, data, at + struct.calcsize(order + count) + entry * entries)


_WALKS: Final[Mapping[str, Callable[[bytes, int], Iterator[object]]]] = MappingProxyType(
    {"GIF": _gif, "PNG": _png, "WEBP": _webp, "TIFF": _tiff}
)
