"""The places of points: extrema of differences of Gaussians, ranked and spread over the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.points import peaks
from hashmatch.keypoints.scale_space import LEVELS, SIGMA0, Octave

__all__ = ["Extrema", "extrema", "spread"]

# Constants of the format: another value makes other records.
_CONTRAST: Final = 0.15  # grey levels, least of an extremum
_EDGE: Final = 20.0  # largest trace² / determinant of the curvature
_MARGIN: Final = 3  # px off the frame's sides
_CELLS: Final = 8  # a side, among which points are spread
_SHARE: Final = 90  # a round takes a 90th of the points from each cell
_FINE_PLACE: Final = 64  # steps a px to which places are rounded
_FINE_SCALE: Final = 48  # steps an octave, likewise

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Extrema:
    """Extrema of one scale space, px of the frame's samples; strongest first after `spread`.

    Parameters
    ----------
    x, y : (n,) float32 array
        Place, samples of the frame; the middle of the first sample is 0.
    log_sigma : (n,) float32 array
        Scale: octaves over `SIGMA0`, in whole 48ths.
    contrast : (n,) float32 array
        Height of the extremum, grey levels.
    """

    x: Floats
    y: Floats
    log_sigma: Floats
    contrast: Floats

    def __len__(self) -> int:
        return len(self.x)

    @property
    def sigma(self) -> Floats:
        """Scale, px of the frame's samples."""
        return (SIGMA0 * np.exp2(self.log_sigma.astype(np.float64))).astype(np.float32)

    def take(self, chosen: npt.NDArray[np.intp]) -> Extrema:
        """Keep the chosen ones, in that order."""
        return Extrema(self.x[chosen], self.y[chosen], self.log_sigma[chosen], self.contrast[chosen])


def extrema(space: list[Octave]) -> Extrema:
    """Find every extremum over place and scale that is not an edge.

    Parameters
    ----------
    space : list of Octave
        From `scale_space.octaves`.
    """
    parts = [np.empty((4, 0), np.float32), *(_of_octave(octave) for octave in space)]
    x, y, log_sigma, contrast = np.concatenate(parts, axis=1)
    return Extrema(x, y, log_sigma, contrast)


def _of_octave(octave: Octave) -> Floats:
    """Find x, y, octaves over `SIGMA0` and contrast of each extremum of one octave, (4, n)."""
    z, y, x = np.nonzero(peaks(octave.levels, _CONTRAST, _MARGIN))
    z, y, x = z + 1, y + _MARGIN, x + _MARGIN
    flat, (_, rows, columns) = octave.levels.ravel(), octave.levels.shape
    middle = (z * rows + y) * columns + x

    def step(dz: int, dy: int, dx: int) -> Floats:
        """Difference of levels at each peak's neighbour."""
        at = middle + ((dz * rows + dy) * columns + dx)
        difference: Floats = flat[at + rows * columns] - flat[at]
        return difference

    here = step(0, 0, 0)
    left, right = step(0, 0, -1), step(0, 0, 1)
    above, below = step(0, -1, 0), step(0, 1, 0)
    finer, coarser = step(-1, 0, 0), step(1, 0, 0)
    dxx, dyy, dzz = right + left - 2 * here, below + above - 2 * here, coarser + finer - 2 * here
    corners = step(0, 1, 1) - step(0, 1, -1) - step(0, -1, 1) + step(0, -1, -1)
    dxy = corners / 4
    dx, dy, dz = (right - left) / 2, (below - above) / 2, (coarser - finer) / 2
    trace, det = dxx + dyy, dxx * dyy - dxy * dxy
    good = trace * trace < _EDGE * det
    safe = np.where(good, det, np.float32(1))
    off_x = np.clip((dxy * dy - dyy * dx) / safe, -0.6, 0.6)
    off_y = np.clip((dxy * dx - dxx * dy) / safe, -0.6, 0.6)
    off_z = np.clip(-dz / np.where(dzz == 0, np.float32(1), dzz), -0.5, 0.5)
    log_sigma = np.rint((z + off_z) * (_FINE_SCALE / LEVELS)) / _FINE_SCALE + math.log2(octave.step)
    fine = _FINE_PLACE * octave.step
    places = (np.rint((x + off_x) * fine) / _FINE_PLACE, np.rint((y + off_y) * fine) / _FINE_PLACE)
    found: Floats = np.stack([*places, log_sigma, np.abs(here)])[:, good].astype(np.float32)
    return found


def spread(found: Extrema, shape: tuple[int, int], n_points: int) -> npt.NDArray[np.intp]:
    """Choose points: the strongest, in rounds that take a few from each of 8 x 8 cells.

    Parameters
    ----------
    found : Extrema
        All extrema of the picture.
    shape : (int, int)
        Rows and columns of the frame.
    n_points : int
        Largest number of points.

    Returns
    -------
    (k,) intp array
        Positions, the best first.
    """
    best = np.lexsort((found.log_sigma, found.x, found.y, -found.contrast))
    down = np.clip((found.y * _CELLS / shape[0]).astype(np.int64), 0, _CELLS - 1)
    along = np.clip((found.x * _CELLS / shape[1]).astype(np.int64), 0, _CELLS - 1)
    cell = (down * _CELLS + along)[best]
    by_cell = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[by_cell], np.arange(_CELLS * _CELLS))
    rank = np.empty(len(best), np.int64)
    rank[by_cell] = np.arange(len(best)) - starts[cell[by_cell]]
    turn = rank // max(1, n_points // _SHARE)
    return best[np.argsort(turn, kind="stable")][:n_points]
