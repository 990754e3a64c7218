"""Corners that a rotation cut off, and their effect on PDQ's coefficients of the picture turned back.

The corners are an unknown Gaussian field with the covariance that `hashmatch.views.evidence.crop_views` assumes, given
all seen cells. Along each axis that field is a Markov process, so the inverse of its covariance is sparse, and the
covariance of the unseen cells given the seen ones is the inverse of a small part of it. The shape of a picture is
replaced by the nearest of a few shapes; a corner moves by less than a hundredth of the side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.views.evidence.tilt_views import Frame, Size, Tilt, upright_size
from hashmatch.views.small import Floats

__all__ = ["Corners", "unseen_corners", "unseen_corner_share"]

# Tuned constants. Chosen by hand where no line says otherwise: no seeds and no command are recorded.
_SIDE: Final = 32  # samples a side
_LENGTH: Final = 0.1  # share of the side over which pictures correlate; as for uncropped views
_MOST: Final = 80  # directions of what is unseen
_LEAST: Final = 0.003  # of the largest direction's weight
_MOST_UNSEEN: Final = 0.98  # share of a coefficient
_SHAPES: Final = 0.2  # step between shapes, in the logarithm of width over height
_ANGLES: Final = 4  # steps to a degree

_Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corners:
    """Effect of the cut-off part on the coefficients, in units of their own spread.

    Parameters
    ----------
    basis : (256, k) float64 array
        Effect of k unknowns of variance 1.
    left_out : (256,) float64 array
        Variance that the unknowns do not cover.
    """

    basis: _Doubles
    left_out: _Doubles


def unseen_corner_share(size: Size, view: Tilt) -> Floats:
    """Share of each coefficient's variance that lies in corners which were cut off.

    Parameters
    ----------
    size : (float, float)
        Height and width of the query, px.
    view : Tilt
        Angle and frame by which the query is turned back.

    Returns
    -------
    (16, 16) float32 array
        0 (all was seen) to 0.98. Read-only.

    Notes
    -----
    Cost: 1 to 2 ms for an angle and shape not met lately.
    """
    return _share(*_kind(size, view))


def unseen_corners(size: Size, view: Tilt) -> Corners:
    """Compute the effect of the cut-off corners on the coefficients.

    Parameters
    ----------
    size, view
        As for `unseen_corner_share`.

    Notes
    -----
    Cost: 2 to 4 ms for an angle and shape not met lately.
    """
    return _corners(*_kind(size, view))


def _kind(size: Size, view: Tilt) -> tuple[int, int, Frame]:
    return round(view.angle * _ANGLES), round(math.log(size[1] / size[0]) / _SHAPES), view.frame


@lru_cache(maxsize=1024)
def _share(angle: int, shape: int, frame: Frame) -> Floats:
    share: Floats = np.minimum((_moves(angle, shape, frame) ** 2).sum(1), _MOST_UNSEEN).astype(np.float32)
    share = share.reshape(16, 16)
    share.setflags(write=False)
    return share


@lru_cache(maxsize=64)
def _corners(angle: int, shape: int, frame: Frame) -> Corners:
    moves = _moves(angle, shape, frame)
    weights, turn = np.linalg.eigh(moves.T @ moves)
    kept = (weights > _LEAST * weights.max(initial=1e-9)).nonzero()[0][-_MOST:]
    basis = moves @ turn[:, kept]
    return Corners(basis=basis, left_out=np.maximum((moves**2).sum(1) - (basis**2).sum(1), 0))


def _moves(angle: int, shape: int, frame: Frame) -> _Doubles:
    """Say what each unseen cell does to the coefficients: (256, cells), the cells made independent of each other."""
    size = 1.0, math.exp(shape * _SHAPES)
    degrees = angle / _ANGLES
    middles = (np.arange(_SIDE) + 0.5) / _SIDE - 0.5
    height, width = upright_size(size, degrees, frame)
    y, x = height * middles[:, None], width * middles[None]
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    row, column = ((np.abs(x * cosine - y * sine) > size[1] / 2) | (np.abs(x * sine + y * cosine) > 0.5)).nonzero()
    waves, spread, inverse = _axis()
    covariance = np.linalg.inv(inverse[np.ix_(row, row)] * inverse[np.ix_(column, column)])
    moves = (waves[:, None, row] * waves[None, :, column]).reshape(256, -1) / np.outer(spread, spread).reshape(256, 1)
    independent: _Doubles = moves @ np.linalg.cholesky(covariance)
    return independent


@lru_cache(maxsize=1)
def _axis() -> tuple[_Doubles, _Doubles, _Doubles]:
    """Cosines of one axis (16, 32), spread of its coefficients (16,), inverse covariance of its cells (32, 32)."""
    middles = (np.arange(_SIDE) + 0.5) / _SIDE
    waves = np.cos(np.pi * np.outer(np.arange(1, 17), middles)) / _SIDE
    covariance = np.exp(-np.abs(np.subtract.outer(middles, middles)) / _LENGTH)
    spread = np.sqrt(np.diag(waves @ covariance @ waves.T))
    return waves, spread, np.linalg.inv(covariance)
