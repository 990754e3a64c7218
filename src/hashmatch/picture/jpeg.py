"""The structure of a JPEG (ITU-T T.81): its segments, those that affect the pixels, and the ends of its scans.

This module does not import Pillow. `hashmatch.picture.jpeg_load` compares the scans with what the decoder consumes.

Over 400 lines because segments, scans and markers are read by one set of rules.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np

__all__ = [
    "Boundary",
    "Segments",
    "clean_jpeg",
    "closed_jpeg",
    "count_scans",
    "few_segments",
    "is_checkable",
    "iter_segments",
    "scan_boundaries",
    "walked",
]

Segment: TypeAlias = tuple[int, int, int, int]
Segments: TypeAlias = tuple[Segment, ...]
"""What `few_segments` gives, so that a header is walked once for all who read it."""

MAX_SEGMENTS: Final = 2**18  # a fraction of a second; a file with more of them before its pixels is given up
_MAX_FILL: Final = 2**16  # bytes of 0xFF before a marker
_MAX_JUNK: Final = 2**20  # bytes of anything between two segments; a megabyte of it is no picture
_CHECKED: Final = 128  # restart intervals of a scan
_ROUGH: Final = 20  # scans; up to there it does not matter whether each is one
_MANY: Final = 64  # segments that are kept for Pillow to parse
_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"
_BARE: Final = frozenset({0x01, *range(0xD0, 0xDA)})  # TEM, RST, SOI, EOI: markers without a length
FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PIXELS: Final = FRAMES | {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF}
_SAYING: Final[Mapping[int, tuple[tuple[bytes, int], ...]]] = MappingProxyType(
    {  # what says how a picture is shown: how each segment begins, and the bytes that libjpeg or Pillow asks for
        0xE0: ((b"JFIF", 14),),
        0xE1: ((b"Exif\0\0", 6), (b"http://ns.adobe.com/xap/1.0/\0", 29)),
        0xE2: ((b"ICC_PROFILE\0", 14),),
        0xEE: ((b"Adobe", 12),),
    }
)
_PHOTOSHOP: Final = b"Photoshop 3.0\0"  # Pillow looks into it, and gives up where it is cut short
_NO_RESTART: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_MARKER: Final = re.compile(
    rb"\xff[^\x00\xff]"
)  # not ``\xff+``: one literal byte first is searched for ten times faster
_BLOCK: Final = 2**20  # bytes searched for starts of scan at a time
_FEW: Final = 256  # segments that are remembered; plain files have about ten


def iter_segments(data: bytes, at: int = 2) -> Iterator[Segment]:
    """Walk the segments as libjpeg does: skip junk, fill bytes and markers without a length.

    Parameters
    ----------
    data : bytes
        The file.
    at : int
        First byte to read: the one after the first marker.

    Yields
    ------
    (int, int, int, int)
        Marker, its place, and start and end of its content, up to and including the first start of scan, or up to the
        bound. A length of 0 or 1 is that of an empty segment. TEM, RST, SOI and EOI are given with no content.

    Raises
    ------
    IndexError, struct.error
        If the file ends before a scan.
    """
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0xFF:
            at = data.find(b"\xff", at, at + _MAX_JUNK)
            if at < 0:
                return
        first = at
        while data[at + 1] == 0xFF:
            at += 1
            if at - first > _MAX_FILL:
                return
        marker, at = data[at + 1], at + 2
        if marker == 0:
            continue
        if marker in _BARE:
            yield marker, at - 2, at, at
            continue
        end = at + max(2, struct.unpack_from(">H", data, at)[0])
        yield marker, at - 2, at + 2, end
        if marker == 0xDA:
            return
        at = end


def few_segments(data: bytes) -> Segments | None:
    """Walk a plain header once, for all its readers.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    tuple of (int, int, int, int), or None
        The segments of `iter_segments`, if they end with a start of scan and are at most 256; else None, and each
        reader walks the header.
    """
    try:
        found = tuple(islice(iter_segments(data), _FEW + 1))
    except (struct.error, IndexError):
        return None
    return found if found and found[-1][0] == 0xDA and len(found) <= _FEW else None


def walked(data: bytes, segments: Segments | None) -> Iterable[Segment]:
    """Return the segments up to the first scan: the given ones, or those of a walk."""
    return iter_segments(data) if segments is None else segments


def clean_jpeg(data: bytes, segments: Segments | None = None) -> bytes:
    """Return the file without the segments before its pixels that Pillow's parser fails on.

    Parameters
    ----------
    data : bytes
        The file.
    segments : Segments, optional
        From `few_segments`.

    Returns
    -------
    bytes
        The same object if every segment is plain. Otherwise a file with the tables and headers that the codec needs,
        and the metadata that affects how the picture is shown (EXIF, XMP, ICC profile, JFIF, Adobe), if it is whole and
        there are few such segments.

    Notes
    -----
    Cost: 1 µs a segment; a copy where something is left out.
    """
    kept: list[tuple[int, int]] = []
    odd, last, count, said, scan = False, 2, 0, 0, 0
    try:
        for marker, at, start, end in walked(data, segments):
            odd = odd or at != last
            last = end
            count += 1
            if marker in _PIXELS:
                kept.append((start - 4, end))
                scan = at if marker == 0xDA else 0
            elif marker in _SAYING:
                name = data[start : min(end, start + 30)]
                sound = not any(name.startswith(head) and len(name) < least for head, least in _SAYING[marker])
                odd = odd or not sound
                if said < _MANY and sound and any(name.startswith(head) for head, _ in _SAYING[marker]):
                    said += 1
                    kept.append((start - 4, end))
            else:
                odd = odd or not (marker == 0xFE or 0xE0 <= marker <= 0xEF) or data.startswith(_PHOTOSHOP, start)
    except (struct.error, IndexError):
        return data
    if not scan or not (odd or count > _MANY):
        return data
    return b"".join([_START, *(data[at:end] for at, end in kept[:-1]), data[scan:]])


@dataclass(frozen=True, slots=True)
class Boundary:
    """A marker that ends entropy-coded bytes, or the end of the file.

    Parameters
    ----------
    at : int
        Where it stands. end : bool
        Whether it ends the picture: EOI, or no marker at all.
    broken : bool
        Whether the structure shows that data is missing or foreign: restart markers out of order, scans that were never
        sent.
    """

    at: int
    end: bool
    broken: bool = False


@dataclass(slots=True)
class _Frame:
    """What the headers say that scans depend on."""

    progressive: bool = False
    size: tuple[int, int] = (0, 0)
    factors: dict[int, tuple[int, int]] = field(default_factory=dict)  # h, v by component
    interval: int = 0
    levels: dict[tuple[int, int], int] = field(default_factory=dict)  # of what was sent, by component and coefficient

    def header(self, marker: int, content: bytes) -> None:
        """Read a frame header."""
        self.progressive = marker == 0xC2
        height, width, count = struct.unpack_from(">HHB", content, 1)
        self.size = width, height
        self.factors = {content[6 + 3 * i]: (content[7 + 3 * i] >> 4, content[7 + 3 * i] & 15) for i in range(count)}

    def scan(self, content: bytes) -> int:
        """Read a scan header; return the number of restart markers that the scan should have."""
        count = content[0]
        names = [content[1 + 2 * i] for i in range(count)]
        first, last, levels = content[1 + 2 * count : 4 + 2 * count]
        for name in names:
            for k in range(first, min(last, 63) + 1) if self.progressive else (0,):
                self.levels[name, k] = levels & 15 if self.progressive else 0
        if not self.interval or not all(min(self.factors[name]) > 0 for name in names):
            return 0
        wide, high = (max(f[i] for f in self.factors.values()) for i in (0, 1))
        width, height = self.size
        if count == 1:  # not interleaved: as many blocks as the component has
            h, v = self.factors[names[0]]
            width, height, wide, high = -(-width * h // wide), -(-height * v // high), 1, 1
        units = -(-width // (8 * wide)) * -(-height // (8 * high))
        return max(0, -(-units // self.interval) - 1)

    def is_whole(self) -> bool:
        """Tell whether every coefficient of every component was sent to its last bit."""
        if not self.progressive:
            return self.levels.keys() >= {(name, 0) for name in self.factors}
        return all(self.levels.get((name, k), 1) == 0 for name in self.factors for k in range(64))


def count_scans(data: bytes, segments: Segments | None = None) -> int:
    """Count the scans that a decoder reads for one picture; the count is never too low.

    Parameters
    ----------
    data : bytes
        The file.
    segments : Segments, optional
        From `few_segments`.

    Returns
    -------
    int
        1 if the first scan holds all components of a sequential frame, because no other scan follows. Else the starts
        of scan up to the end of the picture.

    Notes
    -----
    Cost: the headers of a plain file; else a search for markers. Up to 20 scans it can count one inside a segment, or
    one of a picture after the first.
    """
    components, progressive = 0, False
    try:
        for marker, _, start, end in walked(data, segments):
            if marker in FRAMES:
                components, progressive = data[start + 5], marker & 3 == 2
            elif marker == 0xDA:
                if not progressive and data[start] >= components:
                    return 1
                rough = 1 + sum(found for found in _starts_of_scan(data, end))
                return rough if rough <= _ROUGH else _walked_scans(data)
    except (struct.error, IndexError):
        pass
    return 1


def _starts_of_scan(data: bytes, at: int) -> Iterator[int]:
    while at + 1 < len(data):
        block = np.frombuffer(data, np.uint8, min(_BLOCK + 1, len(data) - at), at)
        yield int(np.count_nonzero((block[:-1] == 0xFF) & (block[1:] == 0xDA)))
        at += len(block) - 1


def _walked_scans(data: bytes) -> int:
    """Count by walking from segment to segment, as the codec does."""
    count, at = 0, 2
    try:
        while True:
            marker = 0
            for marker, _, _, end in iter_segments(data, at):
                if marker == 0xD9 and count:
                    return count
                at = end
            if marker != 0xDA:
                return count
            count += 1
            following = _NO_RESTART.search(data, at)
            if following is None:
                return count
            at = following.start()
    except (struct.error, IndexError):
        return count


def is_checkable(data: bytes, segments: Segments | None = None) -> bool:
    """Tell whether the file is Huffman-coded, sequential or progressive, as nearly all are."""
    try:
        return any(segment[0] in (0xC0, 0xC1, 0xC2) for segment in walked(data, segments))
    except (struct.error, IndexError):
        return False


def scan_boundaries(data: bytes, segments: Segments | None = None) -> Iterator[Boundary]:
    """Yield the ends of entropy-coded bytes in order: restart markers, ends of scans, the end of the picture.

    Of the restart markers of a scan about 128 are yielded, and the first that is out of order, which is the last item.

    Parameters
    ----------
    data : bytes
        A file that `is_checkable`.
    segments : Segments, optional
        From `few_segments`.

    Yields
    ------
    Boundary
        Boundaries up to the one that ends the picture.

    Notes
    -----
    Cost: a search for markers, and about a microsecond a marker.
    """
    frame, following = _Frame(), walked(data, segments)
    while True:
        try:
            found = None
            for marker, _, start, end in following:
                if marker in FRAMES:
                    frame.header(marker, data[start:end])
                elif marker == 0xDD:
                    (frame.interval,) = struct.unpack_from(">H", data, start)
                elif marker == 0xDA:
                    found = start, end
                elif marker == 0xD9 and frame.levels:
                    break
            if found is None:
                return
            expected = frame.scan(data[slice(*found)])
        except (struct.error, IndexError, KeyError, ValueError):
            return  # what is no segment here is none for the codec, which has the last word
        restarts, at, ended, every = 0, found[1], None, 1 + expected // _CHECKED
        for start, marker in _markers(data, at):
            if not (frame.interval and 0xD0 <= marker <= 0xD7):
                ended = start
                break
            astray = marker & 7 != restarts & 7 or restarts > expected
            restarts += 1
            if astray or not restarts % every:
                yield Boundary(start, end=False, broken=astray)
            if astray:
                return
        lost = restarts < expected
        over = ended is None or _is_last(data, ended)
        at = len(data) if ended is None else ended
        yield Boundary(at, end=over, broken=lost or (over and not frame.is_whole()))
        if over:
            return
        following = iter_segments(data, at)


def _markers(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Give where each marker in entropy-coded bytes begins, with its fill bytes, and which it is."""
    for found in _MARKER.finditer(data, at):
        start = place = found.start()
        while start > at and data[start - 1] == 0xFF:
            start -= 1
        yield start, data[place + 1]


def closed_jpeg(data: bytes) -> bytes:
    """Close a truncated file after its last whole segment, or at the end of its entropy-coded bytes.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes
        The file up to that place with an end of picture; libjpeg fills the missing part with one colour.
    """
    last, data = 2, data.removesuffix(_END)  # it can have been put amid a segment
    try:
        while last < len(data):
            marker = 0
            for marker, at, _, end in iter_segments(data, last):
                if end > len(data) or (marker == 0xD9 and last > 2):
                    return data[:at] + _END
                last = end
            following = _NO_RESTART.search(data, last) if marker == 0xDA else None
            last = len(data) if following is None else following.start()
    except (struct.error, IndexError):
        pass
    return data[:last] + _END


def _is_last(data: bytes, at: int) -> bool:
    """Tell whether no scan follows before the end of the picture."""
    try:
        for marker, *_ in iter_segments(data, at):
            if marker == 0xDA:
                return False
            if marker == 0xD9:
                return True
    except (struct.error, IndexError):
        pass
    return True
