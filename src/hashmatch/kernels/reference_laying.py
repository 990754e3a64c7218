"""The aligned check's kernel in plain NumPy: cells of a picture read through maps, and their steps held against signs.

Every sum and product is written out in the order in which the compiled twin takes it, so that both give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid", "lay"]

Float32s = NDArray[np.float32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

_REACH: Final = 0.45  # of a cell, which must lie inside the picture
_SURE: Final = 0.75  # steps above this share of the query's steps count in full
_TOP: Final = 0.95
_TOP_SHARE: Final = np.float32(0.125)  # and none counts in full that is this small beside the largest
_LEAST: Final = np.float32(1.0)  # grey levels
_FEWEST: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Cells of a reference's field and the signs of their steps.

    Parameters
    ----------
    columns, rows : int
        1 to 255.
    wide, tall : float
        Sides of a cell, px of the reference's normal frame.
    signs : (steps,) bool array
        To the right-hand neighbours row by row, then to the lower ones.
    """

    columns: int
    rows: int
    wide: float
    tall: float
    signs: Flags


def lay(
    image: Float32s, step: float, size: tuple[int, int], grid: Grid, matrices: Floats, shifts: Floats, probes: Floats
) -> tuple[Float32s, Flags, Ints]:
    """Weigh and compare the steps whose cells lie inside the picture in every map.

    Parameters
    ----------
    image : (h, w) float32 array
        The picture, reduced by ``step``.
    step : float
        A power of 2.
    size : (int, int)
        Width and height of the picture before it was reduced, px.
    grid : Grid
        The cells.
    matrices, shifts : (m, 2, 2), (m, 2) float64 arrays
        Maps from the reference to the picture; finite.
    probes : (p, 2) float64 array
        Places within a cell, in cells from its middle, across and down: a cell is the mean of what is read there.

    Returns
    -------
    weights : (m, s) float32 array, 0 to 1
        What each step counts: its size in full steps.
    agree : (m, s) bool array
        Whether it has the sign of the reference's.
    steps : (s,) int64 array
        Numbers of the steps, ascending; none where there are fewer than 12.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """
    columns, rows = grid.columns, grid.rows
    across, n_steps = (columns - 1) * rows, (columns - 1) * rows + columns * (rows - 1)
    if columns < 1 or rows < 1 or len(grid.signs) != n_steps or not image.size or not len(probes) or not len(matrices):
        raise ValueError("a grid, its signs, a picture, maps and probes are needed")
    x, y = (np.arange(columns) + 0.5) * grid.wide, (np.arange(rows) + 0.5) * grid.tall
    x, y = np.tile(x, rows), np.repeat(y, columns)
    there = []
    inside = np.ones(columns * rows, np.bool_)
    for matrix, shift in zip(matrices, shifts, strict=True):
        place = []
        for axis in range(2):
            along = (matrix[axis, 0] * x + matrix[axis, 1] * y) + shift[axis]
            reach = _REACH * (abs(matrix[axis, 0] * grid.wide) + abs(matrix[axis, 1] * grid.tall))
            inside &= (along >= reach) & (along <= size[axis] - reach)
            place.append(along)
        there.append(place)
    inner = inside.reshape(rows, columns)
    used = np.concatenate([(inner[:, 1:] & inner[:, :-1]).ravel(), (inner[1:] & inner[:-1]).ravel()])
    steps = np.flatnonzero(used)
    if len(steps) < _FEWEST:
        return np.zeros((len(matrices), 0), np.float32), np.zeros((len(matrices), 0), np.bool_), steps[:0]
    down = steps >= across
    first = np.where(down, steps - across, steps // max(columns - 1, 1) * columns + steps % max(columns - 1, 1))
    second = first + np.where(down, columns, 1)
    weights = np.empty((len(matrices), len(steps)), np.float32)
    agree = np.empty(weights.shape, np.bool_)
    chosen = np.flatnonzero(inside)
    for number, matrix in enumerate(matrices):
        cells = np.zeros(columns * rows, np.float32)
        for turn, (u, v) in enumerate(probes * (grid.wide, grid.tall)):
            spot = [
                (((there[number][axis][chosen] + (matrix[axis, 0] * u + matrix[axis, 1] * v)) / step) - 0.5).astype(
                    np.float32
                )
                for axis in range(2)
            ]
            read = _read(image, *spot)
            cells[chosen] = cells[chosen] + read if turn else read
        cells = cells / np.float32(len(probes))
        rise = cells[second] - cells[first]
        sizes = np.abs(rise)
        ranks = int(_SURE * (len(steps) - 1)), int(_TOP * (len(steps) - 1))
        ordered = np.partition(sizes, ranks)
        full = max(ordered[ranks[0]], _TOP_SHARE * ordered[ranks[1]], _LEAST)
        weights[number] = np.minimum(sizes / full, np.float32(1.0))
        agree[number] = (rise > 0.0) == grid.signs[steps]
    return weights, agree, steps


def _read(image: Float32s, x: Float32s, y: Float32s) -> Float32s:
    """Interpolate between the four samples around; beyond the sides the last one goes on."""
    rows, columns = image.shape
    x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    left, top = np.minimum(x.astype(np.intp), max(columns - 2, 0)), np.minimum(y.astype(np.intp), max(rows - 2, 0))
    x, y = x - left.astype(np.float32), y - top.astype(np.float32)
    at = top * columns + left
    flat = image.ravel()
    right, down = min(1, columns - 1), columns * min(1, rows - 1)
    upper = flat[at] + (flat[at + right] - flat[at]) * x
    lower = flat[at + down] + (flat[at + down + right] - flat[at + down]) * x
    return np.asarray(upper + (lower - upper) * y, np.float32)
