"""The blur and decimation of PDQ along one side: 64 weighted windows, for the kernels and for pixels that are floats.

Two passes of a box filter make a tent, and only 64 of its outputs are kept. So one side of n pixels needs a matrix of
64 rows with about 2 ceil(n / 128) weights in each, in place of a filter over every pixel. Away from the edges the
weights are whole numbers over w².
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels
from hashmatch.kernels.numpy.pixels import SIDE, Taps, box_width, sample_positions

__all__ = ["LUMA", "SIDE", "Windows", "box_width", "float_averages", "sample_positions", "taps_of", "windows_of"]

LUMA: Final = (0.299, 0.587, 0.114)
_WEIGHT_BITS: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows of one side.

    Parameters
    ----------
    starts, stops : tuple of int
        First pixel and one past the last of each different window; both grow.
    weights : tuple of (stop - start,) float64 array
        Weights times ``scale``.
    scale : float
        The square of the box width.
    cells : (64,) intp array
        Which window serves each of the 64 cells; sides under 64 px use some more than once.
    is_symmetric : bool
        Whether the windows seen from the other end are the same: odd box, and no sample on the border of two pixels.
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    weights: tuple[npt.NDArray[np.float64], ...]
    scale: float
    cells: npt.NDArray[np.intp]
    is_symmetric: bool


@lru_cache(maxsize=32)
def windows_of(n: int) -> Windows:
    """Find the windows of a side.

    Parameters
    ----------
    n : int
        Length of the side, px, at least 1.

    Notes
    -----
    The box at pixel o covers o - (w - h) to o + h - 1 with h = (w + 2) // 2; at the edges it is cut and divides by
    what is left. Cost: about n / 2 steps once for a length. Memory: 8 to 16 bytes for a pixel of the side, kept for
    the 32 lengths used last.
    """
    width = box_width(n)
    after = (width + 2) // 2 - 1
    before = width - 1 - after
    positions, cells = np.unique(sample_positions(n), return_inverse=True)
    starts, stops, weights = [], [], []
    for position in positions.tolist():
        start, stop = max(0, position - 2 * before), min(n, position + 2 * after + 1)
        values = np.zeros(stop - start)
        boxes = range(max(0, position - before), min(n, position + after + 1))
        for box in boxes:
            low, high = max(0, box - before), min(n, box + after + 1)
            values[low - start : high - start] += width / (high - low) * (width / len(boxes))
        starts.append(start)
        stops.append(stop)
        values.setflags(write=False)
        weights.append(values)
    cells.setflags(write=False)
    return Windows(
        starts=tuple(starts),
        stops=tuple(stops),
        weights=tuple(weights),
        scale=float(width * width),
        cells=cells,
        is_symmetric=width % 2 == 1 and n % (2 * SIDE) != 0,
    )


@lru_cache(maxsize=64)
def taps_of(n: int, *, mirrored: bool = False) -> Taps:
    """Give the windows of a side as the kernels take them.

    Parameters
    ----------
    n : int
        Length of the side, px, at least 1.
    mirrored : bool
        Whether they are those of the side seen from its other end, said in places of this one.

    Returns
    -------
    Taps
        The windows of `windows_of`; the weights of those that an edge cuts are rounded to 2⁻²⁵ of the scale, so that
        sums are exact.
    """
    windows = windows_of(n)
    parts = [
        (start, stop, weights)
        for start, stop, weights in zip(windows.starts, windows.stops, windows.weights, strict=True)
    ]
    cells = windows.cells.astype(np.int64)
    if mirrored:
        parts = [(n - stop, n - start, weights[::-1]) for start, stop, weights in reversed(parts)]
        cells = len(parts) - 1 - cells
    width = box_width(n)
    tent = np.minimum(np.arange(1, 2 * width), np.arange(2 * width - 1, 0, -1))
    finest = 2.0 ** max(0, _WEIGHT_BITS - math.ceil(math.log2(windows.scale)))
    lengths = np.array([stop - start for start, stop, _ in parts], np.int64)
    taps = Taps(
        starts=np.array([start for start, _, _ in parts], np.int64),
        stops=np.array([stop for _, stop, _ in parts], np.int64),
        offsets=lengths.cumsum() - lengths,
        weights=np.rint(np.concatenate([weights for _, _, weights in parts]) * finest) / finest,
        whole=np.array([np.array_equal(weights, tent) for _, _, weights in parts], np.uint8),
        cells=cells,
        scale=windows.scale,
    )
    for array in (taps.starts, taps.stops, taps.offsets, taps.weights, taps.whole, taps.cells):
        array.setflags(write=False)
    return taps


def float_averages(pixels: Pixels, *, mirrored: bool, flipped: bool) -> npt.NDArray[np.float64]:
    """Average float pixels under the windows of both sides, as `hashmatch.kernels.pixels.tent_averages` does bytes.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        Float, 0 to 255.
    mirrored, flipped : bool
        Whether the windows of the width, of the height, are those seen from the other end.

    Returns
    -------
    (64, 64) float64 array
        Luma, 0.0 to 255.0.

    Notes
    -----
    Two products of matrices for each window in float64.
    """
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    down, along = taps_of(planes.shape[0], mirrored=flipped), taps_of(planes.shape[1], mirrored=mirrored)
    if pixels.ndim == 2 or planes.strides[2] == 0:
        luma = planes[:, :, 0].astype(np.float64)
    else:
        luma = np.multiply(planes[:, :, 0], LUMA[0], dtype=np.float64)
        for channel in (1, 2):
            luma += np.multiply(planes[:, :, channel], LUMA[channel], dtype=np.float64)
    rows = _under(luma, down)
    return np.ascontiguousarray(_under(rows.T, along).T) / (down.scale * along.scale)


def _under(lines: npt.NDArray[np.float64], taps: Taps) -> npt.NDArray[np.float64]:
    sums = np.empty((len(taps.starts), lines.shape[1]))
    for number, (start, stop) in enumerate(zip(taps.starts.tolist(), taps.stops.tolist(), strict=True)):
        np.matmul(taps.window(number), np.ascontiguousarray(lines[start:stop]), out=sums[number])
    return sums[taps.cells]
