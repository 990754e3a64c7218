"""The number of scans in the JPEG strips and tiles of a TIFF file (compression 7), counted before a codec runs.

This module does not import Pillow. libtiff decodes sequential and progressive JPEG there; with compression 6 it decodes
sequential JPEG alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hashmatch.errors import ImageTooLargeError
from hashmatch.picture.jpeg import FRAMES, iter_segments

__all__ = ["Strip", "jpeg_strips"]

_WIDTH, _HEIGHT, _COMPRESSION, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 259, 278, 322, 323
_OFFSETS: Final = (273, 324)
_LENGTHS: Final = (279, 325)
_BY_JPEG: Final = 7
_WANTED: Final = frozenset({_WIDTH, _HEIGHT, _COMPRESSION, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, *_OFFSETS, *_LENGTHS})
_KINDS: Final[Mapping[int, str]] = MappingProxyType({1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8"})
_MAX_ENTRIES: Final = 4096  # of a directory; real files have dozens
_MAX_OF_ALL: Final = 2**18
_MAX_STRIPS: Final = 2**18, 2**22  # of a frame, four for each row of the highest, and of all frames
_MAX_SEGMENTS: Final = 64  # before the frame header of a strip; real ones have ten
_BLOCK: Final = 2**20
_START_OF_SCAN: Final = b"\xff\xda"

Numbers = npt.NDArray[np.int64]
Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A strip or tile in which a codec may find many scans.

    Parameters
    ----------
    scans : int
        Number of scans, never too low.
    pixels : int
        Most pixels that one scan can cover, px.
    """

    scans: int
    pixels: int


@dataclass(slots=True)
class _Directory:
    """Tags of a frame: the first of a kind counts for places, as in libtiff, and the largest for sizes."""

    sizes: dict[int, int] = field(default_factory=dict)
    places: dict[int, Numbers] = field(default_factory=dict)
    by_jpeg: bool = False

    @property
    def pixels(self) -> int:
        """Pixels of a strip or tile."""
        size = self.sizes.get
        strip = size(_WIDTH, 0) * min(size(_HEIGHT, 0), size(_ROWS, 2**32))
        return max(strip, size(_TILE_WIDTH, 0) * size(_TILE_HEIGHT, 0))

    def spans(self, end: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield the start and the end of each strip; a strip without a length ends at the end of the file."""
        for tag in _OFFSETS:
            starts = self.places.get(tag)
            if starts is not None:
                lengths = np.zeros_like(starts)
                for other in _LENGTHS:
                    found = self.places.get(other, starts[:0])[: len(starts)]
                    lengths[: len(found)] = np.maximum(lengths[: len(found)], found)
                yield starts, np.where(lengths > 0, np.minimum(starts + lengths, end), end)


def jpeg_strips(data: bytes, most_frames: int, scans: int) -> Iterator[Strip]:
    """Return the JPEG strips and tiles with more than a given number of scans.

    Parameters
    ----------
    data : bytes
        A TIFF or BigTIFF file.
    most_frames : int
        Most frames that are examined.
    scans : int
        Largest number of scans of a strip that is not returned.

    Raises
    ------
    ImageTooLargeError
        With reason ``too-many-scans`` if directories are longer than can be counted.

    Notes
    -----
    Cost: the directories; if one is of JPEG, one search of the file for markers.
    """
    marks: Numbers | None = None
    left = _MAX_STRIPS[1]
    for directory in _directories(data, most_frames):
        if not directory.by_jpeg:
            continue
        if marks is None:
            marks = _marks(data)
            if len(marks) <= scans:
                return
        for starts, ends in directory.spans(len(data)):
            left -= len(starts)
            if left < 0:
                raise _countless()
            counts = np.searchsorted(marks, ends) - np.searchsorted(marks, starts)
            for place in np.flatnonzero(counts > scans).tolist():
                pixels = max(directory.pixels, _stated_pixels(data, int(starts[place])))
                yield Strip(scans=int(counts[place]), pixels=pixels)


def _directories(data: bytes, most: int) -> Iterator[_Directory]:
    """Walk the directories; damage ends it, as codecs see no more either."""
    order: Order = "<" if data[:2] == b"II" else ">"
    big = 43 in (data[2], data[3])
    wide, step = ("Q", 20) if big else ("I", 12)
    seen: set[int] = set()
    left = _MAX_OF_ALL
    try:
        (at,) = struct.unpack_from(order + wide, data, 8 if big else 4)
        while at and at not in seen and len(seen) < most:
            seen.add(at)
            (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
            first = at + (8 if big else 2)
            directory = _Directory()
            left -= min(count, _MAX_ENTRIES)
            if left < 0:
                raise _countless()
            for entry in range(min(count, _MAX_ENTRIES)):
                _take(directory, data, first + entry * step, order, wide)
            yield directory
            (at,) = struct.unpack_from(order + wide, data, first + count * step)
    except (struct.error, OverflowError):
        return


def _take(directory: _Directory, data: bytes, at: int, order: Order, wide: str) -> None:
    tag, kind, count = struct.unpack_from(order + "HH" + wide, data, at)
    if tag not in _WANTED or kind not in _KINDS or not count:
        return
    form = np.dtype(order + _KINDS[kind])
    room = 8 if wide == "Q" else 4
    start = at + 4 + room
    if form.itemsize * count > room:
        (start,) = struct.unpack_from(order + wide, data, start)
    held = min(count, _MAX_STRIPS[0], max(0, (len(data) - start) // form.itemsize))
    values: npt.NDArray[Any] = np.frombuffer(data, form, held, start) if held else np.zeros(0, form)
    numbers = np.minimum(values, min(len(data) + 2**32, np.iinfo(form).max)).astype(np.int64)
    if tag in _OFFSETS or tag in _LENGTHS:
        directory.places.setdefault(tag, np.minimum(numbers, len(data)))
    elif len(numbers):
        directory.sizes[tag] = max(directory.sizes.get(tag, 0), int(numbers[0]))
        directory.by_jpeg |= tag == _COMPRESSION and int(numbers[0]) == _BY_JPEG


def _marks(data: bytes) -> Numbers:
    """Give where starts of scan may be, ascending."""
    found = [np.zeros(0, np.int64)]
    for at in range(0, len(data) - 1, _BLOCK):
        block = np.frombuffer(data, np.uint8, min(_BLOCK + 1, len(data) - at), at)
        found.append(at + np.flatnonzero((block[:-1] == _START_OF_SCAN[0]) & (block[1:] == _START_OF_SCAN[1])))
    return np.concatenate(found)


def _stated_pixels(data: bytes, at: int) -> int:
    """Pixels by the frame header in the strip itself: a last strip may be higher than the picture has room for."""
    pixels = 0
    try:
        for place, (marker, _, start, _) in enumerate(iter_segments(data, at + 2)):
            if marker in FRAMES:
                height, width = struct.unpack_from(">HH", data, start + 1)
                pixels = max(pixels, width * height)
            if place == _MAX_SEGMENTS:
                raise _countless()
    except (struct.error, IndexError):
        pass
    return pixels


def _countless() -> ImageTooLargeError:
    return ImageTooLargeError("the picture's strips and what is in them cannot be counted", reason="too-many-scans")
