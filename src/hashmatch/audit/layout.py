"""The files of an audit log, byte by byte: ``records``, ``tree``, ``checkpoint``, ``witnessed`` and ``lock``.

Floor: audit. ``records`` begins with a magic (16 bytes) and the log's number (16 random bytes); then stands one frame
after the other: length of the record (uint32, little-endian), check value (uint32), salt (16 bytes), leaf (32 bytes:
SHA-256 of salt and record), seal (16 bytes: what only a holder of the log's key can make of place and leaf, looked at
by writers where nothing is signed yet), record. The check value is the CRC-32 of the log's number, the record's place
in the log (uint64) and the frame without it: a frame that stands in another place or another log is none.

A **purged** frame has zeros for salt and record; length and leaf stay, and with the leaf the tree.

``tree`` follows from ``records`` and is there so that a proof reads only what it needs: for each record the place of
its frame in ``records`` (uint64), its leaf's hash, and the nodes that it completes, from level 1 upwards.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from hashmatch.errors import AuditError

__all__ = [
    "HEADER_BYTES",
    "MAGIC",
    "MAX_RECORD",
    "SALT_BYTES",
    "SEAL_BYTES",
    "Frame",
    "LogFiles",
    "UnfitFrame",
    "block_at",
    "check_system",
    "encode_frame",
    "iter_frames",
    "leaf_of",
    "node_at",
    "purged_frame",
    "seal_of",
]

MAGIC: Final = b"hashmatch-log\r\n\x01"
SALT_BYTES: Final = 16
SEAL_BYTES: Final = 16
HEADER_BYTES: Final = 32
MAX_RECORD: Final = 1 << 24
"""Longest record, bytes."""

_HEAD: Final = struct.Struct("<II16s32s16s")
_LENGTH: Final = struct.Struct("<I")
_PLACE: Final = struct.Struct("<16sQ")
_NO_SALT: Final = bytes(SALT_BYTES)


class LogFiles(NamedTuple):
    """Paths of the files of the log in a folder."""

    records: Path
    tree: Path
    checkpoint: Path
    witnessed: Path
    lock: Path

    @classmethod
    def of(cls, folder: Path) -> LogFiles:
        """Name them."""
        return cls(*(folder / name for name in cls._fields))


class UnfitFrame(Exception):
    """The file ends before a frame does; never leaves this room.

    Parameters
    ----------
    place : int
        Place in the log of the record that should stand there.
    offset : int
        Where it begins, bytes.
    """

    def __init__(self, place: int, offset: int) -> None:
        super().__init__("no frame")
        self.place, self.offset = place, offset


class Frame(NamedTuple):
    """One record as it stands in the file; ``fits`` says whether the check value is right."""

    place: int
    offset: int
    salt: bytes
    leaf: bytes
    seal: bytes
    record: bytes
    fits: bool = True

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + _HEAD.size + len(self.record)

    @property
    def purged(self) -> bool:
        """Whether the record is purged: salt and record are zeros."""
        return self.salt == _NO_SALT and not any(self.record)

    @property
    def whole(self) -> bool:
        """Whether salt and record are those of the leaf."""
        return leaf_of(self.salt, self.record) == self.leaf


def check_system() -> None:
    """Raise `AuditError` where the system cannot read and write at a place of a file: logs need POSIX."""
    if not hasattr(os, "pread"):
        raise AuditError("audit logs need a POSIX system, such as Linux or macOS", reason="unreadable")


def leaf_of(salt: bytes, record: bytes) -> bytes:
    """Salted digest of a record: the data of its leaf in the tree."""
    return hashlib.sha256(salt + record).digest()


def encode_frame(number: bytes, place: int, salt: bytes, leaf: bytes, seal: bytes, record: bytes) -> bytes:
    """Write a frame of the log with that number."""
    return _HEAD.pack(len(record), _check(number, place, salt, leaf, seal, record), salt, leaf, seal) + record


def purged_frame(number: bytes, frame: Frame) -> bytes:
    """Write a frame without what was said in it, of the same length."""
    return encode_frame(number, frame.place, _NO_SALT, frame.leaf, frame.seal, bytes(len(frame.record)))


def seal_of(key: bytes, number: bytes, place: int, leaf: bytes) -> bytes:
    """Seal a place and a leaf by a secret."""
    return hmac.digest(key, _PLACE.pack(number, place) + leaf, "sha256")[:SEAL_BYTES]


def _check(number: bytes, place: int, salt: bytes, leaf: bytes, seal: bytes, record: bytes) -> int:
    head = zlib.crc32(_PLACE.pack(number, place) + _LENGTH.pack(len(record)) + salt + leaf + seal)
    return zlib.crc32(record, head)


def iter_frames(stream: BinaryIO, number: bytes, place: int, offset: int, end: int) -> Iterator[Frame]:
    """Read frame after frame, also those whose check value is wrong.

    Parameters
    ----------
    stream : binary file
        ``records``.
    number : bytes
        Number of the log.
    place, offset : int
        Of the first frame.
    end : int
        Where to stop, bytes.

    Raises
    ------
    UnfitFrame
        If the last frame is longer than what is left.
    """
    stream.seek(offset)
    while offset < end:
        head = stream.read(_HEAD.size) if end - offset >= _HEAD.size else b""
        if len(head) < _HEAD.size:
            raise UnfitFrame(place, offset)
        length, check, salt, leaf, seal = _HEAD.unpack(head)
        record = stream.read(length) if length <= min(MAX_RECORD, end - offset - _HEAD.size) else None
        if record is None or len(record) < length:
            raise UnfitFrame(place, offset)
        frame = Frame(place, offset, salt, leaf, seal, record, check == _check(number, place, salt, leaf, seal, record))
        yield frame
        place, offset = place + 1, frame.end


def block_at(place: int) -> int:
    """Where the block of a record begins in ``tree``, bytes; also the length of the file before that record."""
    return 40 * place + 32 * (place - place.bit_count())


def node_at(level: int, number: int) -> int:
    """Where a complete node stands in ``tree``, bytes: in the block of the record that completed it."""
    return block_at(((number + 1) << level) - 1) + 8 + 32 * level
