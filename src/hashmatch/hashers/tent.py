"""The blur and decimation of PDQ along one side: 64 weighted windows, and the sums of a picture's rows under them.

Two passes of a box filter make a tent, and only 64 of its outputs are kept. So one side of n pixels needs a matrix of
64 rows with about 2 ceil(n / 128) weights in each, in place of a filter over every pixel. Away from the edges the
weights are whole numbers over w², and their products with bytes are summed exactly in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["SIDE", "RowSums", "Windows", "box_width", "sample_positions", "windows_of"]

SIDE: Final = 64
_BLOCK_PIXELS: Final = 1 << 20
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
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    weights: tuple[npt.NDArray[np.float64], ...]
    scale: float
    cells: npt.NDArray[np.intp]


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
        starts=tuple(starts), stops=tuple(stops), weights=tuple(weights), scale=float(width * width), cells=cells
    )


class RowSums:
    """Weighted sums of rows that arrive block by block.

    Parameters
    ----------
    shape : tuple of int
        (H, W, 3) or (H, W), px.
    whole : bool
        Whether the pixels are bytes; else they are float and the sums are taken in float64.

    Notes
    -----
    Cost: one conversion and one multiplication for each byte. Memory: 64 rows of sums and at most 4 MB of rows.
    """

    __slots__ = ("_base", "_filled", "_first", "_next", "_rows", "_shape", "_sums", "_weights", "_windows")

    def __init__(self, shape: tuple[int, ...], *, whole: bool) -> None:
        height = shape[0]
        row_length = int(np.prod(shape[1:]))
        self._shape = shape
        self._windows = windows_of(height)
        exact = whole and box_width(height) <= _EXACT_WIDTH
        dtype: Any = np.float32 if exact else np.float64
        self._weights = [values.astype(dtype) for values in self._windows.weights]
        longest = max(len(values) for values in self._weights)
        self._rows = np.empty((max(1, min(longest, _BLOCK_PIXELS // row_length)), row_length), dtype)
        self._sums = np.zeros((len(self._weights), row_length), dtype)
        self._next = 0  # number of rows seen
        self._base = 0  # number of the first row held
        self._filled = 0  # number of rows held
        self._first = 0  # first window that is not complete

    def add(self, block: npt.NDArray[Any]) -> None:
        """Take the next rows, (k, W, 3) or (k, W), in the type promised at the start."""
        rows = block.reshape(len(block), -1)
        at = 0
        while at < len(rows) and self._first < len(self._weights):
            skipped = self._windows.starts[self._first] - self._next
            if skipped > 0:
                skipped = min(skipped, len(rows) - at)
                at += skipped
                self._next += skipped
                continue
            if not self._filled:
                self._base = self._next
            stop = self._windows.stops[self._first]
            count = min(stop - self._next, len(rows) - at, len(self._rows) - self._filled)
            self._rows[self._filled : self._filled + count] = rows[at : at + count]
            self._filled += count
            self._next += count
            at += count
            if self._next == stop or self._filled == len(self._rows):
                self._flush()

    def _flush(self) -> None:
        """Spend the rows held on every window that covers some of them."""
        windows, end = self._windows, self._base + self._filled
        for number in range(self._first, len(self._weights)):
            start, stop = windows.starts[number], windows.stops[number]
            if start >= end:
                break
            low, high = max(start, self._base), min(stop, end)
            held = self._rows[low - self._base : high - self._base]
            product = self._weights[number][low - start : high - start] @ held
            self._sums[number] += product
            if stop <= end:
                self._first = number + 1
        self._filled = 0

    def sums(self) -> npt.NDArray[np.floating[Any]]:
        """Return the sums times the windows' scale, (windows, W, 3) or (windows, W) float array.

        Raises
        ------
        ValueError
            If fewer rows came than the shape says.
        """
        if self._first < len(self._weights):
            raise ValueError(f"the picture has {self._shape[0]} rows, but only {self._next} came")
        return self._sums.reshape(len(self._sums), *self._shape[1:])
