"""The stored form of the keypoints of a picture, at most 4096 bytes.

This module imports NumPy only: reading and matching records needs no picture code. ``docs/reference/keypoint.md`` gives
the layout.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.errors import HashFormatError
from hashmatch.keypoints.field import Field
from hashmatch.keypoints.points import CODE_BYTES, FRAME_SIDE, Keypoints

__all__ = ["KEY_BYTES", "MAX_BYTES", "MAX_POINTS", "POINT_BYTES", "Record", "checked_key", "key_check"]

MAX_BYTES: Final = 4096
MAX_POINTS: Final = 200
POINT_BYTES: Final = CODE_BYTES + 4
KEY_BYTES: Final = 16

_VERSION: Final = 1
_KEYED: Final = 1
_CHECK_BYTES: Final = 4
_HEADER: Final = struct.Struct("<BBHHf4s")
_PLACES: Final = 1024
_SCALES: Final = 64
_SCALES_AN_OCTAVE: Final = 12
_TURNS: Final = 64
_MAX_SIDE: Final = FRAME_SIDE * FRAME_SIDE

Words = npt.NDArray[np.uint32]


def key_check(key: bytes) -> bytes:
    """Return the 4 bytes that distinguish records of one key from those of another.

    Parameters
    ----------
    key : bytes
        The secret, at least 16 random bytes: the check would confirm a guess of the key.

    Raises
    ------
    TypeError
        If it is not bytes.
    ValueError
        If it is shorter.
    """
    return hashlib.sha256(b"hashmatch keypoint key check 1" + checked_key(key)).digest()[:_CHECK_BYTES]


def checked_key(key: bytes) -> bytes:
    """Return the key if it is valid.

    Raises
    ------
    TypeError
        If it is not bytes.
    ValueError
        If it is shorter than 16 bytes.
    """
    if not isinstance(key, bytes):
        raise TypeError(f"a key is bytes, not {type(key).__name__}")
    if len(key) < KEY_BYTES:
        raise ValueError(f"a key has at least {KEY_BYTES} bytes; secrets.token_bytes(32) makes one")
    return key


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The keypoints of one reference as a list stores them.

    Parameters
    ----------
    points : Keypoints
        At most 200 points, the best first. `to_bytes` rounds their places, scales and angles, and drops margins.
    field : bytes
        Bytes that the verification compares after alignment; opaque to this class.
    key_id : bytes or None
        `key_check` of the secret key of the codes; None without a key.

    Raises
    ------
    ValueError
        If there are too many points, the check of the key has another length, or the record exceeds 4096 bytes.

    Examples
    --------
    >>> none = np.empty(0, np.float32)
    >>> record = Record(Keypoints(512.0, 512.0, none, none, none, none, np.empty((0, 16), np.uint8)), b"", None)
    >>> Record.from_bytes(record.to_bytes())
    <Record, 0 points, 0 bytes to verify, no key>
    """

    points: Keypoints
    field: bytes
    key_id: bytes | None

    def __post_init__(self) -> None:
        if len(self.points) > MAX_POINTS:
            raise ValueError(f"a record has at most {MAX_POINTS} points, not {len(self.points)}")
        if self.key_id is not None and len(self.key_id) != _CHECK_BYTES:
            raise ValueError(f"the check of a key has {_CHECK_BYTES} bytes, not {len(self.key_id)}")
        size = _HEADER.size + POINT_BYTES * len(self.points) + len(self.field)
        if size > MAX_BYTES:
            raise ValueError(f"a record has at most {MAX_BYTES} bytes; these points and this field come to {size}")

    def __repr__(self) -> str:
        keyed = "no key" if self.key_id is None else "keyed"
        return f"<Record, {len(self.points)} points, {len(self.field)} bytes to verify, {keyed}>"

    def to_bytes(self) -> bytes:
        """Write the stored form, as ``docs/reference/keypoint.md`` lays it out."""
        points = self.points
        flags = 0 if self.key_id is None else _KEYED
        check = bytes(_CHECK_BYTES) if self.key_id is None else self.key_id
        header = _HEADER.pack(_VERSION, flags, len(points), len(self.field), points.width, check)
        return header + _words(points).astype("<u4").tobytes() + points.codes.tobytes() + self.field

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Read the stored form.

        Parameters
        ----------
        data : bytes
            Bytes from `to_bytes`; anything else is refused.

        Raises
        ------
        HashFormatError
            If the bytes are not a record of version 1.
        """
        if not isinstance(data, bytes):
            raise HashFormatError(f"a keypoint record is read from bytes, not {type(data).__name__}")
        if not _HEADER.size <= len(data) <= MAX_BYTES:
            raise HashFormatError(f"a keypoint record has {_HEADER.size} to {MAX_BYTES} bytes, not {len(data)}")
        version, flags, count, field_size, width, check = _HEADER.unpack_from(data)
        if version != _VERSION:
            raise HashFormatError(f"this keypoint record has version {version}; version {_VERSION} is read here")
        if flags & ~_KEYED:
            raise HashFormatError("this keypoint record has flags that version 1 does not know")
        if not flags and check != bytes(_CHECK_BYTES):
            raise HashFormatError("this keypoint record has the check of a key but says that it has none")
        if count > MAX_POINTS:
            raise HashFormatError(f"a keypoint record has at most {MAX_POINTS} points, not {count}")
        if not 1.0 <= width <= _MAX_SIDE:
            raise HashFormatError("the frame of this keypoint record has an impossible width")
        size = _HEADER.size + POINT_BYTES * count + field_size
        if len(data) != size:
            raise HashFormatError(f"this keypoint record announces {size} bytes and has {len(data)}")
        field = data[size - field_size :]
        if field:
            # nothing but the signs of a grid may be hidden here
            Field.from_bytes(field)
        words = np.frombuffer(data, "<u4", count, _HEADER.size).astype(np.uint32)
        codes = np.frombuffer(data, np.uint8, CODE_BYTES * count, _HEADER.size + 4 * count)
        points = _points(words, codes.reshape(count, CODE_BYTES).copy(), width)
        return cls(points, field, check if flags else None)


def _words(points: Keypoints) -> Words:
    """Round each point's place, scale and angle into 32 bits: 10, 10, 6, 6, the lowest first."""
    x = np.clip(np.floor(points.x * (_PLACES / points.width)), 0, _PLACES - 1).astype(np.uint32)
    y = np.clip(np.floor(points.y * (_PLACES / points.height)), 0, _PLACES - 1).astype(np.uint32)
    scale = np.rint(np.log2(np.maximum(points.sigma, 1)) * _SCALES_AN_OCTAVE)
    turn = np.mod(np.rint(points.angle * (_TURNS / (2 * math.pi))), _TURNS).astype(np.uint32)
    words: Words = x | y << 10 | np.clip(scale, 0, _SCALES - 1).astype(np.uint32) << 20 | turn << 26
    return words


def _points(words: Words, codes: npt.NDArray[np.uint8], width: float) -> Keypoints:
    height = FRAME_SIDE * FRAME_SIDE / width
    return Keypoints(
        width=width,
        height=height,
        x=(((words & 1023) + 0.5) * (width / _PLACES)).astype(np.float32),
        y=(((words >> 10 & 1023) + 0.5) * (height / _PLACES)).astype(np.float32),
        sigma=np.exp2((words >> 20 & 63) / _SCALES_AN_OCTAVE).astype(np.float32),
        angle=((words >> 26) * (2 * math.pi / _TURNS)).astype(np.float32),
        codes=codes,
    )
