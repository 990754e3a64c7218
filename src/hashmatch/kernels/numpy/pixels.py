"""Kernels over pixels in plain NumPy: tent averages, cosines, the reference's float32 blur, and cells.

Rows of numbers are ``(H, L)`` uint8 arrays: grey (step 1), RGB (step 3, L = 3 W), or RGB with one byte of anything
between pixels (step 4, L = 4 W - 1, so that the last pixel needs no such byte).

What is summed under the windows are multiples of one unit below 2⁵³ of it, so float64 holds every sum exactly and the
order of the additions does not show, whatever BLAS or processor. Other floats are added in the order that is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "SIDE",
    "Taps",
    "blur_float32",
    "box_width",
    "decide",
    "luma_rows",
    "opponent_cells",
    "sample_positions",
    "step_sums",
    "tent_averages",
    "transform",
    "transform_float32",
]

SIDE: Final = 64
_LUMA: Final = (0.299, 0.587, 0.114)
_TOGETHER: Final = 1 << 15  # numbers of neighbouring windows summed by one product; measured
_MOST_ROWS: Final = 512
_MOST_NUMBERS: Final = 1 << 20  # held at once
_EXACT_WIDTH: Final = 256  # 255 * 256**2 < 2**24, the whole numbers that float32 holds
_STRIP: Final = 512
_LUMA_ROWS: Final = 8
_SAMPLES: Final = 4  # lines read of a cell

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]


def box_width(n: int) -> int:
    """Width of the box filter along a side of ``n`` pixels, px."""
    return (n + 2 * SIDE - 1) // (2 * SIDE)


def sample_positions(n: int) -> npt.NDArray[np.intp]:
    """Pixel under the middle of each of the 64 cells of a side of ``n`` pixels: int((i + 0.5) n / 64)."""
    return (2 * np.arange(SIDE) + 1) * n // (2 * SIDE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Taps:
    """Windows of one side, as arrays; read-only.

    Parameters
    ----------
    starts, stops : (n,) int64 array
        First pixel and one past the last of each window, n from 1 to 64.
    offsets : (n,) int64 array
        Where the window's weights begin in ``weights``.
    weights : (m,) float64 array
        Weights times ``scale``: whole numbers, or where an edge cuts a window, multiples of a power of two of which the
        scale is at most 2²⁵.
    whole : (n,) uint8 array
        1 where a window is whole: weights 1, 2, ... w, ... 2, 1 for a box of w pixels.
    cells : (64,) int64 array
        Which window serves each of the 64 cells.
    scale : float
        The square of the box width.
    """

    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    weights: Floats
    whole: Bytes
    cells: npt.NDArray[np.int64]
    scale: float

    @property
    def unit(self) -> float:
        """Sums of bytes under a window that is not whole are rounded to multiples of one over this: 28 bits."""
        return 2.0 ** (20 - math.ceil(math.log2(self.scale)))

    def window(self, number: int) -> Floats:
        """Weights of one window."""
        offset = int(self.offsets[number])
        return self.weights[offset : offset + int(self.stops[number] - self.starts[number])]

    def repeated(self, step: int) -> Floats:
        """Weights, each ``step`` times in a row: what the numbers of a row of pixels are multiplied by."""
        return _repeated(self, step)


@lru_cache(maxsize=32)
def _repeated(taps: Taps, step: int) -> Floats:
    weights = np.repeat(taps.weights, step)
    weights.setflags(write=False)
    return weights


def tent_averages(numbers: Bytes, step: int, down: tuple[Taps, ...], along: tuple[Taps, ...]) -> Floats:
    """Average a picture under every pair of a window of its height and one of its width.

    Parameters
    ----------
    numbers : (H, L) uint8 array, rows contiguous
        Rows of numbers.
    step : int
        1, 3 or 4 numbers a pixel.
    down : tuple of Taps
        One or two sets of windows of the height.
    along : tuple of Taps
        One or two sets of windows of the width.

    Returns
    -------
    (len(down), len(along), 64, 64) float64 array
        Luma, 0.0 to 255.0: ``(0.299 r + 0.587 g) + 0.114 b`` of the sums, over both scales.

    Notes
    -----
    Cost: one conversion and one multiplication for each number. Memory: 64 rows of sums and at most 4 MB of rows.
    """
    return np.stack([_averages(_row_sums(numbers, taps), step, taps, along) for taps in down])


def _averages(sums: Floats, step: int, down: Taps, along: tuple[Taps, ...]) -> Floats:
    """Average the sums of rows under the windows of the width: (len(along), 64, 64)."""
    rows_of = down.cells
    averages = np.empty((len(along), SIDE, SIDE))
    for out, taps in zip(averages, along, strict=True):
        luma: Floats | None = None
        for channel in range(1 if step == 1 else 3):
            plane = np.ascontiguousarray(sums[:, channel::step])
            cells = np.empty((len(taps.starts), len(plane)))
            for number, (start, stop) in enumerate(zip(taps.starts.tolist(), taps.stops.tolist(), strict=True)):
                np.matmul(plane[:, start:stop], taps.window(number), out=cells[number])
            if step > 1:
                cells *= _LUMA[channel]
            luma = cells if luma is None else np.add(luma, cells, out=luma)
        if luma is not None:
            luma /= down.scale * taps.scale
            out[...] = luma[taps.cells].T[rows_of]
    return averages


class _Block(NamedTuple):
    """Neighbouring windows as one matrix: number of the first, its first row, (windows, rows) weights."""

    first: int
    start: int
    weights: npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=32)
def _blocks_of(taps: Taps, most_rows: int) -> tuple[_Block, ...]:
    """Take as many windows together as span ``most_rows`` rows, at least one: small pictures need few products."""
    narrow = taps.scale <= _EXACT_WIDTH**2
    starts, stops = taps.starts.tolist(), taps.stops.tolist()
    blocks, first = [], 0
    while first < len(starts):
        start, last, whole = starts[first], first + 1, taps.whole[first]
        while last < len(starts) and stops[last] - start <= most_rows and taps.whole[last] == whole:
            last += 1
        matrix = np.zeros((last - first, stops[last - 1] - start), np.float32 if whole and narrow else np.float64)
        for number in range(first, last):
            matrix[number - first, starts[number] - start : stops[number] - start] = taps.window(number)
        blocks.append(_Block(first, start, matrix))
        first = last
    return tuple(blocks)


def _row_sums(numbers: Bytes, taps: Taps) -> Floats:
    """Sum the rows under each window, exactly; windows that are not whole are then rounded to ``1 / taps.unit``."""
    row_length = numbers.shape[1]
    sums = np.empty((len(taps.starts), row_length))
    for first, start, weights in _blocks_of(taps, min(_MOST_ROWS, _TOGETHER // row_length)):
        own = sums[first : first + len(weights)]
        length = max(1, min(weights.shape[1], _MOST_NUMBERS // row_length))
        for low in range(0, weights.shape[1], length):
            part = weights[:, low : low + length]
            rows = numbers[start + low : start + low + part.shape[1]].astype(weights.dtype)
            if low:
                own += part @ rows
            else:
                own[...] = part @ rows
    rounded = slice(None) if taps.unit < 1 else taps.whole == 0
    sums[rounded] = np.rint(sums[rounded] * taps.unit) / taps.unit
    return sums


def transform(small: Floats, cosines: Floats) -> Floats:
    """Take views to cosine coefficients.

    Parameters
    ----------
    small : (n, 64, 64) float64 array, C-contiguous
        Views.
    cosines : (64, 16) float64 array, C-contiguous
        For each cell its 16 cosines.

    Returns
    -------
    (n, 16, 16) float64 array
        Coefficients down and across; every sum begins with its first product and goes through the cells in order.
    """
    out = np.empty((len(small), 16, 16))
    for own, view in zip(out, small, strict=True):
        own[...] = _transformed(view, cosines)
    return out


def transform_float32(small: Float32s, cosines: Float32s) -> Float32s:
    """Take one (64, 64) float32 view to (16, 16) float32 coefficients, as `transform` does."""
    coefficients: Float32s = _transformed(small, cosines)
    return coefficients


def _transformed(view: npt.NDArray[Any], cosines: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # along the first axis NumPy adds one slice after the other
    half = np.add.reduce(cosines[:, :, None] * view[:, None, :], axis=0)
    whole: npt.NDArray[Any] = np.add.reduce(half.T[:, :, None] * cosines[:, None, :], axis=0)
    return whole


def decide(coefficients: Floats) -> tuple[Bytes, Floats]:
    """Hash views by their coefficients.

    Parameters
    ----------
    coefficients : (n, 16, 16) float64 array, C-contiguous
        From `transform`, or turned.

    Returns
    -------
    codes : (n, 32) uint8 array
        A bit for each coefficient over the lower of the two middle ones, the highest coefficient first.
    gaps : (n,) float64 array
        How far the two middle ones lie apart.
    """
    flat = coefficients.reshape(len(coefficients), 256)
    middle = np.partition(flat, (127, 128), axis=1)[:, 127:129]
    return np.packbits(flat[:, ::-1] > middle[:, :1], axis=1), middle[:, 1] - middle[:, 0]


def step_sums(small: Floats, noise: float) -> tuple[int, int]:
    """Sum the steps between neighbours in whole hundredths of the range, each shortened and lengthened by the noise.

    Parameters
    ----------
    small : (64, 64) float64 array, C-contiguous
        A view.
    noise : float
        Hundredths of the range, 0 or more.

    Returns
    -------
    (int, int)
        The lower and the higher sum; steps are cut to whole numbers after that.
    """
    steps = np.concatenate([np.abs(np.diff(small, axis=axis)).ravel() for axis in (0, 1)]) * (100 / 255)
    low, high = (int((steps + change).astype(np.int64).sum()) for change in (-noise, noise))
    return low, high


def luma_rows(pixels: npt.NDArray[Any]) -> Float32s:
    """Weigh the colours as pdqhash does: in float64, then rounded to float32.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        uint8, or float from 0 to 255.

    Returns
    -------
    (H, W) float32 array
        0.0 to 255.0.
    """
    if pixels.ndim == 2:
        return pixels.astype(np.float32, order="C")
    luma = np.empty(pixels.shape[:2], np.float32)
    for top in range(0, len(pixels), _LUMA_ROWS):
        rows = pixels[top : top + _LUMA_ROWS]
        weighted = np.multiply(rows[..., 0], _LUMA[0], dtype=np.float64)
        weighted += np.multiply(rows[..., 1], _LUMA[1], dtype=np.float64)
        weighted += np.multiply(rows[..., 2], _LUMA[2], dtype=np.float64)
        luma[top : top + _LUMA_ROWS] = weighted
    return luma


def blur_float32(pixels: npt.NDArray[Any]) -> Float32s:
    """Blur twice along rows and columns with running sums in float32, and keep 64x64 pixels.

    Parameters
    ----------
    pixels : (H, W, 3) or (H, W) array
        uint8, or float from 0 to 255; sides of at least 5 px.

    Returns
    -------
    (64, 64) float32 array
        0.0 to 255.0.

    Notes
    -----
    Works on strips of 512 rows, turned so that a running sum is one addition of whole rows. Cost: about 20 ns a pixel.
    Memory: two float32 for each pixel.
    """
    height, width = pixels.shape[:2]
    along, down = box_width(width), box_width(height)
    columns = sample_positions(width)
    blurred = np.empty((height, width), np.float32)
    for top in range(0, height, _STRIP):
        strip = np.ascontiguousarray(luma_rows(pixels[top : top + _STRIP]).T)
        blurred[top : top + _STRIP] = _box_down(strip, along).T
    blurred = _box_down(blurred, down)
    sampled = np.empty((height, SIDE), np.float32)
    for top in range(0, height, _STRIP):
        strip = np.ascontiguousarray(blurred[top : top + _STRIP].T)
        sampled[top : top + _STRIP] = _box_down(strip, along)[columns].T
    return _box_down(sampled, down)[sample_positions(height)]


def _box_down(values: Float32s, width: int) -> Float32s:
    """Box filter down the columns: one running sum for each, divided by the pixels under the box."""
    length = len(values)
    out = np.empty_like(values)
    total = np.zeros(values.shape[1], np.float32)
    ahead = (width + 2) // 2 - 1
    count = 0
    for entering in range(ahead):
        total += values[entering]
        count += 1
    for position in range(length):
        entering, leaving = position + ahead, position + ahead - width
        if entering < length:
            total += values[entering]
            count += leaving < 0
        if leaving >= 0:
            total -= values[leaving]
            count -= entering >= length
        np.divide(total, np.float32(count), out=out[position])
    return out


def opponent_cells(pixels: npt.NDArray[Any], down: int, across: int) -> npt.NDArray[np.int16]:
    """Average cells of whole pixels, in brightness and two halved colour differences, of which JPEG keeps least.

    Parameters
    ----------
    pixels : (H, W, n) array
        uint8 or float from 0 to 255; n is 1 or 3.
    down, across : int
        Height and width of a cell, px, 1 to H and 1 to W. What is left over at the bottom and right is in no cell.

    Returns
    -------
    (n, H // down, W // across) int16 array
        ``(2 r + 5 g + b) / 8``, then red and blue less that, over 2, cut to whole numbers; grey stays.

    Notes
    -----
    At most four by four pixels of a cell are read; their average is rounded, halves to even.
    """
    height, width, channels = pixels.shape
    kind: Any = np.uint16 if pixels.dtype.kind == "u" else np.float32
    rows = np.zeros((height // down, width, channels), kind)
    for line in _samples(down):
        rows += pixels[line : height - height % down : down]
    sums = np.zeros((channels, len(rows), width // across), kind)
    for channel, total in enumerate(sums):
        for line in _samples(across):
            total += rows[:, line : width - width % across : across, channel]
    count = len(_samples(down)) * len(_samples(across))
    colours = (sums / np.float32(count)).round().astype(np.int16)
    if channels == 1:
        return colours
    red, green, blue = colours
    luma = (2 * red + 5 * green + blue) / np.float32(8)
    return np.stack([luma, (red - luma) / 2, (blue - luma) / 2]).astype(np.int16)


def _samples(cell: int) -> list[int]:
    """Lines of a cell that are read."""
    taken = min(cell, _SAMPLES)
    return [number * cell // taken for number in range(taken)]
