"""The blur and decimation of PDQ along one side: 64 weighted windows, and the sums of a picture's rows under them.

Two passes of a box filter make a tent, and only 64 of its outputs are kept. So one side of n pixels needs a matrix of
64 rows with about 2 ceil(n / 128) weights in each, in place of a filter over every pixel. Away from the edges the
weights are whole numbers over w², and their products with bytes are summed exactly in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels

__all__ = ["SIDE", "Windows", "box_width", "row_sums", "sample_positions", "windows_of"]

SIDE: Final = 64
_TOGETHER: Final = 1 << 15  # numbers of neighbouring windows summed by one product; measured
_MOST_ROWS: Final = 512
_MOST_NUMBERS: Final = 1 << 20  # held at once
_EXACT_WIDTH: Final = 256  # 255 * 256**2 < 2**24, the whole numbers that float32 holds


def box_width(n: int) -> int:
    """Width of the box filter along a side of ``n`` pixels, px."""
    return (n + 2 * SIDE - 1) // (2 * SIDE)


def sample_positions(n: int) -> npt.NDArray[np.intp]:
    """Pixel under the middle of each of the 64 cells of a side of ``n`` pixels: int((i + 0.5) n / 64)."""
    return (2 * np.arange(SIDE) + 1) * n // (2 * SIDE)


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


class _Block(NamedTuple):
    """Neighbouring windows as one matrix: number of the first, its first row, (windows, rows) weights."""

    first: int
    start: int
    weights: npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=32)
def _blocks_of(n: int, most_rows: int, exact: bool) -> tuple[_Block, ...]:
    """Take as many windows together as span ``most_rows`` rows, at least one: small pictures need few products."""
    windows = windows_of(n)
    blocks, first = [], 0
    while first < len(windows.starts):
        start, last = windows.starts[first], first + 1
        while last < len(windows.starts) and windows.stops[last] - start <= most_rows:
            last += 1
        matrix = np.zeros((last - first, windows.stops[last - 1] - start), np.float32 if exact else np.float64)
        for number in range(first, last):
            low, high = windows.starts[number] - start, windows.stops[number] - start
            matrix[number - first, low:high] = windows.weights[number]
        blocks.append(_Block(first, start, matrix))
        first = last
    return tuple(blocks)


def row_sums(pixels: Pixels) -> tuple[npt.NDArray[np.floating[Any]], ...]:
    """Sum the rows of a picture under the windows of its height.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        uint8 or float.

    Returns
    -------
    tuple of (windows, W) float array
        Sums times the windows' scale: red, green and blue, or grey alone. For uint8 and heights up to 32,768 px they
        are float32 and exact, except in windows that an edge cuts.

    Notes
    -----
    Cost: one conversion and one multiplication for each number. Memory: 64 rows of sums and at most 4 MB of rows.
    """
    numbers, step = _in_memory_order(pixels)
    height, row_length = len(numbers), int(np.prod(numbers.shape[1:]))
    exact = numbers.dtype == np.uint8 and box_width(height) <= _EXACT_WIDTH
    blocks = _blocks_of(height, min(_MOST_ROWS, _TOGETHER // row_length), exact)
    dtype = blocks[0].weights.dtype
    longest = max(block.weights.shape[1] for block in blocks)
    held = np.empty((max(1, min(longest, _MOST_NUMBERS // row_length)), row_length), dtype)
    sums = np.empty((blocks[-1].first + len(blocks[-1].weights), row_length), dtype)
    for first, start, weights in blocks:
        own = sums[first : first + len(weights)]
        for low in range(0, weights.shape[1], len(held)):
            part = weights[:, low : low + len(held)]
            source = numbers[start + low : start + low + part.shape[1]]
            rows = held[: part.shape[1]]
            rows.reshape(source.shape)[...] = source
            if low:
                own += part @ rows
            else:
                np.matmul(part, rows, out=own)
    return (sums,) if step == 1 else tuple(sums[:, channel::step] for channel in range(3))


def _in_memory_order(pixels: Pixels) -> tuple[Pixels, int]:
    """Show rows of numbers as they lie in memory, and the step from pixel to pixel.

    Decoders hand out RGB with a fourth byte between pixels, or grey shown three times; reading those bytes on the way
    is twice as fast as stepping over them.
    """
    if pixels.ndim == 3 and pixels.strides[2] == 0:
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        return pixels, 1
    step = pixels.strides[1]
    if pixels.dtype == np.uint8 and pixels.strides[2] == 1 and step in (3, 4):
        shape = (len(pixels), step * (pixels.shape[1] - 1) + 3)
        return np.lib.stride_tricks.as_strided(pixels, shape, (pixels.strides[0], 1), writeable=False), step
    return pixels, 3
