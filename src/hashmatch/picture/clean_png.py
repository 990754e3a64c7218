"""The chunks of a PNG that affect its pixels (W3C PNG, third edition), copied without the other chunks.

Pillow refuses a picture for an ancillary chunk with a wrong checksum or too few bytes, and interprets some text chunks
as commands. Browsers skip such chunks.
"""

from __future__ import annotations

import struct
import zlib
from itertools import groupby
from typing import Final

__all__ = ["clean_png", "mend_png"]

_START: Final = 8
MAX_CHUNKS: Final = 2**18  # a fraction of a second; what follows is left as it is
_MAX_INFLATED: Final = 2**20  # bytes of a profile or text; Pillow takes no more
_MAX_TEXTS: Final = 4  # that can hold an orientation
_LENGTHS: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"acTL": 8}
_KEY_LENGTHS: Final = {0: 2, 2: 6}  # of tRNS by colour type
_ORIENTED: Final = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"exif\0")
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE: Final = 2**16
_MAX_MENDED: Final = 2**30  # bytes of the rows of an animation's later frames; some seconds

Chunk = tuple[bytes, int, int]  # kind, where the chunk begins and where it ends


def clean_png(data: bytes) -> bytes:
    """Return the file with only the chunks that determine its pixels.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes
        The same object if nothing is to be left out. Otherwise a PNG of the critical chunks, those of the animation
        unless they are broken before the pixels, and transparency, colour and orientation as far as their length,
        place, checksum and compressed content are as they should be.

    Notes
    -----
    Cost: 1 µs a chunk and the checksums of what is kept, not of the pixels; a copy where something is left out.
    Compressed content is inflated to 1 MiB at most. What follows the first broken length is kept as it is.
    """
    chunks, rest = _chunks(data)
    if not chunks or chunks[0][0] != b"IHDR" or chunks[0][2] != _START + 25:
        return data
    animated = _is_animation(data, chunks)
    kept: list[tuple[int, int]] = []
    seen: set[bytes] = set()
    state, moving = _State(colour=data[_START + 17]), False
    for kind, at, end in chunks:
        if kind == b"IDAT" or kind == b"IEND":
            keep = kind not in seen or end - at > 12
        elif kind in (b"fcTL", b"fdAT"):
            moving = moving or (kind == b"fcTL" and b"IDAT" in seen)
            keep = animated and (kind == b"fcTL" or moving)
        else:
            keep = _is_wanted(kind, data, at, end, seen, state, animated)
        if keep:
            seen.add(kind)
            kept.append((at, end))
    if len(kept) == len(chunks):
        return data
    view = memoryview(data)
    return b"".join([view[:_START], *(view[at:end] for at, end in kept), view[rest:]])


class _State:
    """What earlier chunks decide about later ones."""

    __slots__ = ("colour", "colours", "profiles", "texts")

    def __init__(self, colour: int) -> None:
        self.colour = colour
        self.colours = 0
        self.profiles = 0
        self.texts = 0


def _chunks(data: bytes) -> tuple[list[Chunk], int]:
    """Give the whole chunks up to IEND, and where what cannot be split begins."""
    found: list[Chunk] = []
    at, size = _START, len(data)
    for _ in range(MAX_CHUNKS):
        if at + 8 > size:
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > size:
            break
        found.append((kind, at, end))
        at = end
        if kind == b"IEND":
            return found, size
    return found, at


def _is_sound(data: bytes, at: int, end: int) -> bool:
    """Tell whether the checksum fits."""
    return zlib.crc32(memoryview(data)[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])


def _is_wanted(kind: bytes, data: bytes, at: int, end: int, seen: set[bytes], state: _State, animated: bool) -> bool:
    length = end - at - 12
    if kind == b"IHDR":  # a second one is no side matter: the codec has to see it, and the limits its size
        return True
    if kind == b"PLTE":
        wanted = state.colour == 3 and not seen & {b"PLTE", b"IDAT"}
        state.colours = length // 3 if wanted else state.colours
        return wanted
    if kind in (b"zTXt", b"iTXt", b"tEXt"):
        state.texts += data.startswith(_ORIENTED, at + 8)
        return (
            state.texts <= _MAX_TEXTS
            and data.startswith(_ORIENTED, at + 8)
            and length <= _MAX_INFLATED
            and _is_sound(data, at, end)
            and _is_small_text(kind, data[at + 8 : end - 4])
        )
    if kind in seen or not _is_sound(data, at, end):
        return False
    if kind == b"eXIf":  # also behind the pixels
        return length > 0
    if b"IDAT" in seen:
        return False
    if kind == b"tRNS":
        if state.colour == 3:
            return 0 < length <= state.colours
        return length == _KEY_LENGTHS.get(state.colour)
    if kind == b"iCCP":
        state.profiles += 1
        name, found, rest = data[at + 8 : end - 4].partition(b"\0")
        return state.profiles == 1 and bool(name and found) and rest[:1] == b"\0" and _inflates(rest[1:])
    return length == _LENGTHS.get(kind) and (kind != b"acTL" or animated)


def _is_small_text(kind: bytes, content: bytes) -> bool:
    if kind == b"tEXt":
        return True
    _, _, rest = content.partition(b"\0")
    if kind == b"zTXt":
        return rest[:1] == b"\0" and _inflates(rest[1:])
    if rest[:1] == b"\0":
        return True
    return rest[1:2] == b"\0" and rest.count(b"\0", 2) >= 2 and _inflates(rest[2:].split(b"\0", 2)[2])


def _inflates(packed: bytes) -> bool:
    """Tell whether compressed content is whole and small."""
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(packed, _MAX_INFLATED)
    except zlib.error:
        return False
    return inflater.eof


def _is_animation(data: bytes, chunks: list[Chunk]) -> bool:
    """Tell whether the animation is as it should be up to the first pixels; else the still picture counts."""
    number = 0
    controls = [chunk for chunk in chunks if chunk[0] == b"acTL"]
    if len(controls) != 1 or not _is_sound(data, *controls[0][1:]):
        return False
    width, height = struct.unpack_from(">II", data, _START + 8)
    ahead = False
    for kind, at, end in chunks:
        if kind == b"acTL":
            ahead = end - at == 20 and 0 < int.from_bytes(data[at + 8 : at + 12]) <= 2**31
        elif kind == b"fcTL":
            if end - at != 38 or not _is_sound(data, at, end):
                return False
            sequence, *box = struct.unpack_from(">5I", data, at + 8)
            if sequence != number or box[0] + box[2] > width or box[1] + box[3] > height:
                return False
            number += 1
        elif kind == b"IDAT":
            return ahead
        elif kind == b"fdAT":
            return False
    return False


def mend_png(data: bytes) -> bytes | None:
    """Rewrite the compressed streams of the pixels, if only the stream around whole pixels is broken.

    Parameters
    ----------
    data : bytes
        A PNG as `clean_png` returns it.

    Returns
    -------
    bytes or None
        A file whose streams, also those of an animation's later frames, have a header and a check value that fit, and
        no more rows than the picture; None where pixels of the first picture are missing or cannot be inflated, or its
        header is not that of a stream. A later frame that cannot be mended stays as it is.

    Notes
    -----
    Cost: inflating and deflating again at the lowest level, piece by piece, for 1 GiB of later frames at most; the
    streams in memory twice.
    """
    chunks, rest = _chunks(data)
    if chunks[:1] != [(b"IHDR", _START, _START + 25)]:
        return None
    out, number, budget = [data[:_START]], 0, _MAX_MENDED
    size = _size_at(data, _START + 8)
    body = b"".join(data[at + 8 : end - 4] for kind, at, end in chunks if kind == b"IDAT")
    still = _packed_anew(body, _raw_length(data, *size))
    for kind, run in groupby(chunks, key=lambda chunk: chunk[0]):
        group = list(run)
        if kind == b"IDAT":
            if still is None:
                return None
            out += [_chunk(kind, still)] if still else []
            still = b""
        elif kind == b"fdAT":
            stream = b"".join(data[at + 12 : end - 4] for _, at, end in group)
            length = _raw_length(data, *size)
            fits = length is not None and length <= budget
            budget -= length if fits and length is not None else 0
            packed = _packed_anew(stream, length) if fits else None
            out.append(_chunk(kind, struct.pack(">I", number) + (stream if packed is None else packed)))
            number += 1
        elif kind == b"fcTL":
            for _, at, end in group:
                size = _size_at(data, at + 12) if end - at == 38 else (0, 0)
                out.append(_chunk(kind, struct.pack(">I", number) + data[at + 12 : end - 4]))
                number += 1
        else:
            out += [data[at:end] for _, at, end in group]
    return b"".join([*out, data[rest:]])


def _size_at(data: bytes, at: int) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, at)
    return width, height


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _packed_anew(stream: bytes, left: int | None) -> bytes | None:
    """Inflate and deflate a stream; None where fewer bytes than ``left`` are in it, or it is none."""
    if left is None or len(stream) < 3 or stream[0] & 15 != 8:
        return None
    inflater, deflater = zlib.decompressobj(-15), zlib.compressobj(1)
    packed: list[bytes] = []
    source = stream[2:]
    try:
        while left > 0 and not inflater.eof:
            rows = inflater.decompress(source, min(left, _PIECE))
            source = inflater.unconsumed_tail
            if not rows and not source:
                break
            left -= len(rows)
            packed.append(deflater.compress(rows))
    except zlib.error:
        return None
    return None if left > 0 else b"".join(packed) + deflater.flush()


def _raw_length(data: bytes, width: int, height: int) -> int | None:
    """Bytes of the filtered rows of a frame; None for a header that cannot be."""
    depth, colour, _, _, interlaced = struct.unpack_from(">5B", data, _START + 16)
    if colour not in _CHANNELS:
        return None
    bits = depth * _CHANNELS[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
