"""Uncropped views: estimates of PDQ's coefficients without the cut, as batched products of small matrices.

If a share of a side was cut off, the query is padded by that share before it is hashed. Padding, PDQ's tent filter,
decimation and cosine transform are linear and separable, so a view is ``R @ small @ C.T`` with one 16x128 matrix for
the rows' cuts and one for the columns'; all views of a grid are two matrix products.

The part beyond an edge is modelled as a first-order Markov process along the axis. Its expectation falls from the value
at the edge to the mean with a length of a tenth of the side. The remaining variance gives the unseen share of each
coefficient. The published part of PDQ is facebook/ThreatExchange, ``pdq/cpp``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.pdq_float32 import COSINES
from hashmatch.hashers.tent import SIDE
from hashmatch.views.small import SMALL_SIDE, Floats

__all__ = [
    "MAX_CUT",
    "MIN_CUT",
    "THOROUGH_GRID",
    "AxisCut",
    "CutGrid",
    "axis_matrix",
    "unseen_covariance",
    "unseen_share",
    "view_coefficients",
]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
MIN_CUT: Final = -20  # thousandths
MAX_CUT: Final = 300  # thousandths
_LENGTH: Final = 0.1  # share of the side over which pictures correlate
_FREQUENCIES: Final = np.arange(1, 17)
_LEAST_SEEN: Final = 0.02  # share of a coefficient

AxisCut = tuple[int, int]
"""Shares of the whole side cut off before and after, in thousandths, `MIN_CUT` to `MAX_CUT`; below 0 is cut away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutGrid:
    """Cuts that are tried: every pair of a cut of the columns and a cut of the rows.

    Parameters
    ----------
    both : tuple of int
        Shares that two opposite sides may each have lost, thousandths.
    one : tuple of int
        Shares that one of two opposite sides may have lost while the other is whole, thousandths.
    """

    both: tuple[int, ...]
    one: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "both", tuple(self.both))
        object.__setattr__(self, "one", tuple(self.one))
        if not self.both or not all(0 <= cut <= MAX_CUT for cut in (*self.both, *self.one)):
            raise ValueError(f"a grid has at least one cut for both sides, each 0 to {MAX_CUT} thousandths")

    @property
    def axis_cuts(self) -> tuple[AxisCut, ...]:
        """Cuts of one axis: before, after."""
        pairs = [(before, after) for before in self.both for after in self.both]
        pairs += [(cut, 0) for cut in self.one] + [(0, cut) for cut in self.one]
        return tuple(dict.fromkeys(pairs))

    def __len__(self) -> int:
        return len(self.axis_cuts) ** 2


THOROUGH_GRID: Final = CutGrid(both=(0, 33, 66, 100), one=(135, 170, 210))
"""484 views: up to 11 % off each of four sides, or up to 23 % off one side of an axis."""


@lru_cache(maxsize=2048)
def axis_matrix(before: int, after: int) -> Floats:
    """Matrix from 128 cells of a cut side to the 16 cosine coefficients of the whole side.

    Parameters
    ----------
    before, after : int
        The cut, thousandths of the whole side, `MIN_CUT` to `MAX_CUT`.

    Returns
    -------
    (16, 128) float32 array
        Read-only.

    Raises
    ------
    ValueError
        If a cut is out of range.

    Notes
    -----
    Cost: the last 2048 matrices are cached, 8 KB each.
    """
    for cut in (before, after):
        if not MIN_CUT <= cut <= MAX_CUT:
            raise ValueError(f"a cut is {MIN_CUT} to {MAX_CUT} thousandths, not {cut}")
    first, last = before / 1000, 1 - after / 1000
    middles = (np.arange(SIDE) + 0.5) / SIDE
    borders = first + (last - first) * np.arange(SMALL_SIDE + 1) / SMALL_SIDE
    below = _tent_integral((borders[None] - middles[:, None]) * (2 * SIDE))
    weights = np.diff(below, axis=1)
    outside = (below[:, 0], 1 - below[:, -1])
    for edge, mass, away in ((0, outside[0], first - middles), (-1, outside[1], middles - last)):
        held = mass * np.exp(-np.maximum(away, 0) / _LENGTH)
        weights[:, edge] += held
        weights += ((mass - held) / SMALL_SIDE)[:, None]
    matrix: Floats = (COSINES.astype(np.float64) @ weights).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def _tent_integral(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Integral up to x of a tent over -1 to 1 with area 1."""
    x = np.clip(x, -1.0, 1.0)
    return np.where(x < 0, 0.5 * (x + 1) ** 2, 1 - 0.5 * (1 - x) ** 2)


@lru_cache(maxsize=1)
def _whole_covariance() -> npt.NDArray[np.float64]:
    """Covariance of the 16 coefficients of an axis."""
    steps = 256
    y = (np.arange(steps) + 0.5) / steps
    wave = np.cos(np.pi * np.outer(_FREQUENCIES, y)) / steps
    covariance: npt.NDArray[np.float64] = wave @ np.exp(-np.abs(np.subtract.outer(y, y)) / _LENGTH) @ wave.T
    covariance.setflags(write=False)
    return covariance


@lru_cache(maxsize=MAX_CUT + 1)
def _left_open(cut: int) -> npt.NDArray[np.float64]:
    """Covariance of the 16 coefficients that a cut of one side, the first, leaves open."""
    share, steps = cut / 1000, 64
    x = (np.arange(steps) + 0.5) / steps * share
    wave = np.cos(np.pi * np.outer(_FREQUENCIES, x)) * (share / steps)
    away = share - x
    left = np.exp(-np.abs(np.subtract.outer(away, away)) / _LENGTH) - np.exp(-np.add.outer(away, away) / _LENGTH)
    covariance: npt.NDArray[np.float64] = wave @ left @ wave.T
    covariance.setflags(write=False)
    return covariance


@lru_cache(maxsize=MAX_CUT + 1)
def _unseen_by_one_side(cut: int) -> Floats:
    """Share of the variance of each of 16 coefficients that a cut of one side leaves open, 0 to 1."""
    unseen: Floats = (np.diag(_left_open(cut)) / np.diag(_whole_covariance())).astype(np.float32)
    unseen.setflags(write=False)
    return unseen


def unseen_covariance(cut: AxisCut) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Covariance of the coefficients of one axis, and the part of it that a cut leaves unknown.

    Parameters
    ----------
    cut : AxisCut
        Before and after.

    Returns
    -------
    whole, unseen : (16, 16) float64 array
        Covariances for a process of variance 1.
    """
    # seen from the other end, odd frequencies change their sign
    signs = np.where(_FREQUENCIES % 2, -1.0, 1.0)
    before, after = (_left_open(max(0, side)) for side in cut)
    return _whole_covariance(), before + after * np.outer(signs, signs)


def unseen_share(columns: Sequence[AxisCut], rows: Sequence[AxisCut]) -> Floats:
    """Share of each coefficient's variance that lies in what was cut off.

    Parameters
    ----------
    columns, rows : sequence of AxisCut
        Cuts along the width and along the height.

    Returns
    -------
    (rows, columns, 16, 16) float32 array
        0 (all was seen) to 0.98.

    Notes
    -----
    The two sides of an axis are independent given what was seen, so a table of one side is enough.
    """
    down, across = _seen(rows), _seen(columns)
    seen = down[:, None, :, None] * across[None, :, None, :]
    unseen: Floats = 1 - np.maximum(seen, np.float32(_LEAST_SEEN))
    return unseen


def _seen(cuts: Sequence[AxisCut]) -> Floats:
    unseen = [_unseen_by_one_side(max(0, before)) + _unseen_by_one_side(max(0, after)) for before, after in cuts]
    seen: Floats = np.maximum(np.float32(_LEAST_SEEN), 1 - np.stack(unseen))
    return seen


def view_coefficients(small: Floats, columns: Sequence[AxisCut], rows: Sequence[AxisCut]) -> Floats:
    """Compute PDQ's coefficients of many uncropped views.

    Parameters
    ----------
    small : (128, 128) float32 array
        From `hashmatch.views.small.small_luma`.
    columns, rows : sequence of AxisCut
        Cuts along the width (left, right) and along the height (top, bottom); every pair is a view.

    Returns
    -------
    (rows, columns, 16, 16) float32 array
        Index 0 of the last two axes is frequency 1, the first of them down, the second across.

    Notes
    -----
    Cost: about 10 microseconds a view on one core.
    """
    down = np.concatenate([axis_matrix(*cut) for cut in rows])
    across = np.concatenate([axis_matrix(*cut) for cut in columns])
    flat: Floats = down @ small @ across.T
    views: Floats = flat.reshape(len(rows), 16, len(columns), 16).transpose(0, 2, 1, 3)
    return views
