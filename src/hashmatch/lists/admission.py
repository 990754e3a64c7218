"""What a list takes of a hash beyond its length: nothing that would match what it should not, and no foreign bytes.

Floor: lists. Every way into a list asks `check_hash`: importers when they read a cell, to refuse the row by its number,
and the writer for every hash that is new to an entry.

A column of bytes of any length up to 4,096 could hold a small picture. So every record is read as what it says it is
before it gets in, and what cannot be read so is refused without being shown.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final

from hashmatch.algorithms import ALGORITHMS, DIGESTS, Metric
from hashmatch.errors import HashFormatError
from hashmatch.hashes import HashValue
from hashmatch.keypoints.record import Record
from hashmatch.lists.entry import is_record

__all__ = ["check_hash", "check_record", "placeholder_files"]

_ONE_IN: Final = 16
"""A perceptual hash needs this share of ones, and of zeros: 1/16. PDQ has about half of each by its definition."""
_MOST_CONSTANT: Final = 144 - 144 // _ONE_IN
"""Most equal bytes of a PhotoDNA hash."""
_LEAST: Final = {
    name: algorithm.n_bits // _ONE_IN for name, algorithm in ALGORITHMS.items() if algorithm.metric is Metric.HAMMING
}


def check_hash(value: HashValue) -> None:
    """Refuse a hash that would match what it should not.

    Parameters
    ----------
    value : HashValue
        Any hash; a record (``keypoint``) is also read through.

    Raises
    ------
    HashFormatError
        If it is a perceptual hash of which less than a sixteenth of the bits are ones, or zeros; a PhotoDNA hash of
        which more than 135 of 144 bytes are equal; the digest of an empty file or of a common placeholder such as a GIF
        of 1 x 1 pixels, or no digest at all but only zeros or only ones; or no record of its algorithm. The message
        shows nothing of the hash.

    Notes
    -----
    Cost: half a microsecond; two for PhotoDNA. Records cost a read.
    """
    algorithm, data = value.algorithm, value.data
    least = _LEAST.get(algorithm)
    if least is not None:
        ones = int.from_bytes(data, "big").bit_count()
        if not least <= ones <= 8 * len(data) - least:
            raise HashFormatError(
                f"less than a sixteenth of the bits of this {algorithm} hash are {'ones' if ones < least else 'zeros'}:"
                " it comes from no picture worth matching, and would match every plain one"
            )
    elif algorithm in DIGESTS:
        kind = _refused_digests().get(data)
        if kind is not None:
            raise HashFormatError(f"this is the {algorithm} digest of {kind}")
    elif algorithm == "photodna":
        values = set(data)  # of one that is nearly constant at most nine
        if len(values) <= len(data) - _MOST_CONSTANT and max(map(data.count, values)) > _MOST_CONSTANT:
            raise HashFormatError("nearly all bytes of this photodna hash are equal: it comes from no picture")
    else:
        check_record(value)


def check_record(value: HashValue) -> None:
    """Check a hash that varies in length; others pass, since their length is all there is to check.

    Raises
    ------
    HashFormatError
        If it is no record of its algorithm. The message shows nothing of it.
    """
    if not is_record(value):
        return
    try:
        Record.from_bytes(value.data)
    except ValueError as error:
        raise HashFormatError(f"this is no {value.algorithm} record: {error}") from None


def placeholder_files() -> Iterator[tuple[str, bytes]]:
    """Make the files that stand for "no picture" in pages, mails and caches, so that their digests are on many lists.

    Yields
    ------
    (kind, data) : (str, bytes)
        What it is, for messages, and the file.
    """
    yield "an empty file", b""
    for data in (b"\0", b" ", b"\n", b"\r\n", b"\n\n"):
        yield "a file of a blank", data
    for data in _gifs():
        yield "a placeholder GIF of 1 x 1 pixels", data
    for data in _pngs():
        yield "a placeholder PNG of 1 x 1 pixels", data


def _gifs() -> Iterator[bytes]:
    """Every 1 x 1 GIF of the usual writers: two versions, two colours, with or without transparency."""
    black, white = b"\0\0\0", b"\xff\xff\xff"
    tables = [(flags, a + b) for flags in (0x80, 0xF0, 0x91) for a, b in product((black, white), repeat=2)]
    tables = [(flags, table * (1 + (flags & 1))) for flags, table in tables]
    tables += [(0, b""), (0x80, b"\x05\x04\x04\0\0\0")]  # no table of colours; one writer's nearly black
    controls = [b"", *(b"!\xf9\x04" + bytes([flags, delay, 0, index]) + b"\0" for flags, delay, index in _CONTROLS)]
    codes = (b"\x02\x02D\x01\0", b"\x02\x02L\x01\0", b"\x02\x01D\0", b"\x02\x01L\0")
    for version, (flags, table), background, control, code in product(
        (b"GIF87a", b"GIF89a"), tables, (0, 1), controls, codes
    ):
        size = b"\x01\0\x01\0"
        head = version + size + bytes([flags, background, 0]) + table
        yield head + control + b",\0\0\0\0" + size + b"\0" + code + b";"
    yield b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2"  # cut short by its writer, and common


_CONTROLS: Final = ((1, 0, 0), (1, 0, 1), (0, 0, 0), (1, 10, 0), (1, 10, 1))


def _pngs() -> Iterator[bytes]:
    """Every PNG of one black, white or clear pixel as zlib writes it at its levels, and three of other writers."""
    grounds = {0: (b"\0", b"\xff"), 2: (b"\0\0\0", b"\xff\xff\xff"), 4: (b"\0\0", b"\xff\0", b"\0\xff", b"\xff\xff")}
    grounds[6] = (b"\0\0\0\0", b"\xff\xff\xff\0", b"\0\0\0\xff", b"\xff\xff\xff\xff")
    for kind, pixels in grounds.items():
        for pixel, level in product(pixels, (1, 6, 9)):
            head = b"\0\0\0\x01\0\0\0\x01\x08" + bytes([kind, 0, 0, 0])
            parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" + pixel, level)), (b"IEND", b""))
            yield b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, parts))
    yield from map(base64.b64decode, _OTHER_PNGS)


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, data = part
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


_OTHER_PNGS: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=",
)


@cache
def _refused_digests() -> dict[bytes, str]:
    """Digests that no list takes, and of what they are; ten milliseconds at the first call."""
    found: dict[bytes, str] = {}
    for name in DIGESTS:
        size = ALGORITHMS[name].n_bytes
        found |= {bytes(size): "nothing: it has only zeros", b"\xff" * size: "nothing: it has only ones"}
        for kind, data in placeholder_files():
            found[hashlib.new(name, data, usedforsecurity=False).digest()] = kind
    return found
