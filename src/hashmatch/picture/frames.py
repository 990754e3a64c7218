"""The number of frames of a file, counted in its structure before any codec runs, and the choice of frames to decode.

A number that the file states (acTL of APNG) is not trusted: frames are counted where they are stored. Every walk is
bounded by the number of frames asked for and by a number of steps.

Frames are the pictures that viewers show one after the other or page by page, the pictures of an icon, and the still
pictures of a HEIF file. Further pictures of a JPEG (MPO) and thumbnails are not frames.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.picture.boxes import count_samples, count_stills
from hashmatch.picture.loose import icon_entries
from hashmatch.picture.sniff import gif_frames

__all__ = ["count_frames", "held_frames", "spread_frames"]

_FEW_STEPS: Final = 500
_MAX_STEPS: Final = 500_000  # chunks of one file; under half a second
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
        Number of frames, 1 to ``most``; None if only a codec can count them (AVIF, HEIF), or if the structure is broken
        before the first frame.

    Notes
    -----
    Cost: microseconds a frame. Sources: GIF89a; W3C PNG third edition (fcTL, fdAT); RFC 9649 (ANMF); TIFF 6.0.
    """
    walk = _WALKS.get(container)
    if walk is None:
        return None if container in _BOXED else 1
    return _walked(walk, data, most)[0] or None


def held_frames(container: str, data: bytes, most: int) -> tuple[int, bool]:
    """Count the frames of a file that viewers show, whether or not the codec decodes them.

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
    (int, bool)
        Number of frames, 1 to ``most``, and whether that is all: False if the count stopped at ``most`` or at a bound
        of steps.

    Notes
    -----
    Cost: none for JPEG and other formats of one frame; a search of the bytes for PNG, WebP and AVIF of one frame; else
    microseconds a frame, at most half a second.
    """
    if container in _BOXED:
        found = _in_boxes(container, data)
        return min(found, most), found <= most
    walk, mark = _WALKS.get(container), _MARKS.get(container)
    if walk is None or (container == "PNG" and _is_still_png(data)) or (mark is not None and mark not in data):
        return 1, True
    found, whole = _walked(walk, data, most)
    return max(1, found), whole


def _in_boxes(container: str, data: bytes) -> int:
    try:
        found = count_samples(data) if b"moov" in data else None
        return found or (count_stills(data) if container == "HEIF" else 0) or 1
    except (struct.error, IndexError):
        return 1


def _walked(walk: _Walk, data: bytes, most: int) -> tuple[int, bool]:
    """Take frames up to ``most``; and whether the walk came to the file's end."""
    found, steps = 0, walk(data, most)
    try:
        while found < most:
            next(steps)
            found += 1
        next(steps)  # one more, or the end
    except StopIteration as end:
        return found, end.value is not False
    except (struct.error, IndexError):
        return found, True  # the frames before the damage can be reached
    return found, False


def spread_frames(count: int | None, few: int) -> Iterator[int]:
    """Choose frames over the length of a file.

    Parameters
    ----------
    count : int or None
        Number of frames; None if it is not known.
    few : int
        Number of frames to choose, 1 or more.

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


_Walk = Callable[[bytes, int], Generator[object, None, bool]]


def _gif(data: bytes, most: int) -> Generator[object, None, bool]:
    return gif_frames(data, most + 1)


def _png(data: bytes, _most: int) -> Generator[object, None, bool]:
    """Yield for each frame control, and for a picture that stands before the first of them."""
    at, controls, is_still = _PNG_START, 0, False
    for _ in range(_MAX_STEPS):
        if at + 8 > len(data):
            return True
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return True
        if kind == b"fcTL":
            controls += 1
            yield kind
        elif kind == b"IDAT" and not is_still and not controls:
            is_still = True
            yield kind
        at += 12 + length
    return False


def _is_still_png(data: bytes) -> bool:
    """Whether the chunks say at once that there is one frame, so that not all bytes are searched."""
    at = _PNG_START
    for _ in range(_FEW_STEPS):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND" or kind == b"fcTL" or len(kind) < 4:
            return kind == b"IEND"
        at += 12 + int.from_bytes(data[at : at + 4])
    return False


def _webp(data: bytes, _most: int) -> Generator[object, None, bool]:
    at = _RIFF_START
    for _ in range(_MAX_STEPS):
        if at + 8 > len(data):
            return True
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"ANMF", b"VP8 ", b"VP8L"):
            yield kind
        at += 8 + length + (length & 1)
    return False


def _tiff(data: bytes, most: int) -> Generator[object, None, bool]:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    head, count, entry, link = ("Q", "Q", 20, "Q") if big else ("I", "H", 12, "I")
    (at,) = struct.unpack_from(order + head, data, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen and len(seen) <= most:
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        yield at
        (at,) = struct.unpack_from(order + link, data, at + struct.calcsize(order + count) + entry * entries)
    return True


def _icon(data: bytes, _most: int) -> Generator[object, None, bool]:
    yield from icon_entries(data)
    return True


_BOXED: Final = ("AVIF", "HEIF")
_MARKS: Final[Mapping[str, bytes]] = MappingProxyType({"PNG": b"fcTL", "WEBP": b"ANMF"})
_WALKS: Final[Mapping[str, _Walk]] = MappingProxyType(
    {"GIF": _gif, "PNG": _png, "WEBP": _webp, "TIFF": _tiff, "ICO": _icon}
)
