"""Kernels of the keypoints in NumPy: the judge of the compiled ones, and what serves where there is no compiler.

Every sum is an elementwise product and sum in a fixed order, or of whole numbers, so the same pixels give the same
bytes on every processor with IEEE arithmetic: no BLAS decides, and no library's arctangent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "BINS",
    "LUMA",
    "SAMPLES",
    "SLOPE",
    "TURNS",
    "Sampling",
    "Tents",
    "bilinear",
    "blur",
    "coefficients",
    "directions",
    "patches",
    "peaks",
    "tent_luma",
]

SAMPLES: Final = 16  # of a patch, each way
BINS: Final = 36  # directions that gradients vote for
TURNS: Final = 256  # directions that a point can have

LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_BAND: Final = 32  # rows made at a time: the luma of their sources stays in the cache
_GREY: Final = 256  # whole numbers a grey level
_SHRINK: Final = 2.0**-16

# odd terms of the arctangent from 0 to 1, the highest first, in bins: np.polynomial.Chebyshev.interpolate of
# arctan(sqrt(s)) / sqrt(s) * 18 / pi with 8 terms over s from 0 to 1; at most 1.2e-6 bins off
SLOPE: Final = np.array(
    [-0.026125684, 0.13625233, -0.33706966, 0.56544435, -0.8023294, 1.1440226, -1.9097722, 5.729577], np.float32
)

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tents:
    """Weighted sums of neighbours along one side of a picture.

    Parameters
    ----------
    first : (n,) int64 array
        The first source place of each sample; never before that of the sample before it.
    weights : (n, taps) float32 array
        Weights of the places from ``first`` on, of sum 1.
    """

    first: Places
    weights: Float32s


@dataclass(frozen=True, slots=True)
class Sampling:
    """Where turned patches lie.

    Parameters
    ----------
    which : (n,) int64 array
        Position of the picture that each is read from.
    x, y : (n,) float32 array
        Middle, px of the frame.
    cosine, sine : (n,) float32 array
        Of its direction, times the length that the grid is given in, px of the frame.
    grid : (16,) float32 array
        Places of the samples along each side, 0 in the middle.
    """

    which: Places
    x: Float32s
    y: Float32s
    cosine: Float32s
    sine: Float32s
    grid: Float32s


def tent_luma(pixels: npt.NDArray[Any], down: Tents, across: Tents) -> Float32s:
    """Take weighted sums of a picture's luma, 0.299 R + 0.587 G + 0.114 B: down first, then across.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W, 1) array
        RGB or grey, 0 to 255.
    down, across : Tents
        Sums of rows and of columns.

    Returns
    -------
    (h, w) float32 array
    """
    rows, columns = len(down.first), len(across.first)
    taps = down.weights.shape[1]
    out = np.empty((columns, rows), np.float32)
    for start in range(0, rows, _BAND):
        part = slice(start, min(start + _BAND, rows))
        first, last = int(down.first[part][0]), int(down.first[part][-1]) + taps
        tall = _sums(_luma(pixels[first:last]), down.first[part] - first, down.weights[part])
        out[:, part] = _sums(np.ascontiguousarray(tall.T), across.first, across.weights)
    return np.ascontiguousarray(out.T)


def _luma(pixels: npt.NDArray[Any]) -> Float32s:
    luma = pixels[..., 0].astype(np.float32)
    if pixels.shape[2] == 1:
        return luma
    luma *= LUMA[0]
    for channel in (1, 2):
        luma += np.multiply(pixels[..., channel], LUMA[channel], dtype=np.float32, casting="unsafe")
    return luma


def _sums(values: Float32s, first: Places, weights: Float32s) -> Float32s:
    """Weigh and add rows of ``values``, tap by tap."""
    total = values[first]
    total *= weights[:, :1]
    for tap in range(1, weights.shape[1]):
        row = values[first + tap]
        row *= weights[:, tap : tap + 1]
        total += row
    return total


def blur(image: Float32s, taps: Float32s, step: int, out: Float32s) -> None:
    """Blur down, then across, the picture mirrored beyond its sides.

    Parameters
    ----------
    image, out : (h, w) float32 array
        From and to; no sample is shared.
    taps : (n,) float32 array
        Weights at 0, step, 2 step, ... either way.
    step : int
        Distance of the taps, px, at least 1.
    """
    reach = (len(taps) - 1) * step
    height, width = image.shape
    padded = np.pad(image, ((reach, reach), (0, 0)), mode="symmetric")
    spare = np.empty_like(image)
    rows = np.empty((height, width + 2 * reach), np.float32)
    middle = rows[:, reach : reach + width]
    np.multiply(image, taps[0], out=middle)
    for i, weight in enumerate(taps[1:], start=1):
        np.add(padded[reach - i * step : reach - i * step + height], padded[reach + i * step :][:height], out=spare)
        np.multiply(spare, weight, out=spare)
        np.add(middle, spare, out=middle)
    sides = np.pad(middle, ((0, 0), (reach, reach)), mode="symmetric")
    np.multiply(middle, taps[0], out=out)
    for i, weight in enumerate(taps[1:], start=1):
        left, right = reach - i * step, reach + i * step
        np.add(sides[:, left : left + width], sides[:, right : right + width], out=spare)
        np.multiply(spare, weight, out=spare)
        np.add(out, spare, out=out)


def peaks(levels: Float32s, least: float, margin: int) -> npt.NDArray[np.bool_]:
    """Mark the sizes of differences of levels that no neighbour in 3 x 3 x 3 exceeds.

    Parameters
    ----------
    levels : (n, h, w) float32 array
        Blurred pictures; difference i is that of levels i + 1 and i.
    least : float
        What a peak must be above, grey levels.
    margin : int
        Samples at each side that are no peaks, at least 1.

    Returns
    -------
    (n - 3, h - 2 margin, w - 2 margin) bool array
        For the differences but the first and the last.
    """
    size = np.abs(np.diff(levels, axis=0))
    core = size[1:-1, margin:-margin, margin:-margin]
    if core.size == 0:
        return np.zeros((max(0, len(levels) - 3), *(max(0, side - 2 * margin) for side in levels.shape[1:])), np.bool_)
    inner = size[:, margin - 1 : -margin + 1 or None, margin - 1 : -margin + 1 or None]
    most = np.maximum(np.maximum(inner[:, :-2], inner[:, 1:-1]), inner[:, 2:])
    most = np.maximum(np.maximum(most[:, :, :-2], most[:, :, 1:-1]), most[:, :, 2:])
    most = np.maximum(np.maximum(most[:-2], most[1:-1]), most[2:])
    found: npt.NDArray[np.bool_] = (core == most) & (core > np.float32(least))
    return found


def patches(images: list[Float32s], steps: Float32s, at: Sampling) -> Float32s:
    """Read turned squares between pixels; beyond the sides the last pixel goes on.

    Parameters
    ----------
    images : list of (h, w) float32 array
        At least 2 samples a side.
    steps : (k,) float32 array
        Distance of each picture's samples, px of the frame.
    at : Sampling
        Where the squares lie.

    Returns
    -------
    (n, 16, 16) float32 array
        Rows across the direction.
    """
    out = np.empty((len(at.which), SAMPLES, SAMPLES), np.float32)
    for number, image in enumerate(images):
        mine = np.flatnonzero(at.which == number)
        if len(mine) == 0:
            continue
        c, s = at.cosine[mine, None, None], at.sine[mine, None, None]
        x = (at.x[mine, None, None] + (c * at.grid - s * at.grid[:, None])) / steps[number]
        y = (at.y[mine, None, None] + (s * at.grid + c * at.grid[:, None])) / steps[number]
        out[mine] = bilinear(image, x, y)
    return out


def bilinear(image: Float32s, x: Float32s, y: Float32s) -> Float32s:
    """Read a picture between its pixels; beyond the sides the last pixel goes on.

    Parameters
    ----------
    image : (h, w) float32 array
        At least 2 samples a side.
    x, y : float32 arrays of one shape
        Places, px; the middle of the first sample is 0. The compiled twin takes them in one dimension.

    Returns
    -------
    float32 array of that shape
    """
    height, width = image.shape
    x, y = np.clip(x, 0, np.float32(width - 1)), np.clip(y, 0, np.float32(height - 1))
    left = np.minimum(x.astype(np.int32), width - 2)
    top = np.minimum(y.astype(np.int32), height - 2)
    u, v = x - left.astype(np.float32), y - top.astype(np.float32)
    flat = image.ravel()
    at = top * np.int32(width) + left
    a, b, c, d = flat[at], flat[at + 1], flat[at + width], flat[at + width + 1]
    upper, lower = a + u * (b - a), c + u * (d - c)
    sampled: Float32s = upper + v * (lower - upper)
    return sampled


def directions(sampled: Float32s, weight: Float32s) -> Float32s:
    """Say in which direction most of each patch's gradients point.

    Parameters
    ----------
    sampled : (n, 16, 16) float32 array
        From `patches`.
    weight : (16, 16) float32 array
        Weight of each sample.

    Returns
    -------
    (n,) float32 array
        256ths of a turn, whole numbers from 0 to 255.
    """
    n = len(sampled)
    across, down = np.zeros_like(sampled), np.zeros_like(sampled)
    across[:, :, 1:-1] = sampled[:, :, 2:] - sampled[:, :, :-2]
    down[:, 1:-1] = sampled[:, 2:] - sampled[:, :-2]
    size = np.sqrt(across * across + down * down) * weight
    turn = _turn(across, down)
    low = np.minimum(turn.astype(np.int64), BINS - 1)
    part = turn - low
    row = np.arange(n)[:, None, None] * BINS
    flat: Floats = np.bincount((row + low).ravel(), (size * (1 - part)).ravel(), BINS * n).astype(np.float64)
    flat += np.bincount((row + (low + 1) % BINS).ravel(), (size * part).ravel(), BINS * n)
    sums = flat.reshape(n, BINS)
    for _ in range(3):
        sums = (np.roll(sums, 1, 1) + sums + np.roll(sums, -1, 1)) / 3
    i, peak = np.arange(n), sums.argmax(axis=1)
    before, here, after = sums[i, (peak - 1) % BINS], sums[i, peak], sums[i, (peak + 1) % BINS]
    curve = before - 2 * here + after
    place = peak + 0.5 * (before - after) / np.where(curve == 0, 1, curve)
    found: Float32s = np.mod(np.rint(place * (TURNS / BINS)), TURNS).astype(np.float32)
    return found


def _turn(across: Float32s, down: Float32s) -> Float32s:
    """Angle of each gradient in bins, 0 to 36: the arctangent as a polynomial, the same on every processor."""
    along, up = np.abs(across), np.abs(down)
    large, small = np.maximum(along, up), np.minimum(along, up)
    t = small / np.where(large > 0, large, np.float32(1))
    square = t * t
    bins = np.full_like(t, SLOPE[0])
    for term in SLOPE[1:]:
        bins = bins * square + term
    bins = bins * t
    bins = np.where(up > along, np.float32(BINS // 4) - bins, bins)
    bins = np.where(across < 0, np.float32(BINS // 2) - bins, bins)
    turn: Float32s = np.where(down < 0, np.float32(BINS) - bins, bins)
    return turn


def coefficients(
    sampled: Float32s, cosines: npt.NDArray[np.int32], order: npt.NDArray[np.int32], turn: Floats
) -> Floats:
    """Take patches' cosine coefficients and turn them.

    Parameters
    ----------
    sampled : (n, 16, 16) float32 array, 0.0 to 256.0
        From `patches`; rounded to whole 256ths of a grey level.
    cosines : (16, 16) int32 array
        Row i is the wave of frequency i, at most 2 ** 10 in size.
    order : (128, 2) int32 array
        Frequencies down and along of each coefficient, of sum 15 at most.
    turn : (128, 128) float64 array
        Whole numbers that the 128 coefficients are mixed by, at most 2 ** 15 in size and 16 in a row but zeros.

    Returns
    -------
    (n, 128) float64 array
        Whole numbers under 2 ** 53: exact in any order of the sums.
    """
    whole = np.rint(sampled.astype(np.float64) * _GREY)
    whole -= np.rint(whole.mean(axis=(1, 2), keepdims=True))
    waves = cosines.astype(np.float64)
    values = waves @ whole @ waves.T
    turned: Floats = np.rint(values[:, order[:, 0], order[:, 1]] * _SHRINK) @ turn.T
    return turned
