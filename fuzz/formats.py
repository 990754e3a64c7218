"""Mutations that know a format, so that the mutant passes the outer checks and reaches the code behind them."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from fuzz.mutate import GENERAL, INTERESTING, Mutation, some_bytes

__all__ = ["PICTURES", "change_index_header", "change_index_section", "change_page", "special_for"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NO_FILES: Final[Sequence[bytes]] = ()

_WORDS: Final = (
    *b"linear bktree multi exact keypoint hamming euclidean codes positions options rows".split(),
    *b"offsets marks heads runs".split(),
    *b"<u4 <u8 |u1 <i8 <i4 <f8 |O".split(),
    b"",
)
"""What stands in the names of an index file: kinds, types, sections."""

_SQLITE_HEADER: Final = (
    (16, 2),
    (18, 1),
    (19, 1),
    (20, 1),
    *((at, 4) for at in (24, 28, 32, 36, 40, 44, 52, 56, 60, 68, 92, 96)),
)
"""Place and width of each number in the header of an SQLite file."""


def _changed(part: bytes, rng: random.Random) -> bytes:
    """Change the inside of a part by a general mutation."""
    out = bytearray(part)
    rng.choice(GENERAL[:9])(out, rng, _NO_FILES)
    return bytes(out)


def _rearranged(parts: list[bytes], rng: random.Random, change: Callable[[bytes], bytes]) -> None:
    """Change, drop, double, move or swap one of the parts of a file."""
    if not parts:
        return
    at = rng.randrange(len(parts))
    kind = rng.randrange(8)
    if kind < 4:
        parts[at] = change(parts[at])
    elif kind == 4:
        del parts[at]
    elif kind == 5:
        parts[at:at] = [parts[at]] * rng.choice((1, 1, 3, 40))
    elif kind == 6:
        parts.insert(rng.randrange(len(parts)), parts.pop(at))
    else:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]


def _png_chunks(data: bytes) -> list[bytes]:
    """Type and content of every chunk, without lengths and checksums."""
    chunks, at = [], len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        chunks.append(bytes(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_chunks(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a chunk of a PNG and write all checksums so that they fit; now and then a length that lies."""
    if not data.startswith(_PNG):
        return
    chunks = _png_chunks(data)

    def change(chunk: bytes) -> bytes:
        kind, content = chunk[:4], chunk[4:]
        if kind == b"IDAT" and rng.random() < 0.7:  # the pixels behind the compression
            try:
                raw = zlib.decompressobj().decompress(content, 1 << 20)
                return kind + zlib.compress(_changed(raw, rng), 1)
            except zlib.error:
                return kind + _changed(content, rng)
        if rng.random() < 0.1:
            names = (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"gAMA")
            return rng.choice(names) + content
        return kind + _changed(content, rng)

    _rearranged(chunks, rng, change)
    out = bytearray(_PNG)
    lie = rng.randrange(len(chunks)) if chunks and rng.random() < 0.15 else -1
    for number, chunk in enumerate(chunks):
        length = rng.choice(INTERESTING) % 2**32 if number == lie else max(0, len(chunk) - 4)
        out += struct.pack(">I", length) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data[:] = out


def _jpeg_segments(data: bytes) -> list[bytes]:
    """Segments up to the scan, markers with their content but no lengths; the rest as the last part."""
    parts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            break
        parts.append(bytes(data[at : at + 2] + data[at + 4 : at + 2 + length]))
        at += 2 + length
    return [*parts, bytes(data[at:])]


def jpeg_segments(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a segment of a JPEG with its length written anew, or let the length lie."""
    if not data.startswith(b"\xff\xd8"):
        return
    *segments, scan = _jpeg_segments(data)

    def change(segment: bytes) -> bytes:
        if rng.random() < 0.15:
            marker = rng.choice((0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, rng.randrange(256)))
            return b"\xff" + bytes((marker,)) + segment[2:]
        return segment[:2] + _changed(segment[2:], rng)

    if rng.random() < 0.2:
        scan = _changed(scan, rng)
    else:
        _rearranged(segments, rng, change)
    lie = rng.randrange(len(segments)) if segments and rng.random() < 0.15 else -1
    out = bytearray(b"\xff\xd8")
    for number, segment in enumerate(segments):
        length = rng.choice(INTERESTING) if number == lie else len(segment)
        out += segment[:2] + struct.pack(">H", length % 65536) + segment[2:]
    data[:] = out + scan


def _gif_blocks(data: bytes) -> list[bytes]:
    """Screen with its palette, then every extension and every frame with its data."""

    def palette(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    if len(data) < 13:
        return [bytes(data)]
    at = 13 + palette(data[10])
    parts = [bytes(data[:at])]
    while at < len(data) and data[at] in b"!,":
        start = at
        if data[at] == 0x2C:
            at += 10 + (palette(data[at + 9]) if at + 9 < len(data) else 0) + 1
        else:
            at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        parts.append(bytes(data[start:at]))
    return [*parts, bytes(data[at:])]


def gif_blocks(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change, repeat or move a frame or extension of a GIF."""
    if not data.startswith(b"GIF8"):
        return
    parts = _gif_blocks(data)
    if rng.random() < 0.4 and len(parts) > 2:  # the numbers of a frame or the screen
        at = rng.randrange(len(parts) - 1)
        part = bytearray(parts[at])
        place = (6 if at == 0 else 1) + 2 * rng.randrange(4)
        if place + 2 <= len(part):
            part[place : place + 2] = (rng.choice(INTERESTING) % 65536).to_bytes(2, "little")
        parts[at] = bytes(part)
    else:
        _rearranged(parts, rng, lambda part: _changed(part, rng))
    data[:] = b"".join(parts)


def _riff_chunks(data: bytes) -> list[bytes]:
    parts, at = [], 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append(bytes(data[at : at + 4] + data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


def riff_chunks(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a chunk of a WebP with all sizes written anew, or let one lie."""
    if data[:4] != b"RIFF":
        return
    chunks = _riff_chunks(data)

    def change(chunk: bytes) -> bytes:
        if rng.random() < 0.1:
            return rng.choice((b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"EXIF", b"ICCP")) + chunk[4:]
        head = bytearray(chunk[4:24])
        rng.choice(GENERAL[:9])(head, rng, _NO_FILES)
        return chunk[:4] + (bytes(head) + chunk[24:] if rng.random() < 0.5 else _changed(chunk[4:], rng))

    _rearranged(chunks, rng, change)
    lie = rng.randrange(len(chunks)) if chunks and rng.random() < 0.2 else -1
    body = b"WEBP"
    for number, chunk in enumerate(chunks):
        length = rng.choice(INTERESTING) % 2**32 if number == lie else max(0, len(chunk) - 4)
        body += chunk[:4] + struct.pack("<I", length) + chunk[4:] + b"\0" * (len(chunk) % 2)
    whole = rng.choice(INTERESTING) % 2**32 if rng.random() < 0.05 else len(body)
    data[:] = b"RIFF" + struct.pack("<I", whole) + body


def _places_of(data: bytes, names: Sequence[bytes]) -> Iterator[int]:
    for name in names:
        at = data.find(name)
        while at >= 0:
            yield at
            at = data.find(name, at + 1)


def boxes(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change the size or the first numbers of a box of an AVIF or HEIF."""
    names = (b"ftyp", b"meta", b"iprp", b"ipco", b"ispe", b"iloc", b"iinf", b"infe", b"av1C", b"mdat", b"moov", b"irot")
    places = list(_places_of(data, names))
    if not places:
        return
    at = rng.choice(places) + rng.choice((-4, -4, 4, 8, 12, 16))
    width = rng.choice((2, 4, 4, 8))
    if 0 <= at <= len(data) - width:
        data[at : at + width] = (rng.choice(INTERESTING) % 2 ** (8 * width)).to_bytes(width, "big")


def tiff_fields(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a field of the first directory of a TIFF: tag, type, count or value."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None or len(data) < 16:
        return
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, at)
    if not 0 < count <= 200 or at + 2 + 12 * count > len(data):
        return
    place = at + 2 + 12 * rng.randrange(count)
    which = rng.randrange(5)
    if which == 0:
        struct.pack_into(order + "H", data, place, rng.choice((256, 257, 258, 259, 262, 273, 277, 278, 279, 317, 530)))
    elif which == 1:
        struct.pack_into(order + "H", data, place + 2, rng.randrange(14))
    else:
        number = rng.choice((*INTERESTING, 34712, 34925, 7, 5, 32773, 8)) % 2**32
        struct.pack_into(order + "I", data, place + (4 if which == 2 else 8), number)


def bmp_fields(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a field of the header of a BMP."""
    if data[:2] == b"BM" and len(data) > 54:
        place, width = rng.choice(((10, 4), (14, 4), (18, 4), (22, 4), (28, 2), (30, 4), (46, 4)))
        data[place : place + width] = (rng.choice(INTERESTING) % 2 ** (8 * width)).to_bytes(width, "little")


PICTURES: Final[dict[bytes, Mutation]] = {
    b"\x89PNG": png_chunks,
    b"\xff\xd8": jpeg_segments,
    b"GIF8": gif_blocks,
    b"RIFF": riff_chunks,
    b"II*\0": tiff_fields,
    b"MM\0*": tiff_fields,
    b"BM": bmp_fields,
}


def special_for(data: bytes) -> tuple[Mutation, ...]:
    """Pick the mutation that knows the format of a picture file; none for others."""
    if data[4:8] == b"ftyp":
        return (boxes,)
    return tuple(mutation for head, mutation in PICTURES.items() if data.startswith(head))


# index files


def _resealed(data: bytearray) -> None:
    """Write the header's own length and checksum so that they fit."""
    length = int.from_bytes(data[12:16], "little")
    if 120 <= length <= len(data):
        data[16:24] = len(data).to_bytes(8, "little")
        data[length - 32 : length] = hashlib.sha256(data[: length - 32]).digest()


def change_index_header(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a field of the header or of the section table of an index file; the header's checksum fits again."""
    length = int.from_bytes(data[12:16], "little")
    if not 120 <= length <= len(data):
        return
    count = int.from_bytes(data[44:46], "little")
    fields = [(12, 4), (16, 8), (24, 8), (32, 8), (40, 4), (44, 2), (48, 4), (56, 16), (72, 16)]
    for i in range(min(count, 64)):
        at = 88 + 96 * i
        fields += [(at, 16), (at + 16, 8), (at + 24, 4), (at + 32, 8), (at + 40, 8), (at + 48, 8), (at + 56, 8)]
    at, width = rng.choice([item for item in fields if item[0] + item[1] <= length - 32])
    old = bytes(data[at : at + width])
    if width == 16 or (width == 8 and old[:1] in b"<|"):
        new = rng.choice(_WORDS).ljust(width, b"\0")[:width]
    else:
        base = (
            int.from_bytes(old, "little") + rng.choice((-1, 1, 64, -64))
            if rng.random() < 0.5
            else rng.choice(INTERESTING)
        )
        new = (base % 2 ** (8 * width)).to_bytes(width, "little")
    data[at : at + width] = new
    _resealed(data)


def change_index_section(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change the content of a section of an index file; its checksum and the header's fit again."""
    length = int.from_bytes(data[12:16], "little")
    count = int.from_bytes(data[44:46], "little")
    if not 120 <= length <= len(data) or not 0 < count <= 64:
        return
    head = 88 + 96 * rng.randrange(count)
    if head + 96 > length:
        return
    offset, size = struct.unpack_from("<QQ", data, head + 48)
    padded = -(-size // 64) * 64
    if not size or offset + padded > len(data):
        return
    for _step in range(rng.choice((1, 1, 2, 5))):
        width = rng.choice((1, 4, 8))
        if size >= width:
            at = offset + width * rng.randrange(size // width)
            if rng.random() < 0.5:
                data[at] ^= 1 << rng.randrange(8)
            else:
                data[at : at + width] = (rng.choice(INTERESTING) % 2 ** (8 * width)).to_bytes(width, "little")
    data[head + 64 : head + 96] = hashlib.sha256(data[offset : offset + padded]).digest()
    _resealed(data)


# list files


def change_page(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Change a number where SQLite keeps its structure: the file header, a page's header or its cell pointers."""
    size = int.from_bytes(data[16:18], "big") if len(data) > 100 else 0
    if not 512 <= size <= len(data):
        return
    if rng.random() < 0.15:
        at, width = rng.choice(_SQLITE_HEADER)
    else:
        page = size * rng.randrange(len(data) // size)
        head = page + (100 if page == 0 else 0)
        at, width = rng.choice(((0, 1), (1, 2), (3, 2), (5, 2), (7, 1), (8, 4), (8 + 2 * rng.randrange(16), 2)))
        at += head
    if at + width <= len(data):
        old = int.from_bytes(data[at : at + width], "big")
        new = old + rng.choice((-2, -1, 1, 2)) if rng.random() < 0.5 else rng.choice(INTERESTING)
        data[at : at + width] = (new % 2 ** (8 * width)).to_bytes(width, "big")


def noise(rng: random.Random) -> bytes:
    """Make a file of nothing in particular."""
    return some_bytes(rng, rng.randrange(600))
