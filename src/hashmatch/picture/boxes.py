"""Sizes and frames from the boxes of AVIF and HEIF files (ISO/IEC 14496-12 and 23008-12), within bounds.

A file states its size in several places, and a hostile file states different sizes: the largest counts.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

__all__ = [
    "COUNTLESS",
    "brand_of_av1",
    "count_samples",
    "count_stills",
    "has_other_coding",
    "iter_boxes",
    "largest_size",
    "most_decoded",
]

_MAX_BOXES: Final = 4096  # of one level; real files have dozens
_DERIVED: Final = (b"grid", b"iovl")
_STILLS: Final = frozenset({b"hvc1", b"av01", b"iden", *_DERIVED})
_BESIDE: Final = (b"thmb", b"auxl")  # what an item says that is only a thumbnail, depth or alpha of another
_TRACKS: Final = 16
_DEEPEST: Final = 16
_MAX_PARTS: Final = 2**17  # of all pictures together; a grid has 65,536 at most
COUNTLESS: Final = 2**62
"""Pixels, of `most_decoded`: more than any bound."""
_CODINGS: Final = re.compile(rb"av01|hvc1|hev1|avc1|avc3|j2k1|vvc1|vvi1|evc1|unci")
_DESCRIPTION: Final = 2**20

Size = tuple[int, int]


def iter_boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk the boxes of one level.

    Parameters
    ----------
    data : bytes
        The file.
    at, end : int
        Where the level begins and ends.

    Yields
    ------
    (bytes, int, int)
        Kind, start and end of the content of each box, until the end, an impossible box, or 4096 boxes.
    """
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            if start + 8 > end:
                return
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if length == 0 else at + length
        if stop < start or stop > end:
            return
        yield kind, start, stop
        at = stop


def has_other_coding(data: bytes) -> bool:
    """Tell whether the content is coded neither as AV1 nor as HEVC, by the first coding that is named."""
    for kind, start, end in iter_boxes(data, 0, len(data)):
        if kind in (b"meta", b"moov"):
            found = _CODINGS.search(data, start, min(end, start + _DESCRIPTION))
            if found is not None:
                return found[0] not in (b"av01", b"hvc1", b"hev1")
    return False


def largest_size(data: bytes) -> Size | None:
    """Return the size of the largest picture that the file states.

    Parameters
    ----------
    data : bytes
        An AVIF or HEIF file.

    Returns
    -------
    (int, int) or None
        Width and height, px: of the items' properties, of grids and overlays put together from items, and of the tracks
        of a sequence. None if no size is stated.

    Raises
    ------
    struct.error, IndexError
        If a box ends before what it must hold.
    """
    sizes: list[Size] = []
    for kind, start, end in iter_boxes(data, 0, len(data)):
        if kind == b"meta":
            sizes += _property_sizes(data, start + 4, end)
            sizes += _derived_sizes(data, start + 4, end)
        elif kind == b"moov":
            sizes += (size for size, _ in _tracks(data, start, end))
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def count_samples(data: bytes) -> int | None:
    """Count the frames of the picture track that has the most.

    Parameters
    ----------
    data : bytes
        An AVIF or HEIF file.

    Returns
    -------
    int or None
        Number of entries in its table of samples; None if there is no such track.

    Raises
    ------
    struct.error, IndexError
        If a box ends before what it must hold.
    """
    counts = [
        count
        for kind, start, end in iter_boxes(data, 0, len(data))
        if kind == b"moov"
        for _, count in _tracks(data, start, end)
        if count
    ]
    return max(counts, default=None)


def count_stills(data: bytes) -> int:
    """Count the visible still pictures, without hidden ones, thumbnails, depth maps and alpha planes.

    Parameters
    ----------
    data : bytes
        A HEIF file.

    Raises
    ------
    struct.error, IndexError
        If a box ends before what it must hold.
    """
    for kind, start, end in iter_boxes(data, 0, len(data)):
        if kind == b"meta":
            beside = set(_items_beside(data, start + 4, end))
            shown = {number for number, kind in _items(data, start + 4, end, hidden=False) if kind in _STILLS}
            return len(shown - beside)
    return 0


def most_decoded(data: bytes) -> int:
    """Count the pixels that a codec decodes for the most expensive still picture; a part counts once for each use.

    Parameters
    ----------
    data : bytes
        An AVIF or HEIF file; where it is damaged, what comes before the damage counts.

    Returns
    -------
    int
        Number of pixels by the sizes that the properties of the items state; an item without a size counts as the
        largest. 0 if no picture is composed of others. Deeper nesting or more references than any program writes give
        `COUNTLESS`.
    """
    most = 0
    with suppress(struct.error, IndexError):
        for kind, start, end in iter_boxes(data, 0, len(data)):
            if kind == b"meta":
                most = max(most, _put_together(data, start + 4, end))
    return most


def _put_together(data: bytes, at: int, end: int) -> int:
    parts: dict[int, Counter[int]] = {}
    left = _MAX_PARTS
    for number, used in _parts(data, at, end):
        left -= len(used)
        if left < 0:
            return COUNTLESS
        parts.setdefault(number, Counter()).update(used)
    if not parts:
        return 0
    known = _item_pixels(data, at, end)
    largest = max(known.values(), default=0)
    for _ in range(_DEEPEST):
        now = {
            number: min(COUNTLESS, sum(count * known.get(part, largest) for part, count in used.items()))
            for number, used in parts.items()
        }
        if all(known.get(number) == pixels for number, pixels in now.items()):
            return max(now.values())
        known |= now
    return COUNTLESS


def brand_of_av1(data: bytes) -> bytes | None:
    """Return the brand that the file has as an AVIF file.

    Parameters
    ----------
    data : bytes
        The file; where it is damaged, what comes before the damage counts.

    Returns
    -------
    bytes or None
        ``avis`` if a track is AV1, ``avif`` if an item is; None if neither is.
    """
    found = None
    try:
        for kind, start, end in iter_boxes(data, 0, len(data)):
            if kind == b"meta" and any(kind == b"av01" for _, kind in _items(data, start + 4, end)):
                found = b"avif"
            if kind == b"moov":
                path = (b"trak", b"mdia", b"minf", b"stbl", b"stsd")
                for entries, stop in _children(data, start, end, *path):
                    if any(kind == b"av01" for kind, _, _ in iter_boxes(data, entries + 8, stop)):
                        return b"avis"
    except (struct.error, IndexError):
        return found
    return found


def _children(data: bytes, at: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
    """Give start and end of every box that lies at this path below a level."""
    for kind, start, stop in iter_boxes(data, at, end):
        if kind == path[0]:
            if len(path) == 1:
                yield start, stop
            else:
                yield from _children(data, start, stop, *path[1:])


def _property_sizes(data: bytes, at: int, end: int) -> Iterator[Size]:
    for start, _ in _children(data, at, end, b"iprp", b"ipco", b"ispe"):
        yield struct.unpack_from(">II", data, start + 4)


def _derived_sizes(data: bytes, at: int, end: int) -> Iterator[Size]:
    """Read what grids and overlays say of themselves, which need not be what their properties say."""
    derived = {number: kind for number, kind in _items(data, at, end) if kind in _DERIVED}
    if not derived:
        return
    own = next(_children(data, at, end, b"idat"), (0, 0))
    for number, place, inside in _places(data, at, end):
        if number in derived:
            start = own[0] + place if inside else place
            if derived[number] == b"grid":
                flags = data[start + 1]
                yield struct.unpack_from(">II" if flags & 1 else ">HH", data, start + 4)
            else:
                flags = data[start + 1]
                yield struct.unpack_from(">II" if flags & 1 else ">HH", data, start + 10)


def _items_beside(data: bytes, at: int, end: int) -> Iterator[int]:
    """Give the numbers of items that are there for another."""
    for start, stop in _children(data, at, end, b"iref"):
        for kind, first, _ in iter_boxes(data, start + 4, stop):
            if kind in _BESIDE:
                yield struct.unpack_from(">I" if data[start] else ">H", data, first)[0]


def _items(data: bytes, at: int, end: int, *, hidden: bool = True) -> Iterator[tuple[int, bytes]]:
    """Give number and kind of each item, of hidden ones too if they are wanted."""
    for start, stop in _children(data, at, end, b"iinf"):
        first = start + (6 if data[start] == 0 else 8)
        for entry, _ in _children(data, first, stop, b"infe"):
            version = data[entry]
            if version in (2, 3) and (hidden or not data[entry + 3] & 1):
                yield struct.unpack_from(">H2x4s" if version == 2 else ">I2x4s", data, entry + 4)


def _parts(data: bytes, at: int, end: int) -> Iterator[tuple[int, Counter[int]]]:
    """Give of each item that is put together from others how often it uses which."""
    for start, stop in _children(data, at, end, b"iref"):
        wide = "I" if data[start] else "H"
        step = struct.calcsize(wide)
        for kind, first, last in iter_boxes(data, start + 4, stop):
            if kind == b"dimg":
                number, count = struct.unpack_from(f">{wide}H", data, first)
                first += step + 2
                count = min(count, (last - first) // step)
                yield number, Counter(struct.unpack_from(f">{count}{wide}", data, first))


def _item_pixels(data: bytes, at: int, end: int) -> dict[int, int]:
    """Give the pixels of each item that has a size, by the largest among its properties."""
    found: dict[int, int] = {}
    sizes: list[int] = []
    for first, stop in _children(data, at, end, b"iprp", b"ipco"):
        for kind, start, _ in iter_boxes(data, first, stop):
            width, height = struct.unpack_from(">II", data, start + 4) if kind == b"ispe" else (0, 0)
            sizes.append(width * height)
    for start, _ in _children(data, at, end, b"iprp", b"ipma"):
        wide = ">IB" if data[start] else ">HB"
        step = 2 if data[start + 3] & 1 else 1
        (count,) = struct.unpack_from(">I", data, start + 4)
        here = start + 8
        for _ in range(min(count, _MAX_BOXES)):
            number, held = struct.unpack_from(wide, data, here)
            here += struct.calcsize(wide)
            owned = struct.unpack_from(f">{held}{'H' if step == 2 else 'B'}", data, here)
            here += held * step
            places = (place & (0x7FFF if step == 2 else 0x7F) for place in owned)
            pixels = max((sizes[place - 1] for place in places if 0 < place <= len(sizes)), default=0)
            if pixels:
                found[number] = max(found.get(number, 0), pixels)
    return found


def _places(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Give number and first byte of each item, and whether that is counted in the items' own data box."""
    for start, stop in _children(data, at, end, b"iloc"):
        version = data[start]
        sizes, more = data[start + 4], data[start + 5]
        offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
        index_size = more & 15 if version in (1, 2) else 0
        wide = 4 if version == 2 else 2
        count = int.from_bytes(data[start + 6 : start + 6 + wide])
        here = start + 6 + wide
        for _ in range(min(count, _MAX_BOXES)):
            number = int.from_bytes(data[here : here + wide])
            here += wide
            method = 0
            if version in (1, 2):
                method = data[here + 1] & 15
                here += 2
            here += 2  # which file: this one
            base = int.from_bytes(data[here : here + base_size])
            here += base_size
            (extents,) = struct.unpack_from(">H", data, here)
            here += 2
            if extents and here + extents * (index_size + offset_size + length_size) <= stop:
                first = here + index_size
                yield number, base + int.from_bytes(data[first : first + offset_size]), method == 1
            here += extents * (index_size + offset_size + length_size)
            if here >= stop:
                break


def _tracks(data: bytes, at: int, end: int) -> Iterator[tuple[Size, int]]:
    """Give size and number of samples of each picture track."""
    for number, (start, stop) in enumerate(_children(data, at, end, b"trak")):
        if number == _TRACKS:
            return
        for inner, inner_end in _children(data, start, stop, b"mdia", b"minf", b"stbl"):
            count = 0
            for sizes, sizes_end in _children(data, inner, inner_end, b"stsz"):
                each, count = struct.unpack_from(">II", data, sizes + 4)
                if not each:  # a table with the size of each
                    count = min(count, (sizes_end - sizes - 12) // 4)
            for entries, entries_end in _children(data, inner, inner_end, b"stsd"):
                for kind, entry, _ in iter_boxes(data, entries + 8, entries_end):
                    if kind in (b"av01", b"hvc1", b"hev1"):
                        yield struct.unpack_from(">HH", data, entry + 24), count
        for header, _ in _children(data, start, stop, b"tkhd"):
            width, height = struct.unpack_from(">II", data, header + (88 if data[header] == 1 else 76))
            yield (width >> 16, height >> 16), 0
