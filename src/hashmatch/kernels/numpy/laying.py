"""The aligned check's kernels in plain NumPy: a map fitted to pairs, cells read through maps, their steps and signs.

Every sum and product is written out in the order in which the compiled twin takes it, so that both give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_RATIO", "Grid", "fit_map", "lay"]

Float32s = NDArray[np.float32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

MAX_RATIO: Final = 8.0
"""Scales outside 1/8 to 8 are not looked for: 1/6 to 6 and the error of one point."""

_ROUNDS: Final = 4
_INLIER: Final = 8.0  # px
_POINT: Final = 1.5  # px, error of a point's place, and its share of the sigma
_POINT_SHARE: Final = 0.35
_OWN: Final = 0.12  # relative error of one point's scale and direction
_ASPECT: Final = 0.04  # how far the sides' scales are let differ before the points insist
_REACH: Final = 0.45  # of a cell, which must lie inside the picture
_SURE: Final = 0.75  # steps above this share of the query's steps count in full
_TOP: Final = 0.95
_TOP_SHARE: Final = np.float32(0.125)  # and none counts in full that is this small beside the largest
_LEAST: Final = np.float32(1.0)  # grey levels
_FEWEST: Final = 12


def fit_map(source: Floats, target: Floats, sigma: Floats, turn: Floats) -> tuple[Floats, Floats, Flags, Floats]:
    """Fit a map to pairs of points.

    Parameters
    ----------
    source, target : (n, 2) float64 arrays
        Places, px; at least one.
    sigma : (n,) float64 array
        Scale of the target's points, px.
    turn : (n, 2) float64 array
        What each pair says by itself: scale times cosine and sine of the angle; not 0.

    Returns
    -------
    matrix, shift : (2, 2), (2,) float64 arrays
        From the source to the target: a similarity, bent towards an affine map as far as widely spread points ask.
    keep : (n,) bool array
        Pairs within 8 px and as far off as their scales allow; one at least, unless numbers are not finite.
    residual : (n,) float64 array
        How far off each is, 1 or less where it is kept.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or are empty.

    Notes
    -----
    Least squares over places, scales and directions at once, up to four times over the pairs that are kept.
    """
    n = len(source)
    if not n or source.shape != (n, 2) or target.shape != (n, 2) or sigma.shape != (n,) or turn.shape != (n, 2):
        raise ValueError("a fit needs pairs: two places, a scale and a turn of each")
    error = _POINT + _POINT_SHARE * sigma
    weights = 1.0 / (error * error)
    sizes = turn[:, 0] * turn[:, 0] + turn[:, 1] * turn[:, 1]
    owns = 1.0 / ((_OWN * _OWN) * sizes)
    keep = np.ones(n, np.bool_)
    matrix, shift, residual = np.eye(2), np.zeros(2), np.zeros(n)
    for _ in range(_ROUNDS):
        weight, own = np.where(keep, weights, 0.0), np.where(keep, owns, 0.0)
        total = _sum(weight)
        middle = [_sum(weight * source[:, i]) / total for i in range(2)]
        aim = [_sum(weight * target[:, i]) / total for i in range(2)]
        ax, ay = source[:, 0] - middle[0], source[:, 1] - middle[1]
        bx, by = target[:, 0] - aim[0], target[:, 1] - aim[1]
        below = _sum(weight * (ax * ax + ay * ay)) + _sum(own)
        re = (_sum(weight * (ax * bx + ay * by)) + _sum(own * turn[:, 0])) / below
        im = (_sum(weight * (ax * by - ay * bx)) + _sum(own * turn[:, 1])) / below
        if re * re + im * im < (0.5 / MAX_RATIO) ** 2:  # directions that cancel out leave no scale
            re, im = turn[int(np.argmax(keep))].tolist()
        stiff = 1.0 / ((_ASPECT * _ASPECT) * (re * re + im * im))
        xx, xy, yy = _sum(weight * (ax * ax)) + stiff, _sum(weight * (ax * ay)), _sum(weight * (ay * ay)) + stiff
        p, q = _sum(weight * (ax * bx)) + stiff * re, _sum(weight * (ax * by)) + stiff * im
        r, s = _sum(weight * (ay * bx)) - stiff * im, _sum(weight * (ay * by)) + stiff * re
        det = xx * yy - xy * xy
        matrix = np.array(
            [[(yy * p - xy * r) / det, (xx * r - xy * p) / det], [(yy * q - xy * s) / det, (xx * s - xy * q) / det]]
        )
        shift = np.array([aim[i] - (matrix[i, 0] * middle[0] + matrix[i, 1] * middle[1]) for i in range(2)])
        off = [
            ((matrix[i, 0] * source[:, 0] + matrix[i, 1] * source[:, 1]) + shift[i]) - target[:, i] for i in range(2)
        ]
        residual = np.sqrt(off[0] * off[0] + off[1] * off[1]) / (_INLIER + sigma * _POINT_SHARE)
        now = residual <= 1.0
        if not now.any():
            now = residual <= residual.min()
        if (now == keep).all():
            break
        keep = now
    return matrix, shift, keep, residual


def _sum(values: Floats) -> float:
    """Add one number after the other, as a loop does; `numpy.sum` adds in pairs."""
    return float(np.add.accumulate(values)[-1])


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
