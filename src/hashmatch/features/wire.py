"""The byte form of a `Look` on its way from a worker to the host.

Written by the worker, read by the host, which takes every byte for an attacker's: each number is bounded, each array
has the length its picture's policy allows, each float is finite and in range; anything else is a `ValueError`.
Little-endian.

    frame (uint32), whether it was looked at in full (uint8, 0 or 1);
    number of hashes (uint16), each: place of its algorithm in `ALGORITHMS`, quality (255 is none), length (uint8 each),
    view, its bytes;
    number of small pictures (uint8), each: view, height, width (uint32), quality (uint8), 128 x 128 float32;
    keypoints (uint8, 0 or 1): view, width, height (float64), number of points (uint16), x, y, sigma, angle (float32
    each), 16 bytes of code for each, 128 float32 margins for each, rows, columns (uint32), rows x columns float32.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.algorithms import ALGORITHMS
from hashmatch.features.extract import KeypointLook, Look, SmallLook
from hashmatch.hashers.keypoint import QUERY_POINTS
from hashmatch.hashes import HashValue, ViewHash
from hashmatch.keypoints.describe import mirrored
from hashmatch.keypoints.points import CODE_BITS, CODE_BYTES, FRAME_SIDE, Keypoints
from hashmatch.view import Background, Margins, Rendering, Shrink, Turn, View
from hashmatch.views.small import SMALL_SIDE

__all__ = ["LookBounds", "pack_look", "unpack_look"]

_BACKGROUNDS, _TURNS, _SHRINKS, _RENDERINGS = tuple(Background), tuple(Turn), tuple(Shrink), tuple(Rendering)
_FRAME: Final = struct.Struct("<IB")
_COUNT: Final = struct.Struct("<H")
_HASH: Final = struct.Struct("<BBB")
_VIEW: Final = struct.Struct("<I5Bh8h")
_POINTS: Final = struct.Struct("<ddH")
_LUMA: Final = struct.Struct("<II")
_SIZE: Final = struct.Struct("<II")
_TILTS: Final = 100
_MOST_HASHES: Final = 64  # of each algorithm: eight turns of the picture, its negative and four trims, and shrinks
_NAMES: Final = tuple(ALGORITHMS)
_NUMBERS: Final = {name: number for number, name in enumerate(_NAMES)}
_NO_QUALITY: Final = 255
_LONGEST: Final = 255  # bytes of a hash; records of keypoints are made by the host
_KEPT_VIEWS: Final = 256  # pictures are looked at in the same ways over and over
_MOST_SMALLS: Final = 2  # of the whole picture and of its likeliest trim
_LEVELS: Final = (-1.0, 256.0)  # sums of weights overshoot 0 and 255 a little
_LARGEST: Final = 1e6  # places, scales and margins; real ones stay far below

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBounds:
    """What an answer may hold.

    Parameters
    ----------
    algorithms : tuple of str
        Algorithms that were asked for.
    smalls, keypoints : bool
        Whether those were asked for.
    max_frames : int
        Frames that may be looked at.
    max_side : int
        Longest side of a picture, px.
    """

    algorithms: tuple[str, ...]
    smalls: bool
    keypoints: bool
    max_frames: int
    max_side: int

    @property
    def most_bytes(self) -> int:
        """Length of the longest look, bytes."""
        size = 64 + _MOST_HASHES * len(_NAMES) * (_HASH.size + _VIEW.size + _LONGEST)  # whatever is asked for
        size += self.smalls * _MOST_SMALLS * (_VIEW.size + _SIZE.size + 1 + 4 * SMALL_SIDE**2)
        each = 4 * 4 + CODE_BYTES + 4 * CODE_BITS
        return size + self.keypoints * (_VIEW.size + 64 + QUERY_POINTS * each + 4 * self.most_luma)

    @property
    def most_luma(self) -> int:
        """Samples of the largest normal frame."""
        return max(int(2 * FRAME_SIDE**2), int(FRAME_SIDE * math.sqrt(self.max_side)) + 1)


def pack_look(look: Look) -> list[bytes]:
    """Write a look down, in pieces.

    Parameters
    ----------
    look : Look
        Of a raster; a look from a stored record has no luma and cannot be written.
    """
    parts = [_FRAME.pack(look.frame, look.is_full) + _COUNT.pack(len(look.hashes))]
    for hashed in look.hashes:
        value, quality = hashed.value, _NO_QUALITY if hashed.quality is None else hashed.quality
        head = _HASH.pack(_NUMBERS[value.algorithm], quality, len(value.data))
        parts += [head, _packed_view(hashed.view), value.data]
    parts.append(bytes([len(look.smalls)]))
    for item in look.smalls:
        parts += [_packed_view(item.view), _SIZE.pack(*item.size), bytes([item.quality]), _packed(item.small)]
    found = look.keypoints
    parts.append(bytes([found is not None]))
    if found is not None:
        points, luma, margins = found.points, found.luma, found.points.margins
        if luma is None or margins is None:
            raise ValueError("a look of a record cannot be written")
        parts += [_packed_view(found.view), _POINTS.pack(points.width, points.height, len(points))]
        parts += [_packed(values) for values in (points.x, points.y, points.sigma, points.angle)]
        parts += [points.codes.tobytes(), _packed(margins), _LUMA.pack(*luma.shape), _packed(luma)]
    return parts


def unpack_look(data: bytes | bytearray, bounds: LookBounds) -> Look:
    """Read a look that may come from a worker in an attacker's hands.

    Parameters
    ----------
    data : bytes
        What `pack_look` is said to have written.
    bounds : LookBounds
        What may be in it.

    Raises
    ------
    ValueError
        If anything is not as it must be.
    """
    rest = _Rest(data)
    frame, is_full = rest.take(_FRAME)
    if frame >= bounds.max_frames or is_full > 1:
        raise ValueError("a frame that was not asked for")
    (count,) = rest.take(_COUNT)
    if count > _MOST_HASHES * len(bounds.algorithms):
        raise ValueError("too many hashes")
    hashes = tuple(_hash(rest, bounds) for _ in range(count))
    smalls = tuple(_small(rest, bounds) for _ in range(rest.count(_MOST_SMALLS if bounds.smalls else 0)))
    keypoints = _keypoints(rest, bounds) if rest.count(int(bounds.keypoints)) else None
    rest.must_be_empty()
    return Look(hashes=hashes, smalls=smalls, keypoints=keypoints, frame=frame, is_full=bool(is_full))


class _Rest:
    """What is left to read of some bytes; reading beyond the end is a `ValueError`."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._at = 0

    def bytes(self, length: int) -> bytes:
        end = self._at + length
        if not self._at <= end <= len(self._data):
            raise ValueError("cut short")
        part = self._data[self._at : end]
        self._at = end
        return bytes(part)

    def take(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self.bytes(form.size))

    def count(self, most: int) -> int:
        value = self.bytes(1)[0]
        if value > most:
            raise ValueError("too many")
        return value

    def floats(self, shape: tuple[int, ...], least: float, most: float) -> Floats:
        values = np.frombuffer(self.bytes(4 * math.prod(shape)), "<f4").astype(np.float32).reshape(shape)
        if values.size and not (float(values.min()) >= least and float(values.max()) <= most):
            raise ValueError("a number out of range")  # not-a-number fails too
        return values

    def must_be_empty(self) -> None:
        if self._at != len(self._data):
            raise ValueError("bytes left over")


def _hash(rest: _Rest, bounds: LookBounds) -> ViewHash:
    number, quality, length = rest.take(_HASH)
    if number >= len(_NAMES) or _NAMES[number] not in bounds.algorithms:
        raise ValueError("a hash that was not asked for")
    view, value = _view(rest, bounds), HashValue(_NAMES[number], rest.bytes(length))
    return ViewHash(value=value, quality=None if quality == _NO_QUALITY else quality, view=view)


def _small(rest: _Rest, bounds: LookBounds) -> SmallLook:
    view, (height, width), quality = _view(rest, bounds), rest.take(_SIZE), rest.count(100)
    if not (1 <= height <= bounds.max_side and 1 <= width <= bounds.max_side):
        raise ValueError("an impossible size")
    small = rest.floats((SMALL_SIDE, SMALL_SIDE), *_LEVELS)
    return SmallLook(view=view, size=(height, width), quality=quality, small=small)


def _keypoints(rest: _Rest, bounds: LookBounds) -> KeypointLook:
    view = _view(rest, bounds)
    width, height, n = rest.take(_POINTS)
    if n > QUERY_POINTS:
        raise ValueError("too many points")
    if not (0.0 < width < _LARGEST and 0.0 < height < _LARGEST and 0.5 < width * height / FRAME_SIDE**2 < 2.0):
        raise ValueError("an impossible frame")
    x, y = rest.floats((n,), -_LARGEST, _LARGEST), rest.floats((n,), -_LARGEST, _LARGEST)
    sigma, angle = rest.floats((n,), 0.0, _LARGEST), rest.floats((n,), -7.0, 7.0)
    codes = np.frombuffer(rest.bytes(n * CODE_BYTES), np.uint8).reshape(n, CODE_BYTES).copy()
    margins = rest.floats((n, CODE_BITS), 0.0, _LARGEST)
    rows, columns = rest.take(_LUMA)
    if not (rows >= 1 and columns >= 1 and rows * columns <= bounds.most_luma):
        raise ValueError("an impossible frame")
    luma = rest.floats((rows, columns), *_LEVELS)
    points = Keypoints(width, height, x, y, sigma, angle, codes, margins)
    return KeypointLook(view=view, points=points, mirrored=mirrored(points), luma=luma)


def _packed(values: Floats) -> bytes:
    return values.astype("<f4", copy=False).tobytes()


def _packed_view(view: View) -> bytes:
    return _VIEW.pack(
        view.frame,
        _BACKGROUNDS.index(view.background),
        _TURNS.index(view.turn),
        _SHRINKS.index(view.shrink),
        _RENDERINGS.index(view.rendering),
        view.negative,
        round(view.tilt * _TILTS),
        *view.trim.shares,
        *view.cut.shares,
    )


def _view(rest: _Rest, bounds: LookBounds) -> View:
    view = _view_of(rest.bytes(_VIEW.size))
    if view.frame >= bounds.max_frames:
        raise ValueError("a view that was not asked for")
    return view


@lru_cache(_KEPT_VIEWS)
def _view_of(data: bytes) -> View:
    frame, background, turn, shrink, rendering, negative, tilt, *shares = _VIEW.unpack(data)
    chosen = zip((background, turn, shrink, rendering), (_BACKGROUNDS, _TURNS, _SHRINKS, _RENDERINGS), strict=True)
    if negative > 1 or any(place >= len(kinds) for place, kinds in chosen):
        raise ValueError("an unknown view")
    return View(
        frame=frame,
        rendering=_RENDERINGS[rendering],
        background=_BACKGROUNDS[background],
        trim=Margins.of(shares[:4]),
        turn=_TURNS[turn],
        tilt=tilt / _TILTS,
        cut=Margins.of(shares[4:]),
        shrink=_SHRINKS[shrink],
        negative=bool(negative),
    )
