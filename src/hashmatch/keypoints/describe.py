"""From places to codes: direction of the gradients, a patch turned by it, and the signs of its cosine coefficients.

Patches, cosines and rotations are whole numbers, and their products stay under 2 ** 53, so no sum depends on the order
in which a BLAS library takes it; directions are sums in one fixed order.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.points import SAMPLES, TURNS, Sampling, coefficients, directions, patches
from hashmatch.keypoints.detect import Extrema, extrema, spread
from hashmatch.keypoints.points import CODE_BITS, CODE_BYTES, FRAME_SIDE, Keypoints
from hashmatch.keypoints.record import checked_key
from hashmatch.keypoints.scale_space import LEVELS, Octave, octaves

__all__ = ["extract", "mirrored"]

# Constants of the format: another value makes other records.
_WINDOW: Final = 6.0  # sigmas from the middle of a patch to its side, for the code
_LOOK: Final = 3.0  # likewise for the direction
_STEP: Final = np.float32(2 * math.pi / TURNS)
_FRAME_BLUR: Final = 0.5  # px of blur that the frame is taken to have
_COSINE: Final = 2.0**11  # fixed point of the cosines
_TURN: Final = 2.0**15  # fixed point of the keyed turn
_GROUP: Final = 16  # coefficients turned together by a key
_PUBLIC: Final = b"hashmatch keypoint, no key"

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.float64]


def extract(luma: Floats, n_points: int, *, margins: bool, key: bytes | None = None) -> Keypoints:
    """Find and describe the points of a picture.

    Parameters
    ----------
    luma : (h, w) float32 array, 0.0 to 255.0
        The normal frame, from `frame.normal_luma`.
    n_points : int
        Largest number of points, 1 or more; the best first.
    margins : bool
        Whether to keep the margin of each bit; for queries.
    key : bytes, optional
        Secret of at least 16 random bytes that rotates the coefficients before their signs are taken.

    Returns
    -------
    Keypoints
        Points; none if the picture is plain, or under 20 px high or wide in the frame.

    Raises
    ------
    TypeError, ValueError
        If ``key`` is not bytes or too short, or ``n_points`` is under 1.

    Notes
    -----
    Cost: several times as much with NumPy's kernels as with the compiled ones; ``docs/explanation/performance.md`` has
    the time of a whole record.
    """
    if n_points < 1:
        raise ValueError(f"n_points is at least 1, not {n_points}")
    turn = _rotation(_PUBLIC if key is None else b"key" + checked_key(key))
    rows, columns = luma.shape
    unit = FRAME_SIDE / math.sqrt(rows * columns)
    space = octaves(luma, _FRAME_BLUR)
    found = extrema(space)
    found = found.take(spread(found, luma.shape, n_points))
    angle = directions(_patches(space, found, np.zeros(len(found), np.float32), _LOOK), _WEIGHT)
    values = coefficients(_patches(space, found, angle, _WINDOW), _COSINES, _ORDER, turn)
    return Keypoints(
        width=columns * unit,
        height=rows * unit,
        x=(found.x + np.float32(0.5)) * np.float32(unit),
        y=(found.y + np.float32(0.5)) * np.float32(unit),
        sigma=found.sigma * np.float32(unit),
        angle=angle * _STEP,
        codes=np.packbits(np.ascontiguousarray(values > 0), axis=1).reshape(len(found), CODE_BYTES),
        margins=_margins(values) if margins else None,
    )


def mirrored(points: Keypoints) -> Keypoints:
    """Return the points of the picture mirrored left to right.

    Parameters
    ----------
    points : Keypoints
        Points of the untouched picture, with or without a key.

    Returns
    -------
    Keypoints
        The same points in the same order; margins are those of the untouched picture.

    Notes
    -----
    The result differs from an extraction of the mirrored picture in two ways: octaves keep every second sample, and
    these are other samples if the width is even; and the direction is rounded.
    """
    return Keypoints(
        width=points.width,
        height=points.height,
        x=(points.width - points.x).astype(np.float32),
        y=points.y,
        sigma=points.sigma,
        angle=np.mod(math.pi - points.angle.astype(np.float64), 2 * math.pi).astype(np.float32),
        codes=points.codes ^ _MIRROR,
        margins=points.margins,
    )


def _order() -> npt.NDArray[np.int32]:
    """Frequencies down and along of each bit, (128, 2): by their sum, then down; without the mean."""
    pairs = sorted(((i, j) for i in range(SAMPLES) for j in range(SAMPLES)), key=lambda pair: (sum(pair), pair[0]))
    return np.array(pairs[1 : CODE_BITS + 1], np.int32)


def _cosines() -> npt.NDArray[np.int32]:
    i, j = np.arange(SAMPLES)[:, None], np.arange(SAMPLES)
    cosines: Whole = np.cos(math.pi / (2 * SAMPLES) * i * (2 * j + 1)) * math.sqrt(2 / SAMPLES)
    return np.rint(cosines * _COSINE).astype(np.int32)


_ORDER: Final = _order()
_COSINES: Final = _cosines()
_MIRROR: Final = np.packbits(_ORDER[:, 0] % 2 == 1)
_GRID: Final = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2 - 1
_WEIGHT: Final = np.exp(-(_GRID**2 + _GRID[:, None] ** 2) / 0.5).astype(np.float32)


@lru_cache(maxsize=8)
def _rotation(seed: bytes) -> Whole:
    """Turn a seed into a rotation of the coefficients, (128, 128), in units of 2 ** -15.

    Coefficients are mixed in groups of up to 16 that follow one another in the order of the bits and are all even or
    all odd across the direction: so a mirrored picture still flips whole bits.
    """
    whole = np.zeros((CODE_BITS, CODE_BITS))
    drawn = _normals(seed, CODE_BITS * _GROUP)
    odd = _ORDER[:, 0] % 2 == 1
    for half in (np.flatnonzero(~odd), np.flatnonzero(odd)):
        for start in range(0, len(half), _GROUP):
            group = half[start : start + _GROUP]
            size = len(group)
            q, r = np.linalg.qr(drawn[: size * size].reshape(size, size))
            drawn = drawn[size * size :]
            whole[np.ix_(group, group)] = np.rint(q * np.sign(np.diag(r)) * _TURN)
    return whole


def _normals(seed: bytes, count: int) -> Whole:
    """Draw normal numbers from SHAKE-256 of the seed, two from each 16 bytes (Box and Muller)."""
    words = np.frombuffer(hashlib.shake_256(b"hashmatch keypoint rotation 1:" + seed).digest(8 * count), "<u8")
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    length, turn = np.sqrt(-2 * np.log(uniform[::2])), 2 * math.pi * uniform[1::2]
    return np.stack([length * np.cos(turn), length * np.sin(turn)], axis=1).ravel()


def _patches(space: list[Octave], at: Extrema, angle: Floats, window: float) -> Floats:
    """Sample the turned squares of half side ``window`` sigmas, (n, 16, 16), rows across the direction.

    Each comes from the level whose blur is nearest to the point's scale divided by the square root of 2.
    """
    level = np.floor(at.log_sigma * LEVELS - 0.5 * LEVELS + 0.5).astype(np.int64)
    octave = np.clip(level // LEVELS, 0, len(space) - 1)
    level = np.clip(level - octave * LEVELS, 0, LEVELS + 2)
    turn = angle.astype(np.float64) * (2 * math.pi / TURNS)
    length = at.sigma
    return patches(
        [image for room in space for image in room.levels],
        np.array([room.step for room in space for _ in room.levels], np.float32),
        Sampling(
            which=octave * (LEVELS + 3) + level,
            x=at.x,
            y=at.y,
            cosine=np.cos(turn).astype(np.float32) * length,
            sine=np.sin(turn).astype(np.float32) * length,
            grid=(_GRID * window).astype(np.float32),
        ),
    )


def _margins(values: Whole) -> Floats:
    """Sizes of the coefficients in units of their root mean square."""
    size = np.sqrt((values * values).mean(axis=1, keepdims=True))
    margins: Floats = (np.abs(values) / np.maximum(size, 1)).astype(np.float32)
    return margins
