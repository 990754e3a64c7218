"""ZIP archives, and what is one inside: Office files, books, apps. An entry that is damaged loses itself alone.

Own code, because `zipfile` holds a table of contents of any length in memory, and gives up an archive for one entry
with a bad name, a bad extra field or a bad offset. Source: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import importlib
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hashmatch.errors import ImageError
from hashmatch.packing import Filling, Frames, Inflate, Maker, packing_maker
from hashmatch.scan.items import unread
from hashmatch.scan.sources.limits import Spending
from hashmatch.scan.sources.members import Fault, Member
from hashmatch.scan.sources.streams import Medium, Part

__all__ = ["zip_members"]

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT: Final = 65_535
_MARK_64: Final = 0xFFFFFFFF
_ENCRYPTED: Final = 0x2041
_AES: Final = 99
_FRAMED: Final = {12: "bzip2", 93: "zstd", 20: "zstd", 95: "xz"}
_LARGEST_WINDOW: Final = 2**27
_LATER: Final = 8
"""Flag of an entry whose numbers follow its data."""

_STEP: Final = 2**20


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of the table of contents; the size is None where nothing states it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int | None
    place: int


def zip_members(medium: Medium, spending: Spending) -> Iterator[Member | Fault]:
    """Read an archive by its table of contents.

    Parameters
    ----------
    medium : Medium
        The archive; bytes may stand before it.
    spending : Spending
        Told of what is unpacked; bounds the entries.

    Yields
    ------
    Member or Fault
        In the order of the table. Of an archive without one, as where it was cut, the entries that are there.

    Notes
    -----
    Memory: 16 bytes an entry, and one MiB of the table.
    """
    try:
        table, shift = _table(medium)
    except ImageError as error:
        yield Fault(error.reason)
        yield from _without_table(medium, spending)
        return
    places, ends = array("Q"), array("Q")
    for entry in _entries(medium, *table, shift):
        if isinstance(entry, _Entry):
            places.append(entry.place)
            ends.append(entry.place + _LOCAL.size + entry.packed)
        if len(places) > spending.limits.members:
            raise unread("too-many-members")
    if _overlap(places, ends):  # all are read all the same, so that no false entry hides another
        yield Fault("overlapping")
    for entry in _entries(medium, *table, shift):
        if isinstance(entry, Fault):
            yield entry
        elif entry.size or entry.packed or not entry.name.endswith((b"/", b"\\")):
            yield _member(medium, entry, spending)


def _table(medium: Medium) -> tuple[tuple[int, int], int]:
    """Find place and end of the table of contents, and by how much the archive is moved in its file."""
    start = max(0, medium.size - _LONGEST_COMMENT - _END.size)
    tail = medium.whole(start, medium.size - start)
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and (len(tail) < at + _END.size or at + _END.size + _END.unpack_from(tail, at)[7] > len(tail)):
        at = tail.rfind(b"PK\5\6", 0, at)
    if at < 0:
        raise unread("cut-short")
    *_, length, place, _comment = _END.unpack_from(tail, at)
    end = start + at
    locator = medium.whole(max(0, end - _LOCATOR.size), _LOCATOR.size)
    if locator.startswith(b"PK\6\7") and len(locator) == _LOCATOR.size:
        for where in (_LOCATOR.unpack(locator)[2], end - _LOCATOR.size - _END_64.size):
            record = medium.whole(where, _END_64.size) if 0 <= where < medium.size else b""
            if record.startswith(b"PK\6\6") and len(record) == _END_64.size:
                *_, length, place = _END_64.unpack(record)
                end = where
                break
    shift = end - length - place
    if shift < 0:
        if not medium.whole(place, 4).startswith(b"PK\1\2"):
            raise unread("damaged")
        shift = 0
    return (place + shift, place + shift + length), shift


def _without_table(medium: Medium, spending: Spending) -> Iterator[Member | Fault]:
    """Read entries by the headers before them; where one states no length, up to the next header."""
    place = _found(medium, b"PK\3\4", 0)
    while place < medium.size:
        header = medium.whole(place, _LOCAL.size)
        if len(header) < _LOCAL.size:
            return
        _, _, flags, method, _, _, crc, packed, size, length, more = _LOCAL.unpack(header)
        start = place + _LOCAL.size + length + more
        stated = None if flags & _LATER or _MARK_64 in (packed, size) else size
        fits = stated is not None and start + packed <= medium.size
        end = start + packed if fits else _found(medium, b"PK\3\4", start)
        name = medium.whole(place + _LOCAL.size, length)
        if end > start or not name.endswith((b"/", b"\\")):
            entry = _Entry(name, flags, method, crc, end - start, stated, place)
            yield _member(medium, entry, spending)
        place = _found(medium, b"PK\3\4", max(end, place + 4))


def _found(medium: Medium, mark: bytes, place: int) -> int:
    """Place of the next mark, or the end of the file."""
    while place < medium.size:
        data = medium.whole(place, _STEP)
        at = data.find(mark)
        if at >= 0:
            return place + at
        if len(data) < _STEP:
            break
        place += len(data) - len(mark) + 1
    return medium.size


def _entries(medium: Medium, place: int, end: int, shift: int) -> Iterator[_Entry | Fault]:
    data, at = b"", 0
    while place + at < end:
        need = _ENTRY.size
        for _ in range(2):
            if len(data) - at < need:
                place += at
                data, at = medium.whole(place, min(end - place, 2**20)), 0
            if len(data) - at < need:
                yield Fault("cut-short")
                return
            fields = _ENTRY.unpack_from(data, at)
            need = _ENTRY.size + sum(fields[10:13])
        if fields[0] != b"PK\1\2":
            yield Fault("damaged")
            return
        start = at + _ENTRY.size
        name = data[start : start + fields[10]]
        extra = data[start + fields[10] : start + fields[10] + fields[11]]
        at += need
        numbers = _numbers(extra, fields[9], fields[8], fields[16])
        if numbers is None:
            yield Fault("damaged", name)
            continue
        size, packed, where = numbers
        yield _Entry(name, fields[3], fields[4], fields[7], packed, size, where + shift)


def _numbers(extra: bytes, size: int, packed: int, place: int) -> tuple[int, int, int] | None:
    """Take the numbers that do not fit into 32 bits from the extra field."""
    numbers = [size, packed, place]
    if _MARK_64 in numbers:
        at = 0
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<HH", extra, at)
            if kind == 1:
                where, end = at + 4, min(at + 4 + length, len(extra))
                for i, number in enumerate(numbers):
                    if number == _MARK_64:
                        if where + 8 > end:
                            return None
                        (numbers[i],) = struct.unpack_from("<Q", extra, where)
                        where += 8
                break
            at += 4 + length
    if max(numbers) >= 2**62:
        return None
    return numbers[0], numbers[1], numbers[2]


def _overlap(places: array[int], ends: array[int]) -> bool:
    """Tell whether an entry begins before another that begins earlier has ended."""
    if not places:
        return False
    starts, stops = np.frombuffer(places, np.uint64), np.frombuffer(ends, np.uint64)
    order = np.argsort(starts, kind="stable")
    return bool((starts[order][1:] < stops[order][:-1]).any())


def _member(medium: Medium, entry: _Entry, spending: Spending) -> Member | Fault:
    header = medium.whole(entry.place, _LOCAL.size)
    if len(header) < _LOCAL.size:
        return Fault("cut-short", entry.name)
    fields = _LOCAL.unpack(header)
    if fields[0] != b"PK\3\4":
        return Fault("damaged", entry.name)
    if (entry.flags | fields[2]) & _ENCRYPTED or entry.method == _AES:
        return Fault("encrypted", entry.name)
    part = Part(medium, entry.place + _LOCAL.size + fields[9] + fields[10], entry.packed)
    if entry.method == 0:
        return Member(entry.name, entry.size, part if entry.size is None else _Checked(part, entry.packed, entry))
    make = _maker(entry.method, part)
    if make is None:
        return Fault("no-module" if entry.method in _FRAMED else "format-not-read", entry.name)
    unpacked = Frames(part.some, "deflate", make, fail=unread, made=spending.made, ends_at_other=True)
    return Member(entry.name, entry.size, unpacked if entry.size is None else _Checked(unpacked, entry.size, entry))


def _maker(method: int, part: Part) -> Maker | None:
    """Find what unpacks by a method of the APPNOTE; None for one that is not read."""
    if method == 8:
        return lambda: (_Deflate(), zlib.error)
    if method == 14:
        return _lzma_maker(part)
    return packing_maker(_FRAMED[method]) if method in _FRAMED else None


class _Deflate(Inflate):
    """A raw deflate stream, after which nothing follows in an entry."""

    def __init__(self) -> None:
        super().__init__(-15)

    @property
    def unused_data(self) -> bytes:
        return b"\0"


def _lzma_maker(part: Part) -> Maker | None:
    """Read the properties before the stream: version (2 bytes), their length (2), then five bytes of their own."""
    head = b""
    while len(head) < 9 and (data := part.some(9 - len(head))):
        head += data
    if len(head) < 9 or head[2:4] != b"\5\0" or head[4] >= 225:
        return None
    window = int.from_bytes(head[5:9], "little")
    if window > _LARGEST_WINDOW:
        return None
    rest, lc = divmod(head[4], 9)
    pb, lp = divmod(rest, 5)
    if lc + lp > 4:
        return None
    try:
        lzma = importlib.import_module("lzma")
    except ImportError:  # a Python that was built without it
        return None
    filters: list[Any] = [{"id": lzma.FILTER_LZMA1, "dict_size": max(window, 4096), "lc": lc, "lp": lp, "pb": pb}]
    return lambda: (lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters), (lzma.LZMAError, ValueError))


class _Checked(Filling):
    """The bytes of a member up to its stated length; `flaw` says at the end whether its checksum is right."""

    def __init__(self, source: Filling, size: int, entry: _Entry) -> None:
        self._source, self._left, self._entry, self._crc = source, size, entry, 0
        self.flaw: str | None = None

    def some(self, size: int) -> bytes:
        data = self._source.some(min(size, self._left)) if self._left else b""
        if self._left and not data:
            raise unread("cut-short")
        if data:
            self._left -= len(data)
            self._crc = zlib.crc32(data, self._crc)
            if not self._left and self._crc != self._entry.crc:
                self.flaw = "damaged"
        return data
