"""PDQ in the reference's own float32 arithmetic, step by step; it decides where the fast arithmetic cannot.

The reference blurs with running sums in float32, so its coefficients carry rounding noise of a few thousandths. Where
two coefficients beside the median are nearer than that, or a quality step falls on a whole number, only the same
operations in the same order give the answer of the reference. This module repeats them over whole rows of NumPy arrays.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.hashers.base import Pixels
from hashmatch.kernels import pixels as kernels
from hashmatch.kernels.numpy.pixels import SIDE, luma_rows

__all__ = ["COSINES", "coefficients_float32", "downsample_float32", "luma_float32", "quality_float32"]

_Float32 = npt.NDArray[np.float32]
_COEFFICIENTS: Final = 16


def _cosines() -> _Float32:
    scale = float(np.float32(np.sqrt(2.0 / SIDE)))
    angles = (np.pi / 2.0 / SIDE) * np.arange(1, _COEFFICIENTS + 1)[:, None] * (2 * np.arange(SIDE) + 1)
    matrix: _Float32 = (scale * np.cos(angles)).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


COSINES: Final = _cosines()
"""(16, 64) float32 array: the cosines of frequencies 1 to 16 over 64 cells."""

_BY_CELL: Final = np.ascontiguousarray(COSINES.T)

luma_float32 = luma_rows


def downsample_float32(pixels: Pixels) -> _Float32:
    """Blur twice along rows and columns and keep 64x64 samples; a picture of 64x64 px is not blurred.

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
    Cost: under 1 ns a pixel of uint8 compiled (AVX2), 20 in NumPy.
    """
    if pixels.shape[:2] == (SIDE, SIDE):
        return luma_float32(pixels)
    return kernels.blur_float32(pixels)


def coefficients_float32(small: _Float32) -> _Float32:
    """Transform, adding the 64 products in order.

    Parameters
    ----------
    small : (64, 64) float32 array
        From `downsample_float32`.

    Returns
    -------
    (16, 16) float32 array
        Coefficients of frequencies 1 to 16 down and along.
    """
    return kernels.transform_float32(small, _BY_CELL)


def quality_float32(small: _Float32) -> int:
    """Sum the steps between neighbours in whole hundredths of the range, over 90, at most 100.

    Parameters
    ----------
    small : (64, 64) float32 array
        From `downsample_float32`.

    Notes
    -----
    Each step is cut to a whole number first, so slopes under 2.55 grey levels a cell count as nothing.
    """
    total = 0
    for axis in (0, 1):
        steps = np.diff(small, axis=axis) * np.float32(100) / np.float32(255)
        total += int(np.abs(steps.astype(np.int64)).sum())
    return min(100, total // 90)
