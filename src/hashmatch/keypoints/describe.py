"""From places to codes: direction of the gradients, a patch turned by it, and the signs of its cosine coefficients.

Patches, cosines and rotations are whole numbers, and their products stay under 2 ** 53, so no sum depends on the order
in which a BLAS library takes it. Only the directions hang on a processor's arctangent, and are rounded after it.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.keypoints.detect import Extrema, extrema, spread
from hashmatch.keypoints.points import CODE_BITS, CODE_BYTES, FRAME_SIDE, Keypoints
from hashmatch.keypoints.record import checked_key
from hashmatch.keypoints.scale_space import LEVELS, Octave, octaves

__all__ = ["extract", "mirrored"]

_SAMPLES: Final = 16
_WINDOW: Final = 6.0
_LOOK: Final = 3.0
_BINS: Final = 36
_TURNS: Final = 256
_STEP: Final = np.float32(2 * math.pi / _TURNS)
_FRAME_BLUR: Final = 0.5
_GREY: Final = 256  # whole numbers a grey level
_COSINE: Final = 2.0**11
_SHRINK: Final = 2.0**-16
_TURN: Final = 2.0**15
_GROUP: Final = 16
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
        How many points at most, at least 1; the best first.
    margins : bool
        Whether to keep how sure each bit is; for queries.
    key : bytes, optional
        Secret of at least 16 random bytes that turns the coefficients before their signs are taken.

    Returns
    -------
    Keypoints
        None at all where the picture is plain or under 20 px high or wide in the frame.

    Raises
    ------
    TypeError, ValueError
        If ``key`` is not bytes or too short, or ``n_points`` is under 1.

    Notes
    -----
    Cost: 35 to 50 ms of a busy core for a frame and 180 points, half of it for extrema and the scale space.
    """
    if n_points < 1:
        raise ValueError(f"n_points is at least 1, not {n_points}")
    turn = _rotation(_PUBLIC if key is None else b"key" + checked_key(key))
    rows, columns = luma.shape
    unit = FRAME_SIDE / math.sqrt(rows * columns)
    space = octaves(luma, _FRAME_BLUR)
    found = extrema(space)
    found = found.take(spread(found, luma.shape, n_points))
    angle = _directions(space, found)
    values = _coefficients(_patches(space, found, angle, _WINDOW)) @ turn.T
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
    """Say what points the picture mirrored left to right would have.

    Parameters
    ----------
    points : Keypoints
        Of the picture as it is, with or without a key.

    Returns
    -------
    Keypoints
        The same points in the same order; margins are those of the picture as it is.

    Notes
    -----
    Exact but for what extraction itself does otherwise in a mirrored picture: octaves keep every second sample, which
    are others where the width is even, and orientation is rounded.
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


def _order() -> npt.NDArray[np.int64]:
    """Frequencies down and along of each bit, (128, 2): by their sum, then down; without the mean."""
    pairs = sorted(((i, j) for i in range(_SAMPLES) for j in range(_SAMPLES)), key=lambda pair: (sum(pair), pair[0]))
    return np.array(pairs[1 : CODE_BITS + 1])


def _cosines() -> Whole:
    i, j = np.arange(int(_ORDER.max()) + 1)[:, None], np.arange(_SAMPLES)
    cosines: Whole = np.cos(math.pi / (2 * _SAMPLES) * i * (2 * j + 1)) * math.sqrt(2 / _SAMPLES)
    return np.rint(cosines * _COSINE)


_ORDER: Final = _order()
_COSINES: Final = _cosines()
_MIRROR: Final = np.packbits(_ORDER[:, 0] % 2 == 1)
_GRID: Final = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * 2 - 1


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
    out = np.empty((len(at), _SAMPLES, _SAMPLES), np.float32)
    level = np.floor(at.log_sigma * LEVELS - 0.5 * LEVELS + 0.5).astype(np.int64)
    octave = np.clip(level // LEVELS, 0, len(space) - 1)
    level = np.clip(level - octave * LEVELS, 0, LEVELS + 2)
    grid = (_GRID * window).astype(np.float32)
    turn = angle.astype(np.float64) * (2 * math.pi / _TURNS)
    cos, sin = np.cos(turn).astype(np.float32) * at.sigma, np.sin(turn).astype(np.float32) * at.sigma
    for number, room in enumerate(space):
        for i, image in enumerate(room.levels):
            mine = np.flatnonzero((octave == number) & (level == i))
            if len(mine) == 0:
                continue
            c, s = cos[mine, None, None], sin[mine, None, None]
            x = (at.x[mine, None, None] + (c * grid - s * grid[:, None])) / np.float32(room.step)
            y = (at.y[mine, None, None] + (s * grid + c * grid[:, None])) / np.float32(room.step)
            out[mine] = _bilinear(image, x, y)
    return out


def _bilinear(image: Floats, x: Floats, y: Floats) -> Floats:
    """Sample between pixels; beyond the sides the last pixel goes on."""
    height, width = image.shape
    x, y = np.clip(x, 0, np.float32(width - 1)), np.clip(y, 0, np.float32(height - 1))
    left = np.minimum(x.astype(np.int32), width - 2)
    top = np.minimum(y.astype(np.int32), height - 2)
    u, v = x - left.astype(np.float32), y - top.astype(np.float32)
    flat = image.ravel()
    at = top * np.int32(width) + left
    a, b, c, d = flat[at], flat[at + 1], flat[at + width], flat[at + width + 1]
    upper, lower = a + u * (b - a), c + u * (d - c)
    sampled: Floats = upper + v * (lower - upper)
    return sampled


def _directions(space: list[Octave], at: Extrema) -> Floats:
    """Direction of the gradients round each point, in 256ths of a turn, whole numbers."""
    n = len(at)
    patches = _patches(space, at, np.zeros(n, np.float32), _LOOK)
    across, down = np.zeros_like(patches), np.zeros_like(patches)
    across[:, :, 1:-1] = patches[:, :, 2:] - patches[:, :, :-2]
    down[:, 1:-1] = patches[:, 2:] - patches[:, :-2]
    weight = np.exp(-(_GRID**2 + _GRID[:, None] ** 2) / 0.5).astype(np.float32)
    size = np.sqrt(across * across + down * down) * weight
    turn = np.mod(np.arctan2(down, across) * np.float32(_BINS / (2 * math.pi)), np.float32(_BINS))
    low = np.minimum(turn.astype(np.int64), _BINS - 1)
    part = turn - low
    row = np.arange(n)[:, None, None] * _BINS
    flat: Whole = np.bincount((row + low).ravel(), (size * (1 - part)).ravel(), _BINS * n).astype(np.float64)
    flat += np.bincount((row + (low + 1) % _BINS).ravel(), (size * part).ravel(), _BINS * n)
    sums = flat.reshape(n, _BINS)
    for _ in range(3):
        sums = (np.roll(sums, 1, 1) + sums + np.roll(sums, -1, 1)) / 3
    i, peak = np.arange(n), sums.argmax(axis=1)
    before, here, after = sums[i, (peak - 1) % _BINS], sums[i, peak], sums[i, (peak + 1) % _BINS]
    curve = before - 2 * here + after
    place = peak + 0.5 * (before - after) / np.where(curve == 0, 1, curve)
    turns: Floats = np.mod(np.rint(place * (_TURNS / _BINS)), _TURNS).astype(np.float32)
    return turns


def _coefficients(patches: Floats) -> Whole:
    """Cosine coefficients in the order of the bits, (n, 128), whole numbers under 2 ** 33."""
    whole = np.rint(patches.astype(np.float64) * _GREY)
    whole -= np.rint(whole.mean(axis=(1, 2), keepdims=True))
    values = _COSINES @ whole @ _COSINES.T
    return np.rint(values[:, _ORDER[:, 0], _ORDER[:, 1]] * _SHRINK)


def _margins(values: Whole) -> Floats:
    """Sizes of the coefficients in units of their root mean square."""
    size = np.sqrt((values * values).mean(axis=1, keepdims=True))
    margins: Floats = (np.abs(values) / np.maximum(size, 1)).astype(np.float32)
    return margins
